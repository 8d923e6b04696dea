"""Priors p(z) over latents (batch, latent_dim).

Each prior has three methods. `log_prob(z)`, shape (batch,), is in nats. `kl(z, z_mean, z_log_var)`, shape (batch,), is
KL(q(z|x) ‖ p(z)) of each image in nats, in closed form if there is one, else estimated from one z drawn from q.
`sample(n, seed, temperature)` draws latents; the temperature scales the Gaussian noise.
"""

import math
from typing import Any, TypeAlias

import keras
import numpy as np
from jaxtyping import Float
from keras import layers, ops
from sklearn.mixture import GaussianMixture

from vaeline.images.lazy import ImageSource
from vaeline.images.spec import ImageSpec
from vaeline.images.types import Tensor
from vaeline.models.networks import in_float32
from vaeline.params.model import PriorParams

LOG_2PI = math.log(2 * math.pi)
Latents: TypeAlias = Float[Tensor, "batch latent_dim"]
RandomLatents: TypeAlias = Float[Tensor, "batch noise_dim"]  # the entries that are random given the image
OneHot: TypeAlias = Float[Tensor, "batch classes"]
EachImage: TypeAlias = Float[Tensor, " batch"]

SCALE_BOUND = 2.0
REGULARIZATION = 1e-4


def log_normal(
    z: Float[Tensor, "*#batch dim"],
    mean: Float[Tensor, "*#batch dim"] | float = 0.0,
    log_var: Float[Tensor, "*#batch dim"] | float = 0.0,
) -> Float[Tensor, "*#batch"]:
    """log N(z; mean, exp(log_var)) over the last axis."""
    return -0.5 * ops.sum(ops.square(z - mean) * ops.exp(-log_var) + log_var + LOG_2PI, axis=-1)


def kl_by_latent(z_mean: RandomLatents, z_log_var: RandomLatents) -> RandomLatents:
    """KL(q(z_j|x) ‖ N(0, 1)) of each latent, shape (batch, latent_dim), in nats (arXiv:1312.6114, appendix B)."""
    return -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))


class Prior(layers.Layer):
    """The base class of priors. Its KL is estimated by Monte Carlo, and nothing is fitted."""

    def __init__(self):
        super().__init__(name="prior")
        self.built = True

    def log_prob(self, z: Latents) -> EachImage:
        raise NotImplementedError

    def sample(self, n: int, seed: int, temperature: float) -> Float[Tensor, "{n} latent_dim"]:
        raise NotImplementedError

    def kl(self, z: Latents, z_mean: Latents, z_log_var: RandomLatents) -> EachImage:
        return log_normal(z, z_mean, z_log_var) - self.log_prob(z)

    def initialize(self, images: ImageSource, rng: np.random.Generator) -> None:
        """Start from training images (count, height, width, channels) in [0, 1]."""

    def fit(self, z: Float[np.ndarray, "count latent_dim"], seed: int) -> None:
        """Fit the prior after training to draws (count, latent_dim) from the aggregated posterior."""


class StandardNormal(Prior):
    """N(0, I)."""

    def __init__(self, latent_dim: int):
        super().__init__()
        self.latent_dim = latent_dim

    def log_prob(self, z: Latents) -> EachImage:
        return log_normal(z)

    def sample(self, n: int, seed: int, temperature: float) -> Float[Tensor, "{n} latent_dim"]:
        return temperature * keras.random.normal((n, self.latent_dim), seed=seed)

    def kl(self, z: Latents, z_mean: Latents, z_log_var: RandomLatents) -> EachImage:
        return ops.sum(kl_by_latent(z_mean, z_log_var), axis=-1)


