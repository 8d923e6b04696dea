"""How unusual an image is to a model: its −ELBO, and how rare its statistics are among training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from vaeline.evaluation.group import Density
from vaeline.evaluation.inference import as_seen, batches, encode, image_batches
from vaeline.evaluation.noise import content_streams
from vaeline.images.lazy import ImageSource
from vaeline.images.types import Images
from vaeline.likelihood.bounds import posterior_scores
from vaeline.models.generative import GenerativeModel
from vaeline.scores import OOD_SCORES

DENSITIES = {
    "one_class": ("reconstruction", "mse", "ink"),
    "one_class_latent": ("reconstruction", "kl", "z_norm", "z_log_sigma"),
}
COMPONENTS = 20
REGULARIZATION = 1e-4
LEAST_SCALE = 1e-5
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class OneClass:
    """A Gaussian mixture over some standardized statistics of training images, called `names`.

    Density over statistics of the model, not over pixels: a cheap form of DoSE (Morningstar et al. 2021,
    arXiv:2006.09273). Arrays, for f statistics: mean and scale (f,), weights (k,), centers (k, f), precision_roots
    (k, f, f).
    """

    names: tuple[str, ...]
    mean: Float[np.ndarray, " names"]
    scale: Float[np.ndarray, " names"]
    weights: Float[np.ndarray, " components"]
    centers: Float[np.ndarray, "components names"]
    precision_roots: Float[np.ndarray, "components names names"]

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "OneClass":
        """The mixture from the result of `vars`."""
        arrays = {name: np.array(values) for name, values in content.items() if name != "names"}
        return cls(names=tuple(content["names"]), **arrays)

    def score(self, statistics: Mapping[str, Float[np.ndarray, " count"]]) -> Float[np.ndarray, " count"]:
        """−log density of the image statistics (count,), in standard units, shape (count,)."""
        table = np.column_stack([statistics[name] for name in self.names])
        return np.concatenate([self._score(table[rows]) for rows in batches(len(table), ROWS_AT_ONCE)])

    def _score(self, table: Float[np.ndarray, "count names"]) -> Float[np.ndarray, " count"]:
        standard = (table - self.mean) / self.scale
        whitened = np.einsum("nkf,kfg->nkg", standard[:, None] - self.centers, self.precision_roots)
        log_determinant = np.log(np.diagonal(self.precision_roots, axis1=1, axis2=2)).sum(axis=1)
        squared = (whitened**2).sum(axis=2)
        log_density = log_determinant - 0.5 * (squared + standard.shape[1] * np.log(2 * np.pi))
        return -logsumexp(log_density, b=self.weights, axis=1)


def fit_one_class(statistics: Mapping[str, Float[np.ndarray, " count"]], names: Sequence[str], seed: int) -> OneClass:
    """A mixture fitted to the `statistics` (count,) of training images in `names`; a model may lack some of them."""
    names = [name for name in names if name in statistics]
    table = np.column_stack([statistics[name] for name in names])
    mean, scale = table.mean(axis=0), table.std(axis=0)
    scale[scale < LEAST_SCALE] = 1.0
    mixture = GaussianMixture(
        min(COMPONENTS, len(table)), init_params="k-means++", reg_covar=REGULARIZATION, max_iter=300, random_state=seed
    ).fit((table - mean) / scale)
    return OneClass(tuple(names), mean, scale, mixture.weights_, mixture.means_, mixture.precisions_cholesky_)


def fit_densities(statistics: Mapping[str, Float[np.ndarray, " count"]], seed: int) -> dict[str, OneClass]:
    """A mixture for each of `DENSITIES`.

    `one_class` relates nats and squared error to ink, because a value that is usual for a bold image is rare for a
    faint one. `one_class_latent` uses statistics of the posterior instead of pixels.
    """
    return {name: fit_one_class(statistics, names, seed) for name, names in DENSITIES.items()}


def image_statistics(
    model: GenerativeModel, images: ImageSource, indices: Integer[np.ndarray, " count"], seed: int
) -> dict[str, Float[np.ndarray, " count"]]:
    """`elbo_scores`, and `ink` (mean pixel), `z_norm` (‖z_mean‖) and `z_log_sigma` (Σ log σ), each (count,)."""
    return posterior_statistics(model, images, *encode(model, images), indices, seed)


def posterior_statistics(
    model: GenerativeModel,
    images: ImageSource,
    z_mean: Float[np.ndarray, "count latent_dim"],
    z_log_var: Float[np.ndarray, "count noise_dim"],
    indices: Integer[np.ndarray, " count"],
    seed: int,
) -> dict[str, Float[np.ndarray, " count"]]:
    """`image_statistics` of images whose posteriors, as `encode` gives them, are known."""
    parts = list(image_batches(model, len(images)))
    ink = [images[rows].mean(axis=(1, 2, 3), dtype="float64") for rows in parts]
    return posterior_scores(model, images, z_mean, z_log_var, indices, seed) | {
        "ink": np.concatenate(ink),
        "z_norm": np.concatenate([np.linalg.norm(z_mean[rows].astype("float64"), axis=1) for rows in parts]),
        "z_log_sigma": 0.5 * z_log_var.sum(axis=1, dtype="float64"),
    }


def anomaly_scores(
    model: GenerativeModel,
    images: ImageSource,
    indices: Integer[np.ndarray, " count"],
    seed: int,
    densities: Mapping[str, Density],
) -> dict[str, Float[np.ndarray, " count"]]:
    """Those of `OOD_SCORES` that the model has, each (count,), in nats per image; higher is more unusual."""
    return _with_densities(image_statistics(model, images, indices, seed), densities)


def scores_by_content(
    model: GenerativeModel, images: Images, seed: int, densities: Mapping[str, Density]
) -> dict[str, Float[np.ndarray, " count"]]:
    """`anomaly_scores` of images from anywhere. The noise of an image depends on the seed and on the image alone."""
    return scores_and_latents(model, images, seed, densities)[0]


def scores_and_latents(
    model: GenerativeModel, images: Images, seed: int, densities: Mapping[str, Density]
) -> tuple[dict[str, Float[np.ndarray, " count"]], Float[np.ndarray, "count latent_dim"]]:
    """`scores_by_content`, and the `z_mean` (count, latent_dim) from which they are."""
    seen = as_seen(model, images, seed)
    z_mean, z_log_var = encode(model, seen)
    statistics = posterior_statistics(model, seen, z_mean, z_log_var, content_streams(images), seed)
    return _with_densities(statistics, densities), z_mean


def _with_densities(
    statistics: Mapping[str, Float[np.ndarray, " count"]], densities: Mapping[str, Density]
) -> dict[str, Float[np.ndarray, " count"]]:
    scores = {**statistics, **{name: density.score(statistics) for name, density in densities.items()}}
    return {name: scores[name] for name in OOD_SCORES if name in scores}
