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
from vaeline.gate.statistics import gain_of_chance, label_loss_of_chance
from vaeline.likelihood.measure import measure_likelihood
from vaeline.params.gate import GateParams
from vaeline.params.whole import Params
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, start

SCORING = {"seed", "nll_images", "nll_samples", "grid_points"}


@dataclass(frozen=True)
class SeedScores:
    """The metric of each test image for every seed (seeds, images), and the labels (images,). Lower is better."""

    seeds: list[int]
    values: np.ndarray
    labels: np.ndarray
    minutes: list[float]
    data: dict[str, str]


@dataclass(frozen=True)
class Spread:
    """The mean and deviation of the seeds' means, and the thresholds that follow from them."""

    mean: float
    deviation: float
    min_gain: float
    slice_margin: float


def trained_seeds(params: Params, directory: Path, seeds: Iterable[int], cache: Path) -> SeedScores:
    """The scores of every seed. A seed that `cache` has for this configuration and data is not trained again."""
    prepared = read_prepared(directory)
    data = {name: split["images_sha256"] for name, split in prepared.manifest["splits"].items()}
    stored = [_stored(params, prepared, data, seed, cache) for seed in seeds]
    values = np.stack([item["values"] for item in stored]).astype("float64")
    scored = np.isfinite(values).all(axis=0)
    labels = prepared.splits["test"].labels[scored]
    return SeedScores(list(seeds), values[:, scored], labels, [float(item["minutes"]) for item in stored], data)


def spread(scores: SeedScores, gate: GateParams) -> Spread:
    """The spread over seeds, and the thresholds that it seldom exceeds, with the gate's confidence."""
    means = scores.values.mean(axis=1)
    by_class = means_by_class(scores.values, scores.labels)
    return Spread(
        mean=float(means.mean()),
        deviation=float(means.std(ddof=1)),
        min_gain=gain_of_chance(means, gate.confidence),
        slice_margin=label_loss_of_chance(by_class, gate.confidence),
    )


def means_by_class(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean scores (seeds, classes) of the classes that occur."""
    return np.stack([values[:, labels == label].mean(axis=1) for label in np.unique(labels)], axis=1)


def write_seeds(file: Path, preset: str, params: Params, scores: SeedScores, found: Spread) -> None:
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
    settings = params.train.model_copy(update={"seed": seed})
    train, validation = (
        Examples(prepared.splits[name].images, prepared.splits[name].labels) for name in ("train", "validation")
    )
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        progress = start(train, len(prepared.classes), params.model, settings)
        model, _ = fit(progress, train, validation, settings, Path(scratch) / "checkpoint", lambda row: None)
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
