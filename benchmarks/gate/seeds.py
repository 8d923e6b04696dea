"""Train one configuration with several seeds, and measure the spread of their scores on the same test images."""

import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaeline.artifacts import atomic_file, canonical_json, write_json
from vaeline.data.prepared import Prepared, read_prepared
from vaeline.evaluation.subject import Subject
from vaeline.gate.policy import evaluation_settings
from vaeline.likelihood.measure import measure_likelihood
from vaeline.params.whole import Params
from vaeline.thresholds.seeds import SeedScores, Spread, means_by_class, train_seed

SCORING = {"seed", "nll_images", "nll_samples", "grid_points"}


@dataclass(frozen=True)
class TimedSeeds(SeedScores):
    """The scores of seeds, the minutes of each training, and the digests of the data."""

    minutes: list[float]
    data: dict[str, str]


def trained_seeds(params: Params, directory: Path, seeds: Iterable[int], cache: Path) -> TimedSeeds:
    """The scores of every seed. A seed that `cache` has for this configuration and data is not trained again."""
    prepared = read_prepared(directory)
    data = {name: split["images_sha256"] for name, split in prepared.manifest["splits"].items()}
    stored = [_stored(params, prepared, data, seed, cache) for seed in seeds]
    values = np.stack([item["values"] for item in stored]).astype("float64")
    scored = np.isfinite(values).all(axis=0)
    labels = prepared.splits["test"].labels[scored]
    return TimedSeeds(list(seeds), values[:, scored], labels, [float(item["minutes"]) for item in stored], data)


def write_seeds(file: Path, preset: str, params: Params, scores: TimedSeeds, found: Spread) -> None:
    """Write the mean of every seed, overall and by class, with the settings that gave it."""
    by_class = means_by_class(scores.values, scores.labels)
    content = {
        "preset": preset,
        "metric": params.gate.metric,
        "images": scores.values.shape[1],
        "params": {"model": params.model.model_dump(), "train": params.train.model_dump(exclude={"seed"})},
        "evaluate": evaluation_settings(params).model_dump(include=SCORING),
        "data": scores.data,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "seeds": {
            str(seed): {"mean": float(row.mean()), "classes": classes.tolist(), "minutes": round(minutes, 2)}
            for seed, row, classes, minutes in zip(scores.seeds, scores.values, by_class, scores.minutes, strict=True)
        },
        "spread": vars(found),
    }
    write_json(file, content)


def _stored(params: Params, prepared: Prepared, data: dict[str, str], seed: int, cache: Path) -> dict[str, np.ndarray]:
    file = cache / f"{_key(params, data)}-{seed}.npz"
    if not file.is_file():
        values, minutes = _train_and_score(params, prepared, seed)
        print(f"seed {seed}: {np.nanmean(values):.3f}, {minutes:.1f} minutes of training", flush=True)
        with atomic_file(file) as temporary:
            np.savez_compressed(temporary, values=values.astype("float32"), minutes=minutes)
    with np.load(file, allow_pickle=False) as content:
        return {name: content[name] for name in ("values", "minutes")}


def _train_and_score(params: Params, prepared: Prepared, seed: int) -> tuple[np.ndarray, float]:
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        model = train_seed(params, prepared, seed, Path(scratch))
        minutes = (time.perf_counter() - began) / 60
    subject = Subject(model, prepared, params.evaluate.seed)
    part = measure_likelihood(subject, evaluation_settings(params), exact=params.gate.metric == "nll")
    return part.columns[params.gate.metric], minutes


def _key(params: Params, data: dict[str, str]) -> str:
    """Twelve hex digits that identify all inputs of a seed's scores."""
    content = {
        "model": params.model.model_dump(),
        "train": params.train.model_dump(exclude={"seed"}),
        "evaluate": evaluation_settings(params).model_dump(include=SCORING),
        "metric": params.gate.metric,
        "threads": params.compute.threads,
        "data": data,
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]
