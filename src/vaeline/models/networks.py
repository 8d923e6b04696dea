"""Encoders and decoders; a decoder mirrors its encoder.

An encoder maps images (batch, height, width) to `z_mean` and `z_log_var`, each (batch, latent_dim);
a decoder maps z to logits (batch, height, width). Every layer has a name of its own: Keras would otherwise number them
through the process, and equal models would not be equal bytes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

CONV_FILTERS = (32, 64)
CONV_UNITS = 16
MLP_UNITS = (512, 256)


@dataclass(frozen=True)
class Network:
    """What encoder and decoder share."""

    architecture: str
    latent_dim: int
    width: int
    depth: int
    activation: str
    normalization: str
    dropout: float
    image_shape: tuple[int, int]


def build_encoder(network: Network) -> keras.Model:
    """The encoder of `network`, from images to (z_mean, z_log_var)."""
    images = keras.Input(network.image_shape, name="images")
    features = ENCODERS[network.architecture](images, network)
    z_mean = layers.Dense(network.latent_dim, name="z_mean")(features)
    z_log_var = layers.Dense(network.latent_dim, name="z_log_var")(features)
    return keras.Model(images, [z_mean, z_log_var], name="encoder")


def build_decoder(network: Network) -> keras.Model:
    """The decoder of `network`, from latents to logits; its last weights belong to the layer `logits`."""
    latents = keras.Input((network.latent_dim,), name="z")
    logits = DECODERS[network.architecture](latents, network)
    return keras.Model(latents, layers.Reshape(network.image_shape, name="images")(logits), name="decoder")


def initialize_output_bias(decoder: keras.Model, mean_image: np.ndarray) -> None:
    """Start the decoder at the training mean: the bias of `logits` becomes logit(mean), clipped to ±5 nats.

    A layer with one bias a pixel gets the mean image (height, width), a convolution the mean pixel
    (Burda et al. 2015, appendix; a model then need not learn where ink is).
    """
    bias = decoder.get_layer("logits").bias
    mean = mean_image.reshape(-1) if bias.shape[0] == mean_image.size else np.full(bias.shape, mean_image.mean())
    floor = 1 / (1 + math.exp(5))
    probability = np.clip(mean, floor, 1 - floor)
    bias.assign(np.log(probability) - np.log1p(-probability))


def _finish(features, network: Network, name: str):
    """Normalization, activation and dropout after the layer of weights called `name`."""
    if network.normalization == "batch":
        features = layers.BatchNormalization(name=f"{name}_normalization")(features)
    elif network.normalization == "layer":
        features = layers.LayerNormalization(name=f"{name}_normalization")(features)
    features = layers.Activation(network.activation, name=f"{name}_activation")(features)
    return layers.Dropout(network.dropout, name=f"{name}_dropout")(features) if network.dropout else features


def _dense(features, units: int, network: Network, name: str):
    return _finish(layers.Dense(units, name=name)(features), network, name)


def _residual(features, network: Network):
    for index in range(network.depth):
        branch = _dense(features, network.width, network, f"residual_{index}")
        features = layers.Add(name=f"residual_{index}_sum")([features, branch])
    return features


def _pixel_logits(features, network: Network):
    return layers.Dense(math.prod(network.image_shape), name="logits")(features)


def _encode_mlp(images, network: Network):
    features = layers.Flatten(name="pixels")(images)
    for index, units in enumerate(MLP_UNITS):
        features = _dense(features, units, network, f"dense_{index}")
    return features


def _decode_mlp(features, network: Network):
    for index, units in enumerate(reversed(MLP_UNITS)):
        features = _dense(features, units, network, f"dense_{index}")
    return _pixel_logits(features, network)


def _encode_resmlp(images, network: Network):
    features = layers.Flatten(name="pixels")(images)
    return _residual(_dense(features, network.width, network, "entry"), network)


def _decode_resmlp(features, network: Network):
    return _pixel_logits(_residual(_dense(features, network.width, network, "entry"), network), network)


def _encode_conv(images, network: Network):
    features = layers.Reshape((*network.image_shape, 1), name="channel")(images)
    for index, filters in enumerate(CONV_FILTERS):
        name = f"conv_{index}"
        features = layers.Conv2D(filters, 3, strides=2, padding="same", name=name)(features)
        features = _finish(features, network, name)
    return _dense(layers.Flatten(name="features")(features), CONV_UNITS, network, "dense")


def _decode_conv(features, network: Network):
    height, width = (side // 2 ** len(CONV_FILTERS) for side in network.image_shape)
    features = _dense(features, height * width * CONV_FILTERS[-1], network, "dense")
    features = layers.Reshape((height, width, CONV_FILTERS[-1]), name="features")(features)
    for index, filters in enumerate(reversed(CONV_FILTERS)):
        name = f"conv_{index}"
        features = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", name=name)(features)
        features = _finish(features, network, name)
    return layers.Conv2DTranspose(1, 3, padding="same", name="logits")(features)


ENCODERS: dict[str, Callable] = {"conv": _encode_conv, "mlp": _encode_mlp, "resmlp": _encode_resmlp}
DECODERS: dict[str, Callable] = {"conv": _decode_conv, "mlp": _decode_mlp, "resmlp": _decode_resmlp}
