"""The data from which the figures of a run are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer

from vaeline.data.prepared import Prepared
from vaeline.evaluation.inference import encode
from vaeline.images.lazy import LazyImages
from vaeline.images.types import Labels
from vaeline.models.generative import GenerativeModel
from vaeline.own_files import read_table
from vaeline.params.plot import PlotParams


@dataclass(frozen=True)
class Drawing:
    """A model, its data, and the tables that earlier stages wrote to `reports`.

    sigma, box: the damage in the figure of restored images: the standard deviation of the noise, and the side of the
    hole in pixels.
    """

    model: GenerativeModel
    prepared: Prepared
    settings: PlotParams
    sigma: float
    box: int
    reports: Path

    @property
    def classes(self) -> Sequence[str]:
        """Names of the labels."""
        return self.prepared.classes

    @property
    def ink(self) -> bool:
        """Whether grey images are drawn as ink on paper."""
        return self.prepared.image.is_ink

    @property
    def labels(self) -> Labels:
        """Labels of the test images, (count,)."""
        return self.prepared.splits["test"].labels

    @cached_property
    def images(self) -> LazyImages:
        """The test images, float32 (count, height, width, channels) in [0, 1], read in parts."""
        return LazyImages.of_bytes(self.prepared.splits["test"].images)

    @cached_property
    def z_mean(self) -> Float[np.ndarray, "count latent_dim"]:
        """Posterior means of the test images (count, latent_dim), given their labels."""
        return encode(self.model, self.images, self.labels)[0]

    @cached_property
    def chosen(self) -> Integer[np.ndarray, " chosen"]:
        """Test images for a figure of four rows, as row numbers, drawn with the seed."""
        return np.random.default_rng(self.settings.seed).permutation(len(self.images))[: 4 * self.settings.columns]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The per-image scores of the test images."""
        return read_table(self.reports / "scores.parquet")

    def table(self, name: str) -> pd.DataFrame:
        """A table in `reports`. It has no rows if the model was not measured in this way."""
        return read_table(self.reports / name)

    def title(self, what: str) -> str:
        """The title of a figure: the data set, the content, and the model."""
        return f"{self.prepared.title}: {what} ({self.model.title})"
