"""The subject of an evaluation, and the result of measuring it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer

from vaeline.data.prepared import Prepared
from vaeline.evaluation.inference import encode
from vaeline.evaluation.noise import binary_pixels
from vaeline.images.lazy import LazyImages
from vaeline.images.spec import COLOURS
from vaeline.images.types import Labels
from vaeline.models.generative import GenerativeModel


@dataclass(frozen=True)
class Measured:
    """The result of one group: its metrics with standard errors, and the protocol of the measurement.

    `columns` hold per-image scores of the test set (count,), NaN for images that were not scored. `table` goes into a
    file of its own.
    """

    metrics: dict[str, Any]
    protocol: dict[str, Any]
    columns: dict[str, Float[np.ndarray, " count"]] = field(default_factory=dict)
    table: pd.DataFrame | None = None

    def csv_table(self) -> pd.DataFrame:
        """The table, or an empty one: a stage writes its outputs for every model."""
        return pd.DataFrame(columns=["left out"]) if self.table is None else self.table


@dataclass(frozen=True)
class Subject:
    """A model and the data on which it is measured.

    Images are float32 (count, height, width, channels) in [0, 1]. They are read in parts.
    """

    model: GenerativeModel
    prepared: Prepared
    seed: int

    @property
    def classes(self) -> Sequence[str]:
        """Names of the labels."""
        return self.prepared.classes

    @property
    def labels(self) -> Labels:
        """Labels of the test images, (count,)."""
        return self.prepared.splits["test"].labels

    @property
    def train_labels(self) -> Labels:
        """Labels of the training images, (count,)."""
        return self.prepared.splits["train"].labels

    @cached_property
    def has_classes(self) -> bool:
        """Whether the training images have more than one class, so that a class can be predicted."""
        return len(self.classes) > 1 and len(np.unique(self.train_labels)) > 1

    @cached_property
    def rows(self) -> Integer[np.ndarray, " count"]:
        """Row numbers of the test images; the seed and the row number determine the noise of an image."""
        return np.arange(len(self.labels))

    @cached_property
    def original_images(self) -> LazyImages:
        """The test images, grey or colour, not binarized."""
        return LazyImages.of_bytes(self.prepared.splits["test"].images)

    @cached_property
    def images(self) -> LazyImages:
        """The test images in the form of the training images: as they are, or binarized with the seed."""
        return self.as_trained(self.original_images, self.rows)

    @cached_property
    def latents(self) -> Float[np.ndarray, "count latent_dim"]:
        """`z_mean` of the test images (count, latent_dim); a conditional model gets their labels."""
        return encode(self.model, self.images, self.labels)[0]

    def without_label(self, z: Float[np.ndarray, "count latent_dim"]) -> Float[np.ndarray, "count kept"]:
        """Latents (count, …) without the last entries, which hold the one-hot label of a conditional model."""
        return z[:, : self.model.latent_dim - self.model.label_dim]

    def train_images(self, rows: Integer[np.ndarray, " count"]) -> LazyImages:
        """Training images, binarized if the model was trained on binary pixels."""
        return self.as_trained(LazyImages.of_bytes(self.prepared.splits["train"].images).take(rows), rows)

    def as_trained(self, images: LazyImages, rows: Integer[np.ndarray, " count"]) -> LazyImages:
        """Images in the form of the training images: as they are, or binarized with the noise of `rows`."""
        return self.binarized(images, rows) if self.model.params.binarize else images

    def binarized(self, images: LazyImages, rows: Integer[np.ndarray, " count"]) -> LazyImages:
        """One Bernoulli draw of each pixel, with the noise of `rows`."""
        return images.changed(lambda part, places: binary_pixels(part, self.seed, rows[places]))

    @property
    def pixels(self) -> str:
        """The kind of pixels in `images`, for protocols."""
        return f"binary, seed {self.seed}" if self.model.params.binarize else COLOURS[self.model.image.channels]
