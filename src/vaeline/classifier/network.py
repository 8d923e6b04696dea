"""A small convolutional classifier; its features are the space in which samples are compared with data."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

FEATURES = 64
STRIDES = (2, 2, 1)
KERNELS = (5, 5, 3)
BATCH = 500


@keras.saving.register_keras_serializable(package="vaeline")
class Classifier(keras.Model):
    """Images (batch, height, width) in [0, 1] to logits (batch, classes), by way of 64 features."""

    def __init__(self, *, image_shape: tuple[int, int], classes: int, width: int, **kwargs):
        super().__init__(**{"name": "classifier", **kwargs})
        self.image_shape = tuple(image_shape)
        self.classes = classes
        self.width = width
        self.trunk = _build_trunk(self.image_shape, width)
        self.dropout = layers.Dropout(0.3, name="dropout")
        self.head = layers.Dense(classes, name="logits")
        self.head.build((None, FEATURES))
        self.built = True

    def features(self, images):
        """What the last layer sees of images (batch, height, width): (batch, 64), not negative."""
        return self.trunk(images, training=False)

    def call(self, images, training=None):
        return self.head(self.dropout(self.trunk(images, training=training), training=training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image_shape": list(self.image_shape),
            "classes": self.classes,
            "width": self.width,
        }


def features_and_labels(classifier: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (count, 64), float64, and the likeliest label (count,) of images (count, height, width) in [0, 1]."""
    parts = [classifier.features(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    labels = [ops.convert_to_numpy(ops.argmax(classifier.head(part), axis=1)) for part in parts]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts]).astype("float64"), np.concatenate(labels)


def _build_trunk(image_shape: tuple[int, int], width: int) -> keras.Model:
    images = keras.Input(image_shape, name="images")
    features = layers.Reshape((*image_shape, 1), name="channel")(images)
    for index, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
        name = f"conv_{index}"
        filters = width * 2**index
        features = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(features)
        features = layers.BatchNormalization(momentum=0.9, name=f"{name}_normalization")(features)
        features = layers.Activation("relu", name=f"{name}_activation")(features)
    features = layers.Dense(FEATURES, activation="relu", name="features")(layers.Flatten(name="flat")(features))
    return keras.Model(images, features, name="trunk")
