"""The plain autoencoder, without KL and noise (Hinton & Salakhutdinov 2006)."""

from typing import Any

import keras
from jaxtyping import Float, Integer
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.generative import target_of
from vaeline.models.networks import build_encoder
from vaeline.models.vae import VAE


@keras.saving.register_keras_serializable(package="vaeline")
class Autoencoder(VAE):
    """Encoder and decoder with the loss −log p(x|z), in nats per image. The loss does not bound −log p(x).

    Samples are drawn from the prior: N(0, I), or a mixture fitted to the latents. The loss does not use the prior.
    """

    has_bound = False
    measured = ("reconstruction",)

    @property
    def noise_dim(self) -> int:
        return 0

    def encode(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch latent_dim"], Float[Tensor, "batch noise_dim"]]:
        return self.encoder(images, training=False), ops.zeros((ops.shape(images)[0], 0))

    def reparameterize(
        self,
        z_mean: Float[Tensor, "*#batch latent_dim"],
        z_log_var: Float[Tensor, "*#batch noise_dim"],
        noise: Float[Tensor, "*#batch noise_dim"],
    ) -> Float[Tensor, "*#batch latent_dim"]:
        return z_mean

    def call(
        self, inputs: Float[Tensor, "batch height width channels"], training: bool | None = None
    ) -> dict[str, Tensor]:
        z = self.encoder(inputs)
        return {"target": inputs, "z": z, "logits": self.decoder(z)}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        reconstruction = self.likelihood.nll(target_of(y, y_pred), y_pred["logits"])
        self.measure(reconstruction)
        return ops.mean(reconstruction)

    def _build_encoder(self) -> Any:
        return build_encoder(self.params, self.image, {"z_mean": self.params.latent_dim})


MODEL = Autoencoder
