"""One configuration trained with several seeds, and the spread of their scores on the same test images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Integer

from vaeline.archive import save_archive
from vaeline.data.prepared import Prepared
from vaeline.gate.statistics import gain_of_chance, label_loss_of_chance
from vaeline.models.archive import load_model
from vaeline.models.generative import GenerativeModel
from vaeline.params.gate import GateParams
from vaeline.params.whole import Params
from vaeline.training.batches import Examples
from vaeline.training.checkpoint import drop_checkpoint
from vaeline.training.fit import fit, resume_or_start


@dataclass(frozen=True)
class SeedScores:
    """The metric of each test image for every seed (seeds, images), and the labels (images,)."""

    seeds: list[int]
    values: Float[np.ndarray, "seeds images"]
    labels: Integer[np.ndarray, " images"]


@dataclass(frozen=True)
class Spread:
    """The mean and deviation of the seeds' means, and the thresholds that follow from them."""

    mean: float
    deviation: float
    min_gain: float
    slice_margin: float


def train_seed(params: Params, prepared: Prepared, seed: int, folder: Path) -> GenerativeModel:
    """The model of one seed, kept in `folder`. It is not trained again, and a stopped training continues there."""
    archive, checkpoint = folder / f"{seed}.keras", folder / f"{seed}.checkpoint"
    if not archive.is_file():
        settings = params.train.model_copy(update={"seed": seed})
        train, validation = (
            Examples(prepared.splits[name].images, prepared.splits[name].labels) for name in ("train", "validation")
        )
        progress = resume_or_start(checkpoint, train, len(prepared.classes), params.model, settings)
        model, _ = fit(progress, train, validation, settings, checkpoint, lambda row: None)
        save_archive(model, archive)
        drop_checkpoint(checkpoint)
    return load_model(archive)


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


def means_by_class(
    values: Float[np.ndarray, "seeds images"], labels: Integer[np.ndarray, " images"]
) -> Float[np.ndarray, "seeds classes"]:
    """Mean scores (seeds, classes) of the classes that occur."""
    return np.stack([values[:, labels == label].mean(axis=1) for label in np.unique(labels)], axis=1)