class VampPrior(Prior):
    """A mixture, with equal weights, of the posteriors of pseudo-inputs (Tomczak & Welling 2018, arXiv:1705.07120).

    Pseudo-inputs are learned. They start as random training images, and a sigmoid keeps them in (0, 1).
    """

    def __init__(self, encoder: keras.Model, components: int, image: ImageSpec):
        super().__init__()
        self.encoder = encoder
        self.pseudo_logits = self.add_weight(
            shape=(components, *image.shape), initializer="zeros", name="pseudo_inputs"
        )

    def initialize(self, images: ImageSource, rng: np.random.Generator) -> None:
        components = self.pseudo_logits.shape[0]
        chosen = np.clip(images[rng.choice(len(images), components, replace=len(images) < components)], 0.02, 0.98)
        self.pseudo_logits.assign(np.log(chosen) - np.log1p(-chosen))

    def load_own_variables(self, store: Any) -> None:
        """Load pseudo-inputs; in archives from before images had channels, they lack the last axis."""
        self.pseudo_logits.assign(np.reshape(store["0"], self.pseudo_logits.shape))

    def pseudo_inputs(self) -> Float[Tensor, "components height width channels"]:
        """Images (components, height, width, channels) in (0, 1)."""
        return ops.sigmoid(self.pseudo_logits)

    def log_prob(self, z: Latents) -> EachImage:
        z_mean, z_log_var = self.encoder(self.pseudo_inputs())
        log_components = log_normal(z[:, None], z_mean[None], z_log_var[None])
        return ops.logsumexp(log_components, axis=1) - math.log(self.pseudo_logits.shape[0])

    def sample(self, n: int, seed: int, temperature: float) -> Float[Tensor, "{n} latent_dim"]:
        z_mean, z_log_var = self.encoder(self.pseudo_inputs(), training=False)
        generator = keras.random.SeedGenerator(seed)
        chosen = keras.random.randint((n,), 0, self.pseudo_logits.shape[0], seed=generator)
        noise = keras.random.normal((n, z_mean.shape[1]), seed=generator)
        scale = temperature * ops.exp(0.5 * ops.take(z_log_var, chosen, axis=0))
        return ops.take(z_mean, chosen, axis=0) + scale * noise


class FlowPrior(Prior):
    """RealNVP: affine coupling layers from z to N(0, I) (Dinh et al. 2017, arXiv:1605.08803).

    Each layer scales and shifts one half of the latents; a network computes scale and shift from the other half. The
    order of the latents is reversed between layers.
    """

    def __init__(self, latent_dim: int, coupling_layers: int, width: int):
        super().__init__()
        self.kept = latent_dim - latent_dim // 2
        self.latent_dim = latent_dim
        self.couplings = [self._coupling(index, width) for index in range(coupling_layers)]

    def log_prob(self, z: Latents) -> EachImage:
        noise, log_determinant = self.to_noise(z)
        return log_normal(noise) + log_determinant

    def sample(self, n: int, seed: int, temperature: float) -> Float[Tensor, "{n} latent_dim"]:
        return self.from_noise(temperature * keras.random.normal((n, self.latent_dim), seed=seed))

    def to_noise(self, z: Latents) -> tuple[Latents, EachImage]:
        """The noise from which the flow makes z, and log |det ∂noise/∂z|, shape (batch,)."""
        log_determinant = 0.0
        for coupling in self.couplings:
            read, changed = z[:, : self.kept], z[:, self.kept :]
            log_scale, shift = self._affine(coupling, read)
            changed = changed * ops.exp(log_scale) + shift
            z = ops.flip(ops.concatenate([read, changed], axis=1), axis=1)
            log_determinant = log_determinant + ops.sum(log_scale, axis=1)
        return z, log_determinant

    def from_noise(self, noise: Latents) -> Latents:
        """The inverse of `to_noise`."""
        z = noise
        for coupling in reversed(self.couplings):
            z = ops.flip(z, axis=1)
            read, changed = z[:, : self.kept], z[:, self.kept :]
            log_scale, shift = self._affine(coupling, read)
            z = ops.concatenate([read, (changed - shift) * ops.exp(-log_scale)], axis=1)
        return z

    def _affine(
        self, coupling: keras.Model, read: Float[Tensor, "batch kept"]
    ) -> tuple[Float[Tensor, "batch changed"], Float[Tensor, "batch changed"]]:
        raw, shift = coupling(read)
        return SCALE_BOUND * ops.tanh(raw / SCALE_BOUND), shift

    def _coupling(self, index: int, width: int) -> keras.Model:
        read = keras.Input((self.kept,), name="read")
        features = read
        for layer in range(2):
            features = layers.Dense(width, activation="relu", name=f"dense_{layer}")(features)
        changed = self.latent_dim - self.kept
        with in_float32():
            heads = [
                layers.Dense(changed, kernel_initializer="zeros", name=name)(features) for name in ("scale", "shift")
            ]
        return keras.Model(read, heads, name=f"coupling_{index}")


