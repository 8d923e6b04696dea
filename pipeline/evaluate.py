"""Stage `evaluate`: every test image scored, and what the model is good for measured."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vaeline.anomaly.measure import measure_anomalies
from vaeline.archive import load_archive
from vaeline.artifacts import atomic_file, digest, write_json
from vaeline.classifier.network import Classifier
from vaeline.codes.measure import measure_codes
from vaeline.compression.measure import measure_compression
from vaeline.compute import fix_threads
from vaeline.conditional.measure import measure_conditional
from vaeline.data.idx import read_idx
from vaeline.data.prepared import read_prepared, scale
from vaeline.data.sources import TEST_IMAGES, TRAIN_IMAGES
from vaeline.errors import run_stage
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Subject
from vaeline.evaluation.summary import summarize_by_class
from vaeline.latents.measure import measure_latents
from vaeline.latents.reference import fit_reference, read_reference, write_reference
from vaeline.likelihood.measure import measure_likelihood
from vaeline.models.archive import load_model
from vaeline.params.base import read_section
from vaeline.params.classify import ClassifyParams
from vaeline.params.compute import ComputeParams
from vaeline.params.evaluate import EvaluateParams
from vaeline.restoration.measure import measure_restoration
from vaeline.samples.measure import measure_samples
from vaeline.tracking.sync import record

PREPARED = Path("data/prepared")
ANOMALIES = Path("data/anomalies")
MODEL = Path("models/vae.keras")
CLASSIFIER = Path("models/classifier.keras")
REFERENCE = Path("reports/latent_reference.json")
SCORES = Path("reports/scores.parquet")
METRICS = Path("reports/metrics.json")
PER_CLASS = Path("reports/per_class.csv")
TABLES = {"ood": "anomaly.csv", "restoration": "restoration.csv", "compression": "compression.csv"}


def main() -> None:
    settings = read_section("evaluate", EvaluateParams)
    classify = read_section("classify", ClassifyParams)
    compute = read_section("compute", ComputeParams)
    fix_threads(compute.threads)
    classifier = load_archive(CLASSIFIER, Classifier)
    subject = Subject(load_model(MODEL), read_prepared(PREPARED), settings.seed)

    chosen = subset(len(subject.train_labels), settings.reference_images, settings.seed)
    train, labels = subject.train_images(chosen), subject.train_labels[chosen]
    write_reference(
        fit_reference(subject.model, digest(MODEL), train, labels, subject.classes, settings.seed), REFERENCE
    )
    densities = read_reference(REFERENCE).densities
    others = {folder.name: strange_images(folder) for folder in sorted(ANOMALIES.iterdir())}

    parts = {
        "test": measure_likelihood(subject, settings),
        "latents": measure_latents(subject),
        "samples": measure_samples(subject, classifier, digest(CLASSIFIER), settings),
        "ood": measure_anomalies(subject, densities, others),
        "restoration": measure_restoration(subject, settings),
        "compression": measure_compression(subject, settings),
    }
    if subject.model.has_codes:
        parts["codes"] = measure_codes(subject)
    if subject.model.is_conditional:
        nll_bound = parts["test"].columns["nll_bound"]
        parts["conditional"] = measure_conditional(subject, classifier, classify, nll_bound)
    scores = pd.DataFrame({"image": subject.rows, "label": subject.labels})
    scores = scores.assign(**{name: values for part in parts.values() for name, values in part.columns.items()})
    by_class = summarize_by_class(scores, subject.classes)

    with atomic_file(SCORES) as temporary:
        table = pa.Table.from_pandas(scores, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, temporary)
    with atomic_file(PER_CLASS) as temporary:
        pd.DataFrame.from_dict(by_class, orient="index").to_csv(temporary, index_label="class")
    for part, name in TABLES.items():
        with atomic_file(Path("reports") / name) as temporary:
            parts[part].csv_table().to_csv(temporary, index=False, float_format="%.5f")
    figures = {name: part.figures for name, part in parts.items()}
    protocol = {name: part.protocol for name, part in parts.items()}
    write_json(METRICS, {**figures, "per_class": by_class, "protocol": protocol})
    record("evaluate")

    shown = [name for name in ("neg_elbo", "reconstruction", "kl", "nll") if name in scores]
    means = ", ".join(f"{name} {scores[name].mean():.2f}" for name in shown)
    print(f"evaluate: {subject.prepared.title}, {len(scores):,} test images: {means} nats per image; see {METRICS}")


def strange_images(folder: Path) -> np.ndarray:
    own_test_set = (folder / TEST_IMAGES).is_file()
    return scale(np.asarray(read_idx(folder / (TEST_IMAGES if own_test_set else TRAIN_IMAGES))))


if __name__ == "__main__":
    run_stage(main)
