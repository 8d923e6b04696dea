"""Stage `evaluate`: score every test image and measure each group of metrics."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vaeline.archive import load_archive
from vaeline.artifacts import atomic_file, digest, write_json
from vaeline.classifier.network import Classifier
from vaeline.compute import use_device
from vaeline.data.prepared import read_prepared
from vaeline.data.sources import TEST_IMAGES, TRAIN_IMAGES
from vaeline.defects.reference import write_heat_map_reference_of
from vaeline.errors import run_stage
from vaeline.evaluation.group import Inputs
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import scores_table, summarize_by_class
from vaeline.groups import all_groups, measure_groups
from vaeline.images.idx import read_idx_images
from vaeline.images.lazy import LazyImages
from vaeline.latents.reference import read_reference, write_reference_of
from vaeline.models.archive import load_model
from vaeline.params.base import read_section
from vaeline.params.classify import ClassifyParams
from vaeline.params.compute import ComputeParams
from vaeline.params.evaluate import EvaluateParams
from vaeline.restoration.measure import require_box
from vaeline.scores import HEADLINES
from vaeline.tracking.sync import record

PREPARED = Path("data/prepared")
ANOMALIES = Path("data/anomalies")
MODEL = Path("models/vae.keras")
CLASSIFIER = Path("models/classifier.keras")
REPORTS = Path("reports")
REFERENCE = REPORTS / "latent_reference.json"
HEAT_MAPS = REPORTS / "heat_map_reference.json"
SCORES = REPORTS / "scores.parquet"
METRICS = REPORTS / "metrics.json"
PER_CLASS = REPORTS / "per_class.csv"


def main() -> None:
    settings = read_section("evaluate", EvaluateParams)
    training = read_section("classify", ClassifyParams)
    compute = read_section("compute", ComputeParams)
    use_device(compute)
    classifier = load_archive(CLASSIFIER, Classifier)
    subject = Subject(load_model(MODEL), read_prepared(PREPARED), settings.seed)
    require_box(settings, subject.model.image)
    write_reference_of(subject, digest(MODEL), settings.reference_images, REFERENCE)
    densities = read_reference(REFERENCE).densities
    write_heat_map_reference_of(subject, densities, digest(MODEL), settings, HEAT_MAPS)
    ood_images = {folder.name: read_test_images(folder) for folder in sorted(ANOMALIES.iterdir())}

    measured = measure_groups(
        Inputs(subject, settings, classifier, digest(CLASSIFIER), training, densities, ood_images)
    )
    scores = scores_table(subject, measured)
    by_class = summarize_by_class(scores, subject.classes)

    with atomic_file(SCORES) as temporary:
        table = pa.Table.from_pandas(scores, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, temporary)
    with atomic_file(PER_CLASS) as temporary:
        pd.DataFrame.from_dict(by_class, orient="index").to_csv(temporary, index_label="class")
    for group in all_groups():
        if group.csv:
            table = measured.get(group.name, Measured({}, {})).csv_table()
            with atomic_file(REPORTS / group.csv) as temporary:
                table.to_csv(temporary, index=False, float_format="%.5f")
    metrics = {name: group.metrics for name, group in measured.items()}
    protocol = {name: group.protocol for name, group in measured.items()}
    write_json(METRICS, {**metrics, "per_class": by_class, "protocol": protocol})
    record("evaluate")

    means = ", ".join(f"{name} {scores[name].mean():.2f}" for name in HEADLINES if name in scores)
    print(f"evaluate: {subject.prepared.title}, {len(scores):,} test images: {means} nats per image; see {METRICS}")


def read_test_images(folder: Path) -> LazyImages:
    """The test images of a data set; its training images if it has no test images."""
    own_test_set = (folder / TEST_IMAGES).is_file()
    return LazyImages.of_bytes(read_idx_images(folder / (TEST_IMAGES if own_test_set else TRAIN_IMAGES)))


if __name__ == "__main__":
    run_stage(main)
