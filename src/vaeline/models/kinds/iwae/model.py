"""The importance-weighted autoencoder: a VAE with a tighter bound as its loss."""

import math
from collections.abc import Callable
from typing import Any

import keras
from jaxtyping import Float
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.generative import target_of
from vaeline.models.kinds.iwae.params import IWAEModelParams
from vaeline.models.priors import log_normal
from vaeline.models.vae import VAE


def importance_bound(log_weights: Float[Tensor, "batch samples"]) -> Float[Tensor, " batch"]:
    """−log (1/k) Σ w of each image, shape (batch,), from log w = log p(x, z) − log q(z|x), shape (batch, k)."""
    return math.log(log_weights.shape[1]) - ops.logsumexp(log_weights, axis=1)


@ops.custom_gradient
def scale_gradient(tensor: Any, factor: Any) -> tuple[Any, Callable]:
    """`tensor`, with its gradient multiplied by `factor`."""
    return tensor, lambda upstream: (upstream * factor, ops.zeros_like(factor))


@keras.saving.register_keras_serializable(package="vaeline")
class IWAE(VAE):
    """A VAE with the loss −log (1/k) Σ p(x, z) / q(z|x) over k draws of z (Burda et al. 2016, arXiv:1509.00519).

    There are two estimators of the gradient. `plain` is the gradient of the loss. `dreg` is the doubly reparameterised
    gradient (Tucker et al. 2019, arXiv:1810.04152, equation 8): it has no score term of log q, and the encoder's
    gradient through a z has the square of its normalised weight as factor. Its signal does not vanish as k grows. It
    decodes each z twice, first without gradient; a compiled training merges both. With k = 1 both estimators are that
    of the VAE, with the KL estimated from one draw.
    """

    params: IWAEModelParams  # ty: ignore[incompatible-mutable-override]  # read as the class of the kind

    def call(
        self, inputs: Float[Tensor, "batch height width channels"], training: bool | None = None
    ) -> dict[str, Any]:
        z_mean, z_log_var = self.encoder(inputs)
        shape = (ops.shape(z_mean)[0], self.params.iwae.samples, self.noise_dim)
        noise = keras.random.normal(shape, seed=self.noise_generator)
        z = self.reparameterize(z_mean[:, None], z_log_var[:, None], noise)
        return {"target": inputs, "z_mean": z_mean, "z_log_var": z_log_var, "z": z}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Float[Tensor, ""]:
        target = target_of(y, y_pred)
        z, z_mean, z_log_var = (y_pred[name] for name in ("z", "z_mean", "z_log_var"))
        reconstruction, kl = self._terms(target, z, z_mean, z_log_var, training)
        self.measure(*(ops.mean(values, axis=1) for values in (reconstruction + kl, reconstruction, kl)))
        weight = self.params.beta * (self.kl_weight if training else 1.0)
        log_weights = -reconstruction - weight * kl
        bound = ops.mean(importance_bound(log_weights))
        if not training or self.params.iwae.estimator == "plain":
            return bound
        shares = ops.stop_gradient(ops.softmax(log_weights, axis=1))
        weighed = scale_gradient(z, shares[..., None])
        held = (ops.stop_gradient(z_mean), ops.stop_gradient(z_log_var))
        reconstruction, kl = self._terms(target, weighed, *held, training)
        surrogate = ops.mean(ops.sum(shares * (reconstruction + weight * kl), axis=1))
        return surrogate + ops.stop_gradient(bound - surrogate)

    def _terms(
        self,
        target: Float[Tensor, "batch height width channels"],
        z: Float[Tensor, "batch samples latent_dim"],
        z_mean: Float[Tensor, "batch latent_dim"],
        z_log_var: Float[Tensor, "batch noise_dim"],
        training: bool,
    ) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch samples"]]:
        """−log p(x|z) and log q(z|x) − log p(z) of each draw, both (batch, k), in nats."""
        flat = ops.reshape(z, (-1, self.latent_dim))
        logits = self.decoder(flat, training=training)
        logits = ops.reshape(logits, (-1, z.shape[1], *logits.shape[1:]))
        log_prior = ops.reshape(self.training_prior.log_prob(flat), (-1, z.shape[1]))
        return self.likelihood.nll(target[:, None], logits), log_normal(
            z, z_mean[:, None], z_log_var[:, None]
        ) - log_prior


MODEL = IWAE