class MixturePrior(Prior):
    """A mixture of Gaussians, fitted to the aggregated posterior after a training with the prior N(0, I).

    Source: Ghosh et al. 2020, arXiv:1903.12436. Before the fit, each Gaussian is N(0, I).
    """

    def __init__(self, latent_dim: int, components: int):
        super().__init__()
        self.latent_dim = latent_dim

        def fixed(shape: tuple[int, ...], name: str) -> keras.Variable:
            return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

        self.log_weights = fixed((components,), "log_weights")
        self.centers = fixed((components, latent_dim), "centers")
        self.precision_roots = fixed((components, latent_dim, latent_dim), "precision_roots")
        self.log_weights.assign(np.full(components, -math.log(components)))
        self.precision_roots.assign(np.tile(np.eye(latent_dim), (components, 1, 1)))

    def fit(self, z: Float[np.ndarray, "count latent_dim"], seed: int) -> None:
        components = min(self.log_weights.shape[0], len(z) // 2)
        if not components:
            return
        mixture = GaussianMixture(
            components, init_params="k-means++", reg_covar=REGULARIZATION, max_iter=200, random_state=seed
        ).fit(z)
        unused = self.log_weights.shape[0] - components
        self.log_weights.assign(np.pad(np.log(mixture.weights_), (0, unused), constant_values=-np.inf))
        self.centers.assign(np.pad(mixture.means_, ((0, unused), (0, 0))))
        roots = [mixture.precisions_cholesky_, np.tile(np.eye(z.shape[1]), (unused, 1, 1))]
        self.precision_roots.assign(np.concatenate(roots))

    def log_prob(self, z: Latents) -> EachImage:
        whitened = ops.einsum("nkf,kfg->nkg", z[:, None] - self.centers, self.precision_roots)
        log_determinants = ops.sum(ops.log(ops.diagonal(self.precision_roots, axis1=1, axis2=2)), axis=1)
        return ops.logsumexp(self.log_weights + log_determinants + log_normal(whitened), axis=1)

    def sample(self, n: int, seed: int, temperature: float) -> Float[Tensor, "{n} latent_dim"]:
        generator = keras.random.SeedGenerator(seed)
        chosen = keras.random.categorical(self.log_weights[None], n, seed=generator)[0]
        noise = keras.random.normal((n, self.latent_dim), seed=generator)
        roots = ops.take(self.precision_roots, chosen, axis=0)
        coloured = ops.solve_triangular(ops.transpose(roots, (0, 2, 1)), temperature * noise[..., None], lower=True)
        return ops.take(self.centers, chosen, axis=0) + coloured[..., 0]


class LabelledPrior(Prior):
    """p(z) of latents followed by a one-hot label: equal class probabilities, times p(latents|label).

    z has the shape (batch, latent_dim + classes). A subclass defines `log_given` and `draw`.
    """

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def log_given(self, latents: RandomLatents, label: OneHot) -> EachImage:
        """log p(latents|label), shape (batch,), in nats."""
        raise NotImplementedError

    def draw(self, label: OneHot, seed: int, temperature: float) -> RandomLatents:
        """Draws of latents (n, latent_dim) given one-hot labels (n, classes)."""
        raise NotImplementedError

    def log_prob(self, z: Latents) -> EachImage:
        return self.log_given(*self.split(z)) - math.log(self.classes)

    def kl(self, z: Latents, z_mean: Latents, z_log_var: RandomLatents) -> EachImage:
        return log_normal(self.split(z)[0], self.split(z_mean)[0], z_log_var) - self.log_prob(z)

    def sample(
        self, n: int, seed: int, temperature: float, label: int | None = None
    ) -> Float[Tensor, "{n} latent_dim"]:
        """Draws of the class `label`, or of random classes."""
        labels = np.random.default_rng(seed).integers(self.classes, size=n) if label is None else np.full(n, label)
        one_hot = ops.one_hot(labels, self.classes)
        return ops.concatenate([self.draw(one_hot, seed, temperature), one_hot], axis=1)

    def split(self, z: Latents) -> tuple[RandomLatents, OneHot]:
        """Latents and one-hot labels of z."""
        return z[:, : -self.classes], z[:, -self.classes :]


class SameForAllLabels(LabelledPrior):
    """The same prior of the latents for all labels."""

    def __init__(self, latents: Prior, classes: int):
        super().__init__(classes)
        self.latents = latents

    def log_given(self, latents: RandomLatents, label: OneHot) -> EachImage:
        return self.latents.log_prob(latents)

    def draw(self, label: OneHot, seed: int, temperature: float) -> RandomLatents:
        return self.latents.sample(len(label), seed, temperature)

    def kl(self, z: Latents, z_mean: Latents, z_log_var: RandomLatents) -> EachImage:
        return self.latents.kl(self.split(z)[0], self.split(z_mean)[0], z_log_var) + math.log(self.classes)


class NormalByLabel(LabelledPrior):
    """N(mean, exp(log_var)) of the latents for each class, learned with the model (Sohn et al. 2015, section 4)."""

    def __init__(self, latent_dim: int, classes: int):
        super().__init__(classes)
        self.centers = self.add_weight(shape=(classes, latent_dim), initializer="zeros", name="centers")
        self.log_vars = self.add_weight(shape=(classes, latent_dim), initializer="zeros", name="log_vars")

    def log_given(self, latents: RandomLatents, label: OneHot) -> EachImage:
        return log_normal(latents, *self._of(label))

    def draw(self, label: OneHot, seed: int, temperature: float) -> RandomLatents:
        mean, log_var = self._of(label)
        return mean + temperature * ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=seed)

    def kl(self, z: Latents, z_mean: Latents, z_log_var: RandomLatents) -> EachImage:
        latents, label = self.split(z_mean)
        mean, log_var = self._of(label)
        standard = (latents - mean) * ops.exp(-0.5 * log_var)
        return ops.sum(kl_by_latent(standard, z_log_var - log_var), axis=-1) + math.log(self.classes)

    def _of(self, label: OneHot) -> tuple[RandomLatents, RandomLatents]:
        return ops.matmul(label, self.centers), ops.matmul(label, self.log_vars)


