"""How unusual an image is to a model: its −ELBO, and how rare its three statistics are among training images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from vaeline.evaluation.likelihood import elbo_scores
from vaeline.models.vae import VAE

SCORES = ("neg_elbo", "reconstruction", "kl", "one_class")
STATISTICS = 3
COMPONENTS = 20
REGULARIZATION = 1e-4


@dataclass(frozen=True)
class OneClass:
    """A Gaussian mixture over standardized statistics (reconstruction, squared error, ink) of training images.

    Density over statistics of the model, not over pixels: a cheap form of DoSE (Morningstar et al. 2021,
    arXiv:2006.09273). Ink, because nats rise with it: what is usual for a bold image is rare for a faint one.
    Arrays: mean and scale (3,), weights (k,), centers (k, 3), precision_roots (k, 3, 3).
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    centers: np.ndarray
    precision_roots: np.ndarray

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "OneClass":
        """The mixture that `vars` of one gave. Raises ValueError if it is one of other statistics."""
        mixture = cls(**{name: np.array(values) for name, values in content.items()})
        if mixture.mean.shape != (STATISTICS,):
            raise ValueError(f"its mixture is one of {mixture.mean.size} statistics, not of {STATISTICS}")
        return mixture

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """−log density of `statistics` (count, 3), in standard units, shape (count,)."""
        standard = (statistics - self.mean) / self.scale
        whitened = np.einsum("nkf,kfg->nkg", standard[:, None] - self.centers, self.precision_roots)
        log_determinant = np.log(np.diagonal(self.precision_roots, axis1=1, axis2=2)).sum(axis=1)
        squared = (whitened**2).sum(axis=2)
        log_density = log_determinant - 0.5 * (squared + standard.shape[1] * np.log(2 * np.pi))
        return -logsumexp(log_density, b=self.weights, axis=1)


def fit_one_class(statistics: np.ndarray, seed: int) -> OneClass:
    """The mixture of `statistics` (count, 3) of training images."""
    mean, scale = statistics.mean(axis=0), np.maximum(statistics.std(axis=0), 1e-9)
    mixture = GaussianMixture(
        min(COMPONENTS, len(statistics)),
        init_params="k-means++",
        reg_covar=REGULARIZATION,
        max_iter=300,
        random_state=seed,
    ).fit((statistics - mean) / scale)
    return OneClass(mean, scale, mixture.weights_, mixture.means_, mixture.precisions_cholesky_)


def one_class_statistics(images: np.ndarray, scores: dict[str, np.ndarray]) -> np.ndarray:
    """(count, 3): reconstruction, squared error a pixel, and mean pixel of images whose `elbo_scores` are known."""
    return np.column_stack([scores["reconstruction"], scores["mse"], images.mean(axis=(1, 2), dtype="float64")])


def anomaly_scores(
    model: VAE, images: np.ndarray, indices: np.ndarray, seed: int, one_class: OneClass
) -> dict[str, np.ndarray]:
    """`neg_elbo`, `reconstruction`, `kl` (nats per image) and `one_class` (nats), each (count,); higher is stranger."""
    scores = elbo_scores(model, images, indices, seed)
    scores["one_class"] = one_class.score(one_class_statistics(images, scores))
    return {name: scores[name] for name in SCORES}
