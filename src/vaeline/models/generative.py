"""The interface of all models, which training, evaluation, serving and the commands use.

A model describes an image by a vector z of `latent_dim` numbers. Its first `noise_dim` entries are random given the
image, N(z_mean, exp(z_log_var)); the others follow from the image. A model without randomness has `noise_dim` 0.
"""

from collections.abc import Mapping
from typing import Any

import keras
from jaxtyping import Float, Integer

from vaeline.data.prepared import mean_image
from vaeline.images.lazy import ByteSource
from vaeline.images.spec import ImageSpec, with_image
from vaeline.images.types import Labels, Tensor
from vaeline.models.likelihood import build_likelihood
from vaeline.models.networks import initialize_output_bias
from vaeline.params.model import ModelParams


class GenerativeModel(keras.Model):
    """Images are float arrays (batch, height, width, channels) in [0, 1], labels integers (batch,).

    Losses are in nats per image. `image` is the size of the images and the number of their channels.

    A subclass defines the methods that raise NotImplementedError here.
    """

    params: ModelParams

    has_bound = True
    """Whether reconstruction + rate bounds −log p(x) from above."""
    is_conditional = False
    """Whether the model is conditioned on labels."""
    has_codes = False
    """Whether z consists of vectors of a codebook."""
    measured: tuple[str, ...] = ("neg_elbo", "reconstruction", "kl")
    """The scores that the loss reports besides itself, each as its mean over images."""

    def __init__(
        self,
        params: ModelParams | dict[str, Any],
        image: ImageSpec | dict[str, int],
        classes: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**{"name": "model", "dtype": "float32", **kwargs})
        self.params = ModelParams.model_validate(params)
        self.image = ImageSpec.model_validate(image)
        self.classes = classes
        self.seed = seed
        self.likelihood = build_likelihood(self.params.likelihood, self.params.sigma)
        self.kl_weight = keras.Variable(1.0, trainable=False, name="kl_weight")
        self.means = [keras.metrics.Mean(name=name) for name in self.measured]
        self.built = True
        self.build_parts()

    def build_parts(self) -> None:
        """Make `encoder`, `decoder` and `prior` from `params`, `image`, `classes` and `seed`."""
        raise NotImplementedError

    @property
    def latent_dim(self) -> int:
        """Length of z."""
        return self.params.latent_dim

    @property
    def noise_dim(self) -> int:
        """How many entries of z are random given the image."""
        return self.params.latent_dim

    @property
    def label_dim(self) -> int:
        """How many of the last entries of z are the one-hot label."""
        return 0

    @property
    def label_nats(self) -> float:
        """The part of each rate that encodes the label, −log p(label), in nats."""
        return 0.0

    @property
    def title(self) -> str:
        """The model in titles: `vae, resmlp, 2-D`, and its prior if that is not N(0, I)."""
        prior = self.params.prior.kind
        named = "" if prior == "normal" else f", {prior} prior"
        return f"{self.params.kind}, {self.params.architecture}, {self.params.latent_dim}-D{named}"

    def inputs(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None
    ) -> Any:
        """The argument with which the model is called for these images and labels."""
        return images

    def initialize(self, images: ByteSource, labels: Labels) -> None:
        """Start from the training images (count, height, width, channels) uint8; the decoder starts at their mean."""
        initialize_output_bias(self.decoder, mean_image(images), self.likelihood)

    def fit_prior(self, images: ByteSource, labels: Labels) -> None:
        """Fit the prior after training, if it is fitted; images are (count, height, width, channels) uint8."""

    def encode(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch latent_dim"], Float[Tensor, "batch noise_dim"]]:
        """`z_mean` (batch, latent_dim) and `z_log_var` (batch, noise_dim) of images.

        A conditional model guesses the labels if they are None.
        """
        raise NotImplementedError

    def reparameterize(
        self,
        z_mean: Float[Tensor, "*#batch latent_dim"],
        z_log_var: Float[Tensor, "*#batch noise_dim"],
        noise: Float[Tensor, "*#batch noise_dim"],
    ) -> Float[Tensor, "*#batch latent_dim"]:
        """z (…, latent_dim) from the results of `encode` and standard normal `noise` (…, noise_dim)."""
        raise NotImplementedError

    def decode_logits(self, z: Float[Tensor, "batch latent_dim"]) -> Float[Tensor, "batch height width parameters"]:
        """Latents (batch, latent_dim) to logits (batch, height, width, logits per pixel of the likelihood)."""
        return self.decoder(z, training=False)

    def decode(self, z: Float[Tensor, "batch latent_dim"]) -> Float[Tensor, "batch height width channels"]:
        """Latents (batch, latent_dim) to expected images (batch, height, width, channels) in [0, 1]."""
        return self.likelihood.mean(self.decode_logits(z))

    def reconstruct(
        self, images: Float[Tensor, "batch height width channels"], labels: Integer[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch height width channels"]:
        """Images to the expected images of their `z_mean`, both (batch, height, width, channels)."""
        return self.decode(self.encode(images, labels)[0])

    def log_prior(self, z: Float[Tensor, "batch latent_dim"]) -> Float[Tensor, " batch"]:
        """log p(z), shape (batch,), in nats."""
        return self.prior.log_prob(z)

    def rate(
        self,
        z: Float[Tensor, "batch latent_dim"],
        z_mean: Float[Tensor, "batch latent_dim"],
        z_log_var: Float[Tensor, "batch noise_dim"],
    ) -> Float[Tensor, " batch"]:
        """KL(q(z|x) ‖ p(z)) of each image, shape (batch,), in nats: in closed form, or estimated from one draw z."""
        return self.prior.kl(z, z_mean, z_log_var)

    def draw_latents(
        self, n: int, seed: int, temperature: float = 1.0, label: int | None = None
    ) -> Float[Tensor, "{n} latent_dim"]:
        """`n` latents (n, latent_dim) from the prior; a conditional model draws those of the class `label`."""
        return self.prior.sample(n, seed, temperature)

    def sample(
        self, n: int, seed: int, temperature: float = 1.0, label: int | None = None
    ) -> Float[Tensor, "{n} height width channels"]:
        """`n` expected images (n, height, width, channels) of latents drawn from the prior."""
        return self.decode(self.draw_latents(n, seed, temperature, label))

    def measure(self, *values: Float[Tensor, " batch"]) -> None:
        """Update the means of the scores in `measured` with their values (batch,)."""
        for mean, value in zip(self.means, values, strict=True):
            mean.update_state(value)

    def get_config(self) -> dict[str, Any]:
        own = {"image": self.image.model_dump(), "classes": self.classes, "seed": self.seed}
        return {**super().get_config(), "params": self.params.model_dump(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "GenerativeModel":
        return super().from_config(with_image(config), custom_objects)


def target_of(
    y: Float[Tensor, "batch height width channels"] | None, y_pred: Mapping[str, Tensor]
) -> Float[Tensor, "batch height width channels"]:
    """The images that a loss compares with: y where a training damages its images, else those that the model got."""
    return y_pred["target"] if y is None else y