class MixtureByLabel(LabelledPrior):
    """A mixture of Gaussians for the latents of each class, fitted after a training under N(0, I)."""

    def __init__(self, latent_dim: int, components: int, classes: int):
        super().__init__(classes)
        self.by_class = [MixturePrior(latent_dim, components) for _ in range(classes)]

    def log_given(self, latents: RandomLatents, label: OneHot) -> EachImage:
        each = ops.stack([prior.log_prob(latents) for prior in self.by_class], axis=1)
        return ops.sum(label * each, axis=1)

    def draw(self, label: OneHot, seed: int, temperature: float) -> RandomLatents:
        each = ops.stack([prior.sample(len(label), seed, temperature) for prior in self.by_class], axis=1)
        return ops.sum(label[..., None] * each, axis=1)

    def fit(self, z: Float[np.ndarray, "count latent_dim"], seed: int) -> None:
        latents, label = self.split(z)
        for index, prior in enumerate(self.by_class):
            prior.fit(latents[label[:, index] == 1], seed)


def build_prior(params: PriorParams, latent_dim: int, encoder: keras.Model, image: ImageSpec) -> Prior:
    """The prior of the kind `params.kind` over `latent_dim` latents of `encoder`."""
    kinds: dict[str, Any] = {
        "normal": lambda: StandardNormal(latent_dim),
        "vamp": lambda: VampPrior(encoder, params.components, image),
        "flow": lambda: FlowPrior(latent_dim, params.layers, params.width),
        "mixture": lambda: MixturePrior(latent_dim, params.components),
    }
    return kinds[params.kind]()
