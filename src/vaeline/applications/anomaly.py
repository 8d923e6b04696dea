"""How unusual an image is to a model: its −ELBO, and how rare its four statistics are among training images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

from vaeline.evaluation.likelihood import elbo_scores, encode
from vaeline.models.vae import VAE

SCORES = ("neg_elbo", "reconstruction", "kl", "one_class")
COMPONENTS = 20
REGULARIZATION = 1e-4


@dataclass(frozen=True)
class OneClass:
    """A Gaussian mixture over standardized statistics (reconstruction, KL, ‖z_mean‖, Σ log σ) of training images.

    Density over statistics of the model, not over pixels: a cheap form of DoSE (Morningstar et al. 2021,
    arXiv:2006.09273). Arrays: mean and scale (4,), weights (k,), centers (k, 4), precision_roots (k, 4, 4).
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    centers: np.ndarray
    precision_roots: np.ndarray

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "OneClass":
        """The mixture that `vars` of one gave."""
        return cls(**{name: np.array(values) for name, values in content.items()})

    def score(self, statistics: np.ndarray) -> np.ndarray:
        """−log density of standardized `statistics` (count, 4), shape (count,)."""
        standard = (statistics - self.mean) / self.scale
        whitened = np.einsum("nkf,kfg->nkg", standard[:, None] - self.centers, self.precision_roots)
        log_determinant = np.log(np.diagonal(self.precision_roots, axis1=1, axis2=2)).sum(axis=1)
        squared = (whitened**2).sum(axis=2)
        log_density = log_determinant - 0.5 * (squared + standard.shape[1] * np.log(2 * np.pi))
        return -logsumexp(log_density, b=self.weights, axis=1)


def fit_one_class(statistics: np.ndarray, seed: int) -> OneClass:
    """The mixture of `statistics` (count, 4) of training images."""
    mean, scale = statistics.mean(axis=0), np.maximum(statistics.std(axis=0), 1e-9)
    mixture = GaussianMixture(
        min(COMPONENTS, len(statistics)),
        init_params="k-means++",
        reg_covar=REGULARIZATION,
        max_iter=300,
        random_state=seed,
    ).fit((statistics - mean) / scale)
    return OneClass(mean, scale, mixture.weights_, mixture.means_, mixture.precisions_cholesky_)


def one_class_statistics(model: VAE, images: np.ndarray, scores: dict[str, np.ndarray]) -> np.ndarray:
    """(count, 4): reconstruction, KL, ‖z_mean‖ and Σ log σ of images whose `elbo_scores` are known."""
    z_mean, z_log_var = encode(model, images)
    norm = np.linalg.norm(z_mean.astype("float64"), axis=1)
    return np.column_stack([scores["reconstruction"], scores["kl"], norm, 0.5 * z_log_var.sum(axis=1)])


def anomaly_scores(
    model: VAE, images: np.ndarray, indices: np.ndarray, seed: int, one_class: OneClass
) -> dict[str, np.ndarray]:
    """`neg_elbo`, `reconstruction`, `kl` (nats per image) and `one_class` (nats), each (count,); higher is stranger."""
    scores = elbo_scores(model, images, indices, seed)
    scores["one_class"] = one_class.score(one_class_statistics(model, images, scores))
    return {name: scores[name] for name in SCORES}
