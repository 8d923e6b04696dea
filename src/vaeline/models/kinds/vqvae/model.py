"""The vector-quantized VAE: a grid of codes instead of a vector (van den Oord et al. 2017, arXiv:1711.00937)."""

import math
from typing import Any

import keras
import numpy as np
from jaxtyping import Float, Int32, Integer
from keras import layers, ops

from vaeline.images.arrays import to_unit
from vaeline.images.lazy import ByteSource, rows_at_once
from vaeline.images.types import Labels, Tensor
from vaeline.models.generative import GenerativeModel, target_of
from vaeline.models.kinds.vqvae.code_prior import CodePrior, pick
from vaeline.models.kinds.vqvae.codebook import Codebook
from vaeline.models.kinds.vqvae.params import VQVAEModelParams
from vaeline.models.networks import build_grid_decoder, build_grid_encoder, grid_shape

PLACE_SCALE = 0.4
CLUSTERED_IMAGES = 2000
IMAGES_AT_ONCE = 500


@keras.saving.register_keras_serializable(package="vaeline")
class VQVAE(GenerativeModel):
    """Encoder, codebook and decoder with the loss −log p(x|z) + commitment · ‖z_e − z‖² − log p(codes), in nats.

    z is the grid of code vectors, one after the other. It has no randomness given the image, so −log p(x|z) −
    log p(codes) is an upper bound on −log p(x). The prior is trained together with the rest. The encoder also gets the
    gradient of beta · rate, or of beta · |rate − capacity|, towards codes that the prior expects. `train.kl_warmup`
    raises beta. With beta 0 the encoder has no such gradient, as in the paper.
    """

    params: VQVAEModelParams  # ty: ignore[incompatible-mutable-override]  # read as the class of the kind
    has_codes = True

    def build_parts(self) -> None:
        settings, dim = self.params.codebook, self.params.latent_dim
        logits = self.likelihood.logits_per_pixel(self.image.channels)
        self.grid = grid_shape(self.image, settings.side)
        self.encoder = build_grid_encoder(self.params, self.image, dim, settings.side)
        self.decoder = build_grid_decoder(self.params, self.image, dim, logits, settings.side)
        self.codebook = Codebook(settings, dim, self.seed)
        self.normalization = layers.LayerNormalization(center=False, scale=False, dtype="float32", name="normalization")
        self.normalization.build((None, *self.grid, dim))
        start = keras.initializers.RandomNormal(stddev=PLACE_SCALE, seed=self.seed)
        self.places = self.add_weight(shape=(*self.grid, dim), initializer=start, name="places")
        places, prior = math.prod(self.grid), self.params.prior
        self.prior = CodePrior(settings.codes, places, prior.layers, prior.width)

    @property
    def latent_dim(self) -> int:
        return math.prod(self.grid) * self.params.latent_dim

    @property
    def noise_dim(self) -> int:
        return 0

    @property
    def title(self) -> str:
        height, width = self.grid
        return (
            f"{self.params.kind}, {self.params.architecture}, {height} × {width} of {self.params.codebook.codes} codes"
        )

    def initialize(self, images: ByteSource, labels: Labels) -> None:
        """Start the decoder at the mean pixel, and the codebook at the k-means of the untrained encoder's vectors."""
        super().initialize(images, labels)
        chosen = np.random.default_rng(self.seed).permutation(len(images))[:CLUSTERED_IMAGES]
        parts = np.array_split(np.sort(chosen), -(-len(chosen) // rows_at_once(IMAGES_AT_ONCE, self.image)))
        vectors = [ops.convert_to_numpy(self.read(to_unit(images[rows]), training=False)) for rows in parts]
        self.codebook.initialize(np.concatenate(vectors).reshape(-1, self.params.latent_dim))

    def read(
        self, images: Float[Tensor, "batch height width channels"], training: bool | None = None
    ) -> Float[Tensor, "batch rows columns dim"]:
        """Images to vectors (batch, *grid, dim), normalized so that they cannot outgrow the codes.

        A learned vector is added at each place of the grid, so that places can use different codes at no cost in nats.
        """
        return self.normalization(self.encoder(images, training=training)) + self.places

    def encode(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch latent_dim"], Float[Tensor, "batch noise_dim"]]:
        codes = self.codebook.nearest(self.read(images, training=False))
        z = ops.reshape(self.codebook.look_up(codes), (-1, self.latent_dim))
        return z, ops.zeros((ops.shape(images)[0], 0))

    def reparameterize(
        self,
        z_mean: Float[Tensor, "*#batch latent_dim"],
        z_log_var: Float[Tensor, "*#batch noise_dim"],
        noise: Float[Tensor, "*#batch noise_dim"],
    ) -> Float[Tensor, "*#batch latent_dim"]:
        return z_mean

    def codes(self, z: Float[Tensor, "batch latent_dim"]) -> Int32[Tensor, "batch places"]:
        """The indices of the codes nearest to latents (batch, latent_dim): int32 (batch, places), in reading order."""
        return self.codebook.nearest(ops.reshape(z, (-1, math.prod(self.grid), self.params.latent_dim)))

    def decode_logits(self, z: Float[Tensor, "batch latent_dim"]) -> Float[Tensor, "batch height width parameters"]:
        return self.decoder(ops.reshape(z, (-1, *self.grid, self.params.latent_dim)), training=False)

    def log_prior(self, z: Float[Tensor, "batch latent_dim"]) -> Float[Tensor, " batch"]:
        return self.prior.log_prob(self.codes(z))

    def rate(
        self,
        z: Float[Tensor, "batch latent_dim"],
        z_mean: Float[Tensor, "batch latent_dim"],
        z_log_var: Float[Tensor, "batch noise_dim"],
    ) -> Float[Tensor, " batch"]:
        return -self.log_prior(z)

    def draw_latents(
        self, n: int, seed: int, temperature: float = 1.0, label: int | None = None
    ) -> Float[Tensor, "{n} latent_dim"]:
        codes = self.prior.sample(n, seed, temperature)
        return ops.reshape(self.codebook.look_up(codes), (n, self.latent_dim))

    def call(
        self, inputs: Float[Tensor, "batch height width channels"], training: bool | None = None
    ) -> dict[str, Tensor]:
        vectors = self.read(inputs, training=training)
        z, grid = self.codebook(vectors, training=training)
        codes = ops.reshape(grid, (-1, self.prior.length))
        nats = -self.prior.log_probabilities(codes)
        guesses = ops.reshape(ops.exp(self.codebook.log_responsibilities(vectors)), ops.shape(nats))
        return {
            "target": inputs,
            "logits": self.decoder(z),
            "distance": ops.sum(ops.square(vectors - ops.stop_gradient(z)), axis=(1, 2, 3)),
            "rate": -pick(-nats, codes),
            "soft_rate": ops.sum(guesses * ops.stop_gradient(nats), axis=(1, 2)),
        }

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        reconstruction = self.likelihood.nll(target_of(y, y_pred), y_pred["logits"])
        rate = y_pred["rate"]
        self.measure(reconstruction + rate, reconstruction, rate)
        commitment = self.params.codebook.commitment * ops.mean(y_pred["distance"])
        return ops.mean(reconstruction + rate) + (commitment + self.pressure(rate, y_pred["soft_rate"]))

    def pressure(self, rate: Float[Tensor, " batch"], soft_rate: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """A scalar that is 0 and gives the encoder the gradient of beta · KL, or of beta · |KL − capacity|.

        Codes have no gradient. The gradient is therefore that of `soft_rate` (batch,), the expected rate in nats if the
        code at each place is drawn by its responsibility.
        """
        push = self.params.beta * self.kl_weight
        if self.params.capacity:
            push = push * ops.sign(ops.mean(rate) - self.params.capacity)
        return ops.stop_gradient(push) * ops.mean(soft_rate - ops.stop_gradient(soft_rate))


MODEL = VQVAE
