"""The variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114)."""

from typing import Any

import keras
from keras import ops

from vaeline.models.likelihoods import build_likelihood
from vaeline.models.networks import Network, build_decoder, build_encoder


def reparameterize(z_mean, z_log_var, noise):
    """z = z_mean + exp(z_log_var / 2) · noise, all (batch, latent_dim) (arXiv:1312.6114, section 2.4)."""
    return z_mean + ops.exp(0.5 * z_log_var) * noise


def kl_divergence(z_mean, z_log_var):
    """KL(q(z|x) ‖ N(0, I)) of each image, shape (batch,), in nats (arXiv:1312.6114, appendix B)."""
    return -0.5 * ops.sum(1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var), axis=-1)


@keras.saving.register_keras_serializable(package="vaeline")
class Sampling(keras.layers.Layer):
    """Draws z from q(z|x) with noise of its own generator."""

    def __init__(self, seed: int = 0, **kwargs):
        super().__init__(**{"name": "sampling", **kwargs})
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, z_mean, z_log_var):
        noise = keras.random.normal(ops.shape(z_mean), seed=self.seed_generator)
        return reparameterize(z_mean, z_log_var, noise)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="vaeline")
class VAE(keras.Model):
    """Encoder, sampling and decoder with the loss −log p(x|z) + beta · KL, in nats per image.

    Images are float arrays (batch, height, width) in [0, 1]. With `binarize`, each training step draws binary
    pixels from the greys, for the encoder and the loss alike (dynamic binarization, Burda et al. 2015).
    """

    def __init__(
        self,
        *,
        architecture: str,
        latent_dim: int,
        width: int,
        depth: int,
        activation: str,
        normalization: str,
        dropout: float,
        likelihood: str,
        sigma: float,
        binarize: bool,
        beta: float,
        image_shape: tuple[int, int] = (28, 28),
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**{"name": "vae", **kwargs})
        network = Network(
            architecture, latent_dim, width, depth, activation, normalization, dropout, tuple(image_shape)
        )
        self.network = network
        self.binarize = binarize
        self.beta = beta
        self.seed = seed
        self.likelihood_name = likelihood
        self.sigma = sigma
        self.likelihood = build_likelihood(likelihood, sigma)
        self.encoder = build_encoder(network)
        self.decoder = build_decoder(network)
        self.sampling = Sampling(seed)
        self.pixel_generator = keras.random.SeedGenerator(seed)
        self.kl_weight = keras.Variable(1.0, trainable=False, name="kl_weight")
        self.means = [keras.metrics.Mean(name=name) for name in ("neg_elbo", "reconstruction", "kl")]
        self.built = True

    @property
    def latent_dim(self) -> int:
        """Dimensions of z."""
        return self.network.latent_dim

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self.network.image_shape

    def encode(self, images):
        """Images (batch, height, width) to `z_mean` and `z_log_var`, each (batch, latent_dim)."""
        return self.encoder(images, training=False)

    def reparameterize(self, z_mean, z_log_var, noise):
        """z from the parameters of q(z|x) and standard normal `noise`, all (batch, latent_dim)."""
        return reparameterize(z_mean, z_log_var, noise)

    def decode_logits(self, z):
        """Latents (batch, latent_dim) to logits (batch, height, width)."""
        return self.decoder(z, training=False)

    def decode(self, z):
        """Latents (batch, latent_dim) to expected images (batch, height, width) in [0, 1]."""
        return self.likelihood.mean(self.decode_logits(z))

    def reconstruct(self, images):
        """Images to the expected images of their `z_mean`, both (batch, height, width)."""
        return self.decode(self.encode(images)[0])

    def sample(self, n: int, seed: int, temperature: float = 1.0):
        """`n` expected images (n, height, width) of z drawn from N(0, temperature² I)."""
        return self.decode(temperature * keras.random.normal((n, self.latent_dim), seed=seed))

    def call(self, images, training=None):
        target = self._draw_binary(images) if self.binarize else images
        z_mean, z_log_var = self.encoder(target)
        logits = self.decoder(self.sampling(z_mean, z_log_var))
        return {"target": target, "z_mean": z_mean, "z_log_var": z_log_var, "logits": logits}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        reconstruction = self.likelihood.nll(y_pred["target"], y_pred["logits"])
        kl = kl_divergence(y_pred["z_mean"], y_pred["z_log_var"])
        for mean, values in zip(self.means, (reconstruction + kl, reconstruction, kl), strict=True):
            mean.update_state(values)
        kl_weight = self.kl_weight if training else 1.0
        return ops.mean(reconstruction + self.beta * kl_weight * kl)

    def get_config(self) -> dict[str, Any]:
        network = self.network
        return {
            **super().get_config(),
            "architecture": network.architecture,
            "latent_dim": network.latent_dim,
            "width": network.width,
            "depth": network.depth,
            "activation": network.activation,
            "normalization": network.normalization,
            "dropout": network.dropout,
            "image_shape": list(network.image_shape),
            "likelihood": self.likelihood_name,
            "sigma": self.sigma,
            "binarize": self.binarize,
            "beta": self.beta,
            "seed": self.seed,
        }

    def _draw_binary(self, images):
        uniform = keras.random.uniform(ops.shape(images), seed=self.pixel_generator)
        return ops.cast(uniform < images, images.dtype)
