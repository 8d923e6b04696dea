"""Encoders and decoders; a decoder mirrors its encoder.

An encoder maps images (batch, height, width, channels) to one vector for each of its heads. A decoder maps z to logits
(batch, height, width, logits per pixel); the likelihood sets their number. Convolutional networks halve the image,
rounded up, until a grid of at most 8 a side is left (for codes, of `codebook.side`). Their decoders crop the surplus at
the bottom and at the right.
Every layer has a fixed name, because Keras numbers unnamed layers by process, and equal models must have equal bytes.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import keras
import numpy as np
from jaxtyping import Float
from keras import layers

from vaeline.errors import VaelineError
from vaeline.images.spec import ImageSpec
from vaeline.models.likelihood import Likelihood
from vaeline.params.model import ModelParams

CONV_FILTERS = (32, 64, 128)  # of the first, second and third halving; further ones have the last number
LONGEST_GRID_SIDE = 8
MOST_DENSE_WEIGHTS = 50_000_000  # of one layer
CONV_UNITS = 16
MLP_UNITS = (512, 256)

Shape = tuple[int, int, int]


def build_encoder(
    params: ModelParams, image: ImageSpec, heads: Mapping[str, int], classes: int = 0, name: str = "encoder"
) -> keras.Model:
    """A network from images to one vector for each of `heads`, which are sizes by name.

    With `classes`, the inputs are [images, one-hot labels (batch, classes)]. A learned image of the label is added to
    the pixels, so that every kind of first layer can use the label.
    """
    images = keras.Input(image.shape, name="images")
    pixels, inputs = images, images
    if classes:
        label = keras.Input((classes,), name="label")
        drawn = layers.Dense(image.dimensions, use_bias=False, kernel_initializer="zeros", name="label_pixels")
        pixels = layers.Add(name="labelled")([images, layers.Reshape(image.shape, name="label_image")(drawn(label))])
        inputs = [images, label]
    features = ENCODERS[params.architecture](pixels, params)
    with in_float32():
        outputs = [layers.Dense(size, name=head)(features) for head, size in heads.items()]
    return keras.Model(inputs, outputs, name=name)


def build_decoder(params: ModelParams, image: ImageSpec, latent_dim: int, logits_per_pixel: int) -> keras.Model:
    """A network from latents (batch, latent_dim) to logits (batch, height, width, logits_per_pixel).

    Its last layer with weights is called `logits`.
    """
    latents = keras.Input((latent_dim,), name="z")
    logits = DECODERS[params.architecture](latents, params, (image.height, image.width, logits_per_pixel))
    return keras.Model(latents, logits, name="decoder")


def build_grid_encoder(params: ModelParams, image: ImageSpec, features: int, longest: int) -> keras.Model:
    """A convolutional network from images to a grid of `features`: (batch, *grid_shape(image, longest), features)."""
    images = keras.Input(image.shape, name="images")
    grid = GRID_ENCODERS[params.architecture](images, params, longest)
    with in_float32():
        outputs = layers.Conv2D(features, 1, name="features")(grid)
    return keras.Model(images, outputs, name="encoder")


def build_grid_decoder(
    params: ModelParams, image: ImageSpec, features: int, logits_per_pixel: int, longest: int
) -> keras.Model:
    """A convolutional network from a grid of `features` to logits (batch, height, width, logits_per_pixel)."""
    grid = keras.Input((*grid_shape(image, longest), features), name="z")
    logits = GRID_DECODERS[params.architecture](grid, params, (image.height, image.width, logits_per_pixel), longest)
    return keras.Model(grid, logits, name="decoder")


@contextmanager
def in_float32() -> Generator[None]:
    """Layers that are made inside compute in float32, also where others have a lower precision: those of outputs."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def grid_shape(image: ImageSpec, longest: int = LONGEST_GRID_SIDE) -> tuple[int, int]:
    """Height and width of the grid between a convolutional encoder and its decoder, at most `longest` each."""
    return _grid(image.height, image.width, longest)


