"""The conditional VAE: encoder and decoder get the label (Kingma et al. 2014, arXiv:1406.5298, model M2)."""

import math
from typing import Any

import keras
import numpy as np
from jaxtyping import Float, Integer
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.networks import build_encoder
from vaeline.models.priors import MixtureByLabel, NormalByLabel, Prior, SameForAllLabels
from vaeline.models.vae import VAE, reparameterize


@keras.saving.register_keras_serializable(package="vaeline")
class ConditionalVAE(VAE):
    """A VAE whose z has two parts: the latents, which are random given image and label, and then the one-hot label.

    All metrics are those of image and label together: −log p(x, y) = −log p(x|y) + log(classes), which is also an upper
    bound on −log p(x). If no labels are given, the model guesses them; see `guess`.
    """

    is_conditional = True

    @property
    def latent_dim(self) -> int:
        return self.noise_dim + self.label_dim

    @property
    def label_dim(self) -> int:
        return self.classes

    @property
    def label_nats(self) -> float:
        return math.log(self.classes)

    def inputs(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None
    ) -> Any:
        return {"images": images, "labels": labels}

    def encode(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch latent_dim"], Float[Tensor, "batch noise_dim"]]:
        label = self.one_hot(self.guess(images) if labels is None else labels)
        z_mean, z_log_var = self.encoder([ops.convert_to_tensor(images), label], training=False)
        return ops.concatenate([z_mean, label], axis=1), z_log_var

    def guess(self, images: Float[Tensor, "batch height width channels"]) -> Integer[Tensor, " batch"]:
        """The most probable label (batch,) of each image, by Bayes' rule with equal class probabilities."""
        return ops.argmin(self.label_costs(images), axis=1)

    def label_costs(self, images: Float[Tensor, "batch height width channels"]) -> Float[Tensor, "batch classes"]:
        """−ELBO of each image for each label, with z = `z_mean`, shape (batch, classes), in nats."""
        count = len(images)
        repeated = ops.repeat(images, self.classes, axis=0)
        z_mean, z_log_var = self.encode(repeated, np.tile(np.arange(self.classes), count))
        costs = self.likelihood.nll(repeated, self.decode_logits(z_mean)) + self.rate(z_mean, z_mean, z_log_var)
        return ops.reshape(costs, (count, self.classes))

    def reparameterize(
        self,
        z_mean: Float[Tensor, "*#batch latent_dim"],
        z_log_var: Float[Tensor, "*#batch noise_dim"],
        noise: Float[Tensor, "*#batch noise_dim"],
    ) -> Float[Tensor, "*#batch latent_dim"]:
        latents = reparameterize(z_mean[..., : self.noise_dim], z_log_var, noise)
        return ops.concatenate([latents, z_mean[..., self.noise_dim :]], axis=-1)

    def draw_latents(
        self, n: int, seed: int, temperature: float = 1.0, label: int | None = None
    ) -> Float[Tensor, "{n} latent_dim"]:
        return self.prior.sample(n, seed, temperature, label)

    def call(self, inputs: dict[str, Tensor], training: bool | None = None) -> dict[str, Tensor]:
        label = self.one_hot(inputs["labels"])
        latents, z_log_var = self.encoder([inputs["images"], label])
        z_mean = ops.concatenate([latents, label], axis=1)
        noise = keras.random.normal(ops.shape(z_log_var), seed=self.noise_generator)
        z = self.reparameterize(z_mean, z_log_var, noise)
        outputs = {"z_mean": z_mean, "z_log_var": z_log_var, "z": z, "logits": self.decoder(z)}
        return {"target": inputs["images"], **outputs}

    def one_hot(self, labels: Integer[Tensor, " batch"]) -> Float[Tensor, "batch classes"]:
        """Labels (batch,) as one-hot vectors (batch, classes)."""
        return ops.one_hot(ops.cast(labels, "int32"), self.classes)

    def _build_encoder(self) -> Any:
        heads = {"z_mean": self.params.latent_dim, "z_log_var": self.params.latent_dim}
        return build_encoder(self.params, self.image, heads, self.classes)

    def _build_prior(self) -> Prior:
        prior, latent_dim = self.params.prior, self.params.latent_dim
        if prior.kind == "label":
            return NormalByLabel(latent_dim, self.classes)
        if prior.kind == "mixture":
            return MixtureByLabel(latent_dim, prior.components, self.classes)
        return SameForAllLabels(super()._build_prior(), self.classes)

    def _build_standard_prior(self) -> Prior:
        return SameForAllLabels(super()._build_standard_prior(), self.classes)


MODEL = ConditionalVAE
