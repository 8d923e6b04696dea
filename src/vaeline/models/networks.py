"""Encoders and decoders; a decoder mirrors its encoder.

An encoder maps images (batch, height, width) to `z_mean` and `z_log_var`, each (batch, latent_dim);
a decoder maps z to logits (batch, height, width).
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
    return keras.Model(latents, layers.Reshape(network.image_shape)(logits), name="decoder")


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


def _finish(features, network: Network):
    """Normalization, activation and dropout after a layer of weights."""
    if network.normalization == "batch":
        features = layers.BatchNormalization()(features)
    elif network.normalization == "layer":
        features = layers.LayerNormalization()(features)
    features = layers.Activation(network.activation)(features)
    return layers.Dropout(network.dropout)(features) if network.dropout else features


def _dense(features, units: int, network: Network):
    return _finish(layers.Dense(units)(features), network)


def _residual(features, network: Network):
    for _ in range(network.depth):
        features = layers.Add()([features, _dense(features, network.width, network)])
    return features


def _encode_mlp(images, network: Network):
    features = layers.Flatten()(images)
    for units in MLP_UNITS:
        features = _dense(features, units, network)
    return features


def _decode_mlp(features, network: Network):
    for units in reversed(MLP_UNITS):
        features = _dense(features, units, network)
    return layers.Dense(math.prod(network.image_shape), name="logits")(features)


def _encode_resmlp(images, network: Network):
    return _residual(_dense(layers.Flatten()(images), network.width, network), network)


def _decode_resmlp(features, network: Network):
    features = _residual(_dense(features, network.width, network), network)
    return layers.Dense(math.prod(network.image_shape), name="logits")(features)


def _encode_conv(images, network: Network):
    features = layers.Reshape((*network.image_shape, 1))(images)
    for filters in CONV_FILTERS:
        features = _finish(layers.Conv2D(filters, 3, strides=2, padding="same")(features), network)
    return _dense(layers.Flatten()(features), CONV_UNITS, network)


def _decode_conv(features, network: Network):
    height, width = (side // 2 ** len(CONV_FILTERS) for side in network.image_shape)
    features = _dense(features, height * width * CONV_FILTERS[-1], network)
    features = layers.Reshape((height, width, CONV_FILTERS[-1]))(features)
    for filters in reversed(CONV_FILTERS):
        features = _finish(layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(features), network)
    return layers.Conv2DTranspose(1, 3, padding="same", name="logits")(features)


ENCODERS: dict[str, Callable] = {"conv": _encode_conv, "mlp": _encode_mlp, "resmlp": _encode_resmlp}
DECODERS: dict[str, Callable] = {"conv": _decode_conv, "mlp": _decode_mlp, "resmlp": _decode_resmlp}
