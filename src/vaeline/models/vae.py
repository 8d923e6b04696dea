"""The variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114) and its losses."""

from typing import Any

import keras
import numpy as np
from jaxtyping import Float, Integer
from keras import ops

from vaeline.images.arrays import binarize, to_unit
from vaeline.images.lazy import ByteSource, LazyImages, rows_at_once
from vaeline.images.types import Labels, Tensor
from vaeline.models.generative import GenerativeModel, target_of
from vaeline.models.networks import build_decoder, build_encoder
from vaeline.models.priors import Prior, StandardNormal, build_prior, kl_by_latent

FITTED_IMAGES = 20_000
ROWS_AT_ONCE = 1000


def reparameterize(
    z_mean: Float[Tensor, "*#batch noise_dim"],
    z_log_var: Float[Tensor, "*#batch noise_dim"],
    noise: Float[Tensor, "*#batch noise_dim"],
) -> Float[Tensor, "*#batch noise_dim"]:
    """z = z_mean + exp(z_log_var / 2) · noise, all (batch, latent_dim) (arXiv:1312.6114, section 2.4)."""
    return z_mean + ops.exp(0.5 * z_log_var) * noise


@keras.saving.register_keras_serializable(package="vaeline")
class VAE(GenerativeModel):
    """Encoder, sampling and decoder with the loss −log p(x|z) + beta · KL, in nats per image.

    `beta` weights the KL (Higgins et al. 2017). `free_bits` is the KL of each latent, in nats, that costs nothing, as a
    mean over the batch (Kingma et al. 2016, arXiv:1606.04934, appendix C.8). `capacity` replaces the KL term by
    beta · |KL − capacity| (Burgess et al. 2018, arXiv:1804.03599). The prior is N(0, I), learned with the model, or
    fitted after training.
    """

    def build_parts(self) -> None:
        self.encoder = self._build_encoder()
        self.decoder = build_decoder(
            self.params, self.image, self.latent_dim, self.likelihood.logits_per_pixel(self.image.channels)
        )
        self.prior = self._build_prior()
        self.training_prior = self._build_standard_prior() if self.params.prior.kind == "mixture" else self.prior
        self.noise_generator = keras.random.SeedGenerator(self.seed)

    def initialize(self, images: ByteSource, labels: Labels) -> None:
        super().initialize(images, labels)
        rng = np.random.default_rng(self.seed)
        chosen = np.sort(rng.permutation(len(images))[:FITTED_IMAGES])
        self.prior.initialize(LazyImages.of_bytes(images).take(chosen), rng)

    def fit_prior(self, images: ByteSource, labels: Labels) -> None:
        if self.prior is self.training_prior:
            return
        rng = np.random.default_rng(self.seed)
        chosen = np.sort(rng.permutation(len(images))[:FITTED_IMAGES])
        z = []
        for rows in np.array_split(chosen, 1 + len(chosen) // rows_at_once(ROWS_AT_ONCE, self.image)):
            seen = to_unit(images[rows])
            if self.params.binarize:
                seen = binarize(seen, rng.random(seen.shape))
            z_mean, z_log_var = self.encode(seen, labels[rows])
            noise = rng.standard_normal(z_log_var.shape, dtype="float32")
            z.append(ops.convert_to_numpy(self.reparameterize(z_mean, z_log_var, noise)))
        self.prior.fit(np.concatenate(z), self.seed)

    def encode(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch latent_dim"], Float[Tensor, "batch noise_dim"]]:
        return tuple(self.encoder(images, training=False))

    def reparameterize(
        self,
        z_mean: Float[Tensor, "*#batch latent_dim"],
        z_log_var: Float[Tensor, "*#batch noise_dim"],
        noise: Float[Tensor, "*#batch noise_dim"],
    ) -> Float[Tensor, "*#batch latent_dim"]:
        return reparameterize(z_mean, z_log_var, noise)

    def call(
        self, inputs: Float[Tensor, "batch height width channels"], training: bool | None = None
    ) -> dict[str, Tensor]:
        z_mean, z_log_var = self.encoder(inputs)
        noise = keras.random.normal(ops.shape(z_log_var), seed=self.noise_generator)
        z = self.reparameterize(z_mean, z_log_var, noise)
        return {"target": inputs, "z_mean": z_mean, "z_log_var": z_log_var, "z": z, "logits": self.decoder(z)}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        reconstruction = self.likelihood.nll(target_of(y, y_pred), y_pred["logits"])
        z, z_mean, z_log_var = y_pred["z"], y_pred["z_mean"], y_pred["z_log_var"]
        kl = self.training_prior.kl(z, z_mean, z_log_var)
        self.measure(reconstruction + kl, reconstruction, kl)
        weight = self.kl_weight if training else 1.0
        return ops.mean(reconstruction) + self.kl_cost(kl, z_mean, z_log_var, weight)

    def kl_cost(
        self,
        kl: Float[Tensor, " batch"],
        z_mean: Float[Tensor, "batch latent_dim"],
        z_log_var: Float[Tensor, "batch noise_dim"],
        weight: Tensor,
    ) -> Float[Tensor, ""]:
        """The KL term of the loss, a scalar, from the KL (batch,) of the posteriors; `weight` is the warm-up factor."""
        beta, free_bits, capacity = self.params.beta, self.params.free_bits, self.params.capacity
        if capacity:
            return beta * ops.abs(ops.mean(kl) - self.label_nats - weight * capacity)
        if free_bits:
            each = ops.mean(kl_by_latent(z_mean[:, : self.noise_dim], z_log_var), axis=0)
            return beta * weight * ops.sum(ops.maximum(each, free_bits))
        return beta * weight * ops.mean(kl)

    def _build_encoder(self) -> Any:
        heads = {"z_mean": self.params.latent_dim, "z_log_var": self.params.latent_dim}
        return build_encoder(self.params, self.image, heads)

    def _build_prior(self) -> Prior:
        return build_prior(self.params.prior, self.params.latent_dim, self.encoder, self.image)

    def _build_standard_prior(self) -> Prior:
        return StandardNormal(self.params.latent_dim)