def initialize_output_bias(
    decoder: keras.Model, mean_image: Float[np.ndarray, "height width channels"], likelihood: Likelihood
) -> None:
    """Start the decoder at the mean of the training images: set the bias of `logits` to the likelihood's logits of it.

    A dense layer gets the mean image (height, width, channels), a convolution the mean pixel (channels,). The model
    then need not learn the mean (Burda et al. 2015, appendix).
    """
    layer = decoder.get_layer("logits")
    if isinstance(layer, layers.Dense):
        bias = likelihood.initial_logits(mean_image).reshape(-1)
    else:
        bias = likelihood.initial_logits(mean_image.mean(axis=(0, 1)))
    layer.bias.assign(np.tile(bias, layer.bias.shape[0] // len(bias)))


def _halvings(height: int, width: int, longest: int) -> int:
    """How often an image is halved until its longer side is at most `longest`, at least once."""
    longer, times = max(height, width), 1
    while -(-longer // 2**times) > longest:
        times += 1
    return times


def _grid(height: int, width: int, longest: int) -> tuple[int, int]:
    step = 2 ** _halvings(height, width, longest)
    return -(-height // step), -(-width // step)


def _filters_of(choices: Sequence[int], halvings: int) -> list[int]:
    """The filters of each halving, the first one first."""
    return [choices[min(index, len(choices) - 1)] for index in range(halvings)]


def _check_dense(inputs: int, units: int, params: ModelParams) -> None:
    """Refuse a dense layer of too many weights."""
    if inputs * units > MOST_DENSE_WEIGHTS:
        raise VaelineError(
            f"model.architecture: {params.architecture} would have a layer of {inputs * units:,} weights, at most "
            f"{MOST_DENSE_WEIGHTS:,} are built; choose conv or resconv, or smaller images by data.image"
        )


def _normalized(features: keras.KerasTensor, params: ModelParams, name: str) -> keras.KerasTensor:
    if params.normalization == "batch":
        return layers.BatchNormalization(name=f"{name}_normalization")(features)
    if params.normalization == "layer":
        return layers.LayerNormalization(name=f"{name}_normalization")(features)
    return features


def _finish(features: keras.KerasTensor, params: ModelParams, name: str) -> keras.KerasTensor:
    """Normalization, activation and dropout after the layer of weights called `name`."""
    features = _normalized(features, params, name)
    features = layers.Activation(params.activation, name=f"{name}_activation")(features)
    return layers.Dropout(params.dropout, name=f"{name}_dropout")(features) if params.dropout else features


def _dense(features: keras.KerasTensor, units: int, params: ModelParams, name: str) -> keras.KerasTensor:
    return _finish(layers.Dense(units, name=name)(features), params, name)


def _residual(features: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    for index in range(params.depth):
        branch = _dense(features, params.width, params, f"residual_{index}")
        features = layers.Add(name=f"residual_{index}_sum")([features, branch])
    return features


def _residual_blocks(features: keras.KerasTensor, filters: int, params: ModelParams, name: str) -> keras.KerasTensor:
    """Blocks of two 3 × 3 convolutions each, activation first (He et al. 2016, arXiv:1603.05027)."""
    for index in range(params.depth):
        branch = features
        for half in ("a", "b"):
            layer = f"{name}_{index}{half}"
            branch = _finish(branch, params, layer)
            branch = layers.Conv2D(filters, 3, padding="same", name=layer)(branch)
        features = layers.Add(name=f"{name}_{index}_sum")([features, branch])
    return features


def _dense_logits(features: keras.KerasTensor, params: ModelParams, shape: Shape) -> keras.KerasTensor:
    """One logit for each number of the shape, by a dense layer."""
    _check_dense(features.shape[-1], math.prod(shape), params)
    with in_float32():
        return layers.Reshape(shape, name="images")(layers.Dense(math.prod(shape), name="logits")(features))


def _cropped(features: keras.KerasTensor, shape: Shape) -> keras.KerasTensor:
    """Features (batch, height, width, channels), cropped to the shape at the bottom and at the right."""
    below, beside = (have - wanted for have, wanted in zip(features.shape[1:3], shape[:2], strict=True))
    return layers.Cropping2D(((0, below), (0, beside)), name="crop")(features) if below or beside else features


def _encode_mlp(images: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    _check_dense(math.prod(images.shape[1:]), MLP_UNITS[0], params)
    features = layers.Flatten(name="pixels")(images)
    for index, units in enumerate(MLP_UNITS):
        features = _dense(features, units, params, f"dense_{index}")
    return features


def _decode_mlp(features: keras.KerasTensor, params: ModelParams, shape: Shape) -> keras.KerasTensor:
    for index, units in enumerate(reversed(MLP_UNITS)):
        features = _dense(features, units, params, f"dense_{index}")
    return _dense_logits(features, params, shape)


def _encode_resmlp(images: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    _check_dense(math.prod(images.shape[1:]), params.width, params)
    features = layers.Flatten(name="pixels")(images)
    return _residual(_dense(features, params.width, params, "entry"), params)


def _decode_resmlp(features: keras.KerasTensor, params: ModelParams, shape: Shape) -> keras.KerasTensor:
    return _dense_logits(_residual(_dense(features, params.width, params, "entry"), params), params, shape)


def _encode_conv_grid(
    images: keras.KerasTensor, params: ModelParams, longest: int = LONGEST_GRID_SIDE
) -> keras.KerasTensor:
    features = images
    for index, filters in enumerate(_filters_of(CONV_FILTERS, _halvings(*images.shape[1:3], longest))):
        name = f"conv_{index}"
        features = layers.Conv2D(filters, 3, strides=2, padding="same", name=name)(features)
        features = _finish(features, params, name)
    return features


def _encode_conv(images: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    """At least as many units as the Keras tutorial has, and enough to tell all latents apart."""
    grid = _encode_conv_grid(images, params)
    units = max(CONV_UNITS, 2 * params.latent_dim)
    return _dense(layers.Flatten(name="grid")(grid), units, params, "dense")


def _decode_conv_grid(
    features: keras.KerasTensor, params: ModelParams, shape: Shape, longest: int = LONGEST_GRID_SIDE
) -> keras.KerasTensor:
    for index, filters in enumerate(reversed(_filters_of(CONV_FILTERS, _halvings(*shape[:2], longest)))):
        name = f"conv_{index}"
        features = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", name=name)(features)
        features = _finish(features, params, name)
    with in_float32():
        return _cropped(layers.Conv2DTranspose(shape[2], 3, padding="same", name="logits")(features), shape)


def _decode_conv(features: keras.KerasTensor, params: ModelParams, shape: Shape) -> keras.KerasTensor:
    height, width = shape[:2]
    filters = _filters_of(CONV_FILTERS, _halvings(height, width, LONGEST_GRID_SIDE))[-1]
    grid = (*_grid(height, width, LONGEST_GRID_SIDE), filters)
    features = _dense(features, math.prod(grid), params, "dense")
    return _decode_conv_grid(layers.Reshape(grid, name="grid")(features), params, shape)


def _encode_resconv_grid(
    images: keras.KerasTensor, params: ModelParams, longest: int = LONGEST_GRID_SIDE
) -> keras.KerasTensor:
    features, halvings = images, _halvings(*images.shape[1:3], longest)
    for index, filters in enumerate(_filters_of((params.width, 2 * params.width), halvings)):
        features = layers.Conv2D(filters, 3, strides=2, padding="same", name=f"down_{index}")(features)
        features = _residual_blocks(features, filters, params, f"block_{index}")
    return _finish(features, params, "grid")


def _encode_resconv(images: keras.KerasTensor, params: ModelParams) -> keras.KerasTensor:
    return layers.Flatten(name="grid")(_encode_resconv_grid(images, params))


def _decode_resconv_grid(
    features: keras.KerasTensor, params: ModelParams, shape: Shape, longest: int = LONGEST_GRID_SIDE
) -> keras.KerasTensor:
    """Sub-pixel convolutions (Shi et al. 2016, arXiv:1609.05158): JAX is slow at transposed ones on a CPU."""
    height, width = _grid(*shape[:2], longest)
    first, *others = reversed(_filters_of((params.width, 2 * params.width), _halvings(*shape[:2], longest)))
    features = layers.Conv2D(first, 3, padding="same", name="entry")(features)
    features = _residual_blocks(features, first, params, "block_0")
    for index, filters in enumerate(others):
        up = "up" if index == len(others) - 1 else f"up_{index}"
        features = layers.Conv2D(4 * filters, 3, padding="same", name=up)(_finish(features, params, up))
        features = _spread(features, height, width, filters, f"spread_{index}")
        features = _residual_blocks(features, filters, params, f"block_{index + 1}")
        height, width = 2 * height, 2 * width
    features = _finish(features, params, "last")
    with in_float32():
        logits = layers.Conv2D(4 * shape[2], 3, padding="same", name="logits")(features)
        return _cropped(_spread(logits, height, width, shape[2], f"spread_{len(others)}"), shape)


def _decode_resconv(features: keras.KerasTensor, params: ModelParams, shape: Shape) -> keras.KerasTensor:
    grid = (*_grid(*shape[:2], LONGEST_GRID_SIDE), params.width)
    features = layers.Dense(math.prod(grid), name="dense")(features)
    return _decode_resconv_grid(layers.Reshape(grid, name="grid")(features), params, shape)


def _spread(features: keras.KerasTensor, height: int, width: int, channels: int, name: str) -> keras.KerasTensor:
    """(…, height, width, 4 · channels) to (…, 2 · height, 2 · width, channels), rearranged."""
    features = layers.Reshape((height, width, 2, 2, channels), name=f"{name}_parts")(features)
    features = layers.Permute((1, 3, 2, 4, 5), name=f"{name}_order")(features)
    return layers.Reshape((2 * height, 2 * width, channels), name=name)(features)


GRID_ENCODERS: dict[str, Callable] = {"conv": _encode_conv_grid, "resconv": _encode_resconv_grid}
GRID_DECODERS: dict[str, Callable] = {"conv": _decode_conv_grid, "resconv": _decode_resconv_grid}
ENCODERS: dict[str, Callable] = {
    "conv": _encode_conv,
    "mlp": _encode_mlp,
    "resconv": _encode_resconv,
    "resmlp": _encode_resmlp,
}
DECODERS: dict[str, Callable] = {
    "conv": _decode_conv,
    "mlp": _decode_mlp,
    "resconv": _decode_resconv,
    "resmlp": _decode_resmlp,
}
