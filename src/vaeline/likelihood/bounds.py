"""Negative log-likelihood of each image and its bounds, in nats per image; lower is better.

Images are float32 (count, height, width, channels) in [0, 1], or binary where the model was trained on binary
pixels. For greys the NLL is −log ∫ p(z) exp(−BCE(x, z)) dz: an upper bound on the expected NLL of dynamically
binarized pixels.
"""

import math
from collections import defaultdict
from collections.abc import Callable

import keras
import numpy as np
from jaxtyping import Float, Float64, Integer
from keras import ops
from scipy.special import logsumexp
from tqdm import tqdm

from vaeline.evaluation.inference import batches, encode, image_batches, to_numpy
from vaeline.evaluation.noise import latent_noise
from vaeline.images.lazy import ImageSource, rows_at_once
from vaeline.images.types import Labels, Tensor
from vaeline.models.generative import GenerativeModel

ROWS_DECODED_AT_ONCE = 5000
ROWS_WORTH_COMPILING = 100_000
GRID_ROWS_AT_ONCE = 2048
GRID_NUMBERS_AT_ONCE = 8_000_000  # numbers of the images that are compared with the grid at once
LEAST_EXTENT = 4.5
LOG_2PI = math.log(2 * math.pi)


def elbo_scores(
    model: GenerativeModel,
    images: ImageSource,
    indices: Integer[np.ndarray, " count"],
    seed: int,
    labels: Labels | None = None,
) -> dict[str, Float64[np.ndarray, " count"]]:
    """`neg_elbo`, `reconstruction` and `kl` with one sample of z for each image, and `mse` per pixel at `z_mean`.

    Each has shape (count,). The ELBO is that of beta = 1, whatever the model was trained with. A model without a
    bound has no `neg_elbo` and no `kl`.
    """
    return posterior_scores(model, images, *encode(model, images, labels), indices, seed)


def posterior_scores(
    model: GenerativeModel,
    images: ImageSource,
    z_mean: Float[np.ndarray, "count latent_dim"],
    z_log_var: Float[np.ndarray, "count noise_dim"],
    indices: Integer[np.ndarray, " count"],
    seed: int,
) -> dict[str, Float64[np.ndarray, " count"]]:
    """`elbo_scores` of images whose posteriors, as `encode` gives them, are known."""
    parts: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    for rows in image_batches(model, len(images)):
        batch = images[rows]
        noise = latent_noise(seed, indices[rows], 1, model.noise_dim)[:, 0]
        z = model.reparameterize(z_mean[rows], z_log_var[rows], noise)
        parts["reconstruction"].append(to_numpy(model.likelihood.nll(batch, model.decode_logits(z))))
        if model.has_bound:
            parts["kl"].append(to_numpy(model.rate(z, z_mean[rows], z_log_var[rows])))
        squared_error = (to_numpy(model.decode(z_mean[rows])) - batch) ** 2
        parts["mse"].append(squared_error.mean(axis=(1, 2, 3)))
    scores = {name: np.concatenate(part).astype("float64") for name, part in parts.items()}
    return ({"neg_elbo": scores["reconstruction"] + scores["kl"]} if model.has_bound else {}) | scores


