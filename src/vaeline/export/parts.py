"""The parts of a model that are exported: encoder, decoder and score, as networks from arrays to arrays by name."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import keras
from keras import ops

from vaeline.images.types import Tensor
from vaeline.models.generative import GenerativeModel

Arrays: TypeAlias = Mapping[str, Tensor]  # the first axis of each is that of images


class Part(keras.Model):
    """A network of the weights of `model`, called with a dictionary of arrays as `takes` describes them.

    The number of images in a call is free.
    """

    def __init__(
        self,
        model: GenerativeModel,
        name: str,
        takes: Mapping[str, keras.InputSpec],
        compute: Callable[[GenerativeModel, Arrays], Arrays],
    ):
        super().__init__(name=name)
        self.model = model
        self.takes = dict(takes)
        self.compute = compute
        self.built = True

    def call(self, inputs: Arrays) -> Arrays:
        return self.compute(self.model, inputs)


def parts_of(model: GenerativeModel) -> list[Part]:
    """Encoder, decoder and score of a model."""
    images = _spec("images", model.image.shape)
    label = _spec("label", (), "int64") if model.is_conditional else {}
    noise = _spec("noise", (model.noise_dim,)) if model.noise_dim else {}
    return [
        Part(model, "encoder", images | label, encode),
        Part(model, "decoder", _spec("z", (model.latent_dim,)), decode),
        Part(model, "score", images | label | noise, score),
    ]


def encode(model: GenerativeModel, inputs: Arrays) -> dict[str, Tensor]:
    """`z_mean` of `images`, `z_log_var` if z is random given the image, and `codes` if the model has them.

    A conditional model also takes `label`.
    """
    z_mean, z_log_var = model.encode(inputs["images"], inputs.get("label"))
    random = {"z_log_var": z_log_var} if model.noise_dim else {}
    return {"z_mean": z_mean} | random | ({"codes": model.codes(z_mean)} if model.has_codes else {})


def decode(model: GenerativeModel, inputs: Arrays) -> dict[str, Tensor]:
    """The expected `images` of latents `z`."""
    return {"images": model.decode(inputs["z"])}


def score(model: GenerativeModel, inputs: Arrays) -> dict[str, Tensor]:
    """What `likelihood.bounds.elbo_scores` gives for `images`, if z is drawn with `noise`; each has the shape (count,).

    A conditional model also takes `label`. A model without randomness takes no noise.
    """
    images = inputs["images"]
    z_mean, z_log_var = model.encode(images, inputs.get("label"))
    z = model.reparameterize(z_mean, z_log_var, inputs["noise"]) if model.noise_dim else z_mean
    reconstruction = model.likelihood.nll(images, model.decode_logits(z))
    mse = ops.mean(ops.square(model.decode(z_mean) - images), axis=(1, 2, 3))
    scores = {"reconstruction": reconstruction, "mse": mse}
    if model.has_bound:
        kl = model.rate(z, z_mean, z_log_var)
        scores |= {"kl": kl, "neg_elbo": reconstruction + kl}
    return scores


def _spec(name: str, shape: tuple[int, ...], dtype: str = "float32") -> dict[str, keras.InputSpec]:
    return {name: keras.InputSpec(dtype=dtype, shape=(None, *shape), name=name)}
