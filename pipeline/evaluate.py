"""Stage `evaluate`: every test image scored, and the scores summed up."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vaeline.artifacts import atomic_file, write_json
from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared, scale
from vaeline.errors import run_stage
from vaeline.evaluation.likelihood import active_units, elbo_scores, encode, exact_nll, importance_weighted_nll
from vaeline.evaluation.noise import binary_pixels
from vaeline.evaluation.summary import summarize, summarize_by_class
from vaeline.models.archive import load_model
from vaeline.params import read_params
from vaeline.tracking.sync import record

PREPARED = Path("data/prepared")
MODEL = Path("models/vae.keras")
SCORES = Path("reports/scores.parquet")
METRICS = Path("reports/metrics.json")
PER_CLASS = Path("reports/per_class.csv")


def main() -> None:
    params = read_params()
    settings = params.evaluate
    fix_threads(params.compute.threads)
    prepared, model = read_prepared(PREPARED), load_model(MODEL)
    test = prepared.splits["test"]
    rows = np.arange(len(test.labels))
    images = scale(test.images)
    if model.binarize:
        images = binary_pixels(images, settings.seed, rows)

    scores = pd.DataFrame({"image": rows, "label": test.labels, **elbo_scores(model, images, rows, settings.seed)})
    scores["nll_bound"] = importance_weighted_nll(model, images, rows, settings.nll_samples, settings.seed)
    exact = model.latent_dim == 2
    scores["nll"] = exact_nll(model, images, settings.grid_points) if exact else scores["nll_bound"]

    by_class = summarize_by_class(scores, prepared.classes)
    with atomic_file(SCORES) as temporary:
        table = pa.Table.from_pandas(scores, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, temporary)
    with atomic_file(PER_CLASS) as temporary:
        pd.DataFrame.from_dict(by_class, orient="index").to_csv(temporary, index_label="class")
    figures = {"active_units": active_units(encode(model, images)[0]), "images": len(scores), "per_class": by_class}
    write_json(METRICS, {"test": {**summarize(scores), **figures}})
    record("evaluate")

    means = ", ".join(f"{name} {scores[name].mean():.2f}" for name in ("neg_elbo", "reconstruction", "kl", "nll"))
    print(f"evaluate: {prepared.title}, {len(scores):,} test images: {means} nats per image")


if __name__ == "__main__":
    run_stage(main)