def importance_weighted_nll(
    model: GenerativeModel,
    images: ImageSource,
    indices: Integer[np.ndarray, " count"],
    samples: int,
    seed: int,
    labels: Labels | None = None,
) -> Float64[np.ndarray, " count"]:
    """−log (1/k) Σ p(x, z_k) / q(z_k|x) with k = `samples`, shape (count,) (Burda et al. 2015, equation 8).

    An upper bound on the NLL that falls with k. Memory does not grow with k or the number of images.
    """
    z_mean, z_log_var = encode(model, images, labels)
    log_joint = _log_joint_of(model, len(images) * samples)
    decoded_at_once = rows_at_once(ROWS_DECODED_AT_ONCE, model.image)
    images_at_once = max(1, decoded_at_once // samples)
    bounds = []
    for rows in tqdm(list(batches(len(images), images_at_once)), desc=f"NLL, k = {samples}", disable=None):
        noise = latent_noise(seed, indices[rows], samples, model.noise_dim)
        log_weights = np.concatenate(
            [
                log_joint((images[rows], z_mean[rows], z_log_var[rows], noise[:, part]))
                for part in batches(samples, decoded_at_once)
            ],
            axis=1,
        )
        log_weights -= _log_normal(noise) - 0.5 * z_log_var[rows].sum(axis=-1, keepdims=True)
        bounds.append(math.log(samples) - logsumexp(log_weights.astype("float64"), axis=1))
    return np.concatenate(bounds)


def label_bounds(
    model: GenerativeModel, images: ImageSource, indices: Integer[np.ndarray, " count"], samples: int, seed: int
) -> Float64[np.ndarray, "count classes"]:
    """`importance_weighted_nll` of each image with every label that the model knows, shape (count, classes).

    By Bayes' rule the lowest one names the class. An image has the same noise under all labels.
    """
    every_label = np.repeat(np.arange(model.classes)[:, None], len(images), axis=1)
    bounds = [importance_weighted_nll(model, images, indices, samples, seed, labels) for labels in every_label]
    return np.stack(bounds, axis=1)


def exact_nll(model: GenerativeModel, images: ImageSource, points: int) -> Float64[np.ndarray, " count"]:
    """NLL of a model with two latent dimensions by a sum over a grid of `points` × `points`, shape (count,).

    The grid spans all posteriors of `images` (their means and three standard deviations), at least ±4.5.
    """
    if not has_grid(model):
        raise ValueError(f"a grid needs two random latents, the model has {model.noise_dim} of {model.latent_dim}")
    z_mean, z_log_var = encode(model, images)
    extent = max(LEAST_EXTENT, float((np.abs(z_mean) + 3 * np.exp(0.5 * z_log_var)).max()))
    axis, spacing = np.linspace(-extent, extent, points, retstep=True)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2).astype("float32")
    log_mass = to_numpy(model.log_prior(grid)) + 2 * math.log(spacing)
    found = []
    for some in batches(len(images), max(1, GRID_NUMBERS_AT_ONCE // model.image.dimensions)):
        compared, log_likelihood = images[some], np.full(some.stop - some.start, -np.inf)
        grid_parts = list(batches(len(grid), rows_at_once(GRID_ROWS_AT_ONCE, model.image)))
        for rows in tqdm(grid_parts, desc="exact NLL", disable=None):
            pairwise = model.likelihood.pairwise_nll(compared, model.decode_logits(grid[rows]))
            part = ops.logsumexp(ops.convert_to_tensor(log_mass[rows]) - pairwise, axis=1)
            log_likelihood = np.logaddexp(log_likelihood, to_numpy(part).astype("float64"))
        found.append(-log_likelihood)
    return np.concatenate(found)


def has_grid(model: GenerativeModel) -> bool:
    """Whether `exact_nll` applies: two latents, both random given the image, and a likelihood with `pairwise_nll`."""
    return model.latent_dim == model.noise_dim == 2 and model.likelihood.has_pairwise


def active_units(z_mean: Float[np.ndarray, "count latent_dim"], threshold: float = 0.01) -> int:
    """Latent dimensions whose posterior mean varies over images by more than `threshold` (Burda et al. 2015)."""
    return int((z_mean.var(axis=0) > threshold).sum())


class LogJoint(keras.Model):
    """log p(x, z) of a model, shape (count, samples).

    It is called with images (count, height, width, channels), their `z_mean` and `z_log_var`, and noise (count,
    samples, noise_dim) that makes z.
    """

    def __init__(self, model: GenerativeModel):
        super().__init__(name="log_joint")
        self.model = model
        self.built = True

    def call(self, inputs: tuple[Tensor, Tensor, Tensor, Tensor]) -> Float[Tensor, "count samples"]:
        images, z_mean, z_log_var, noise = inputs
        count, samples = ops.shape(noise)[:2]
        repeated = (ops.repeat(each, samples, axis=0) for each in (z_mean, z_log_var))
        z = self.model.reparameterize(*repeated, ops.reshape(noise, (count * samples, noise.shape[2])))
        logits = self.model.decode_logits(z)
        logits = ops.reshape(logits, (count, samples, *logits.shape[1:]))
        log_prior = ops.reshape(self.model.log_prior(z), (count, samples))
        return log_prior - self.model.likelihood.nll(images[:, None], logits)


def _log_joint_of(
    model: GenerativeModel, rows: int
) -> Callable[[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]], np.ndarray]:
    """`LogJoint` as a function of arrays, compiled if there are enough `rows` of z.

    On a CPU, XLA is quick for dense networks and slow for convolutions (benchmarks/nll.md).
    """
    log_joint = LogJoint(model)
    if rows <= ROWS_WORTH_COMPILING:
        return lambda inputs: to_numpy(log_joint.call(inputs))
    log_joint.compile(jit_compile=keras.backend.backend() == "jax" or "conv" not in model.params.architecture)
    return log_joint.predict_on_batch


def _log_normal(z: Float[np.ndarray, "*rows noise_dim"]) -> Float[np.ndarray, "*rows"]:
    """log N(z; 0, I) over the last axis."""
    return -0.5 * (z**2 + np.float32(LOG_2PI)).sum(axis=-1)
