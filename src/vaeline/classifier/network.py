"""A small convolutional classifier. Samples are compared with data in the space of its features."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from jaxtyping import Float, Float64
from keras import layers, ops

from vaeline.images.lazy import ImageSource, rows_at_once
from vaeline.images.spec import ImageSpec, with_image
from vaeline.images.types import Images, Labels, Tensor

FEATURES = 64
STRIDES = (2, 2, 1)
KERNELS = (5, 5, 3)
BATCH = 500


@keras.saving.register_keras_serializable(package="vaeline")
class Classifier(keras.Model):
    """A network from images (batch, height, width, channels) in [0, 1] over 64 features to logits (batch, classes).

    by_turns: the classes are not those of the data, which have no labels, but how an image was turned.
    """

    def __init__(
        self, *, image: ImageSpec | dict[str, int], classes: int, width: int, by_turns: bool = False, **kwargs: Any
    ):
        super().__init__(**{"name": "classifier", **kwargs})
        self.image = ImageSpec.model_validate(image)
        self.classes = classes
        self.width = width
        self.by_turns = by_turns
        self.trunk = _build_trunk(self.image, width)
        self.dropout = layers.Dropout(0.3, name="dropout")
        self.head = layers.Dense(classes, name="logits")
        self.head.build((None, FEATURES))
        self.built = True

    def features(self, images: Float[Tensor, "batch height width channels"]) -> Float[Tensor, "batch features"]:
        """The input of the last layer for images (batch, height, width, channels): (batch, 64), not negative."""
        return self.trunk(images, training=False)

    def call(
        self, images: Float[Tensor, "batch height width channels"], training: bool | None = None
    ) -> Float[Tensor, "batch classes"]:
        return self.head(self.dropout(self.trunk(images, training=training), training=training))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "image": self.image.model_dump(),
            "classes": self.classes,
            "width": self.width,
            **({"by_turns": True} if self.by_turns else {}),  # archives of other classifiers keep their bytes
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "Classifier":
        return super().from_config(with_image(config), custom_objects)


def features_and_labels(
    classifier: Classifier, images: ImageSource
) -> tuple[Float64[np.ndarray, "count features"], Labels]:
    """Features (count, 64), float64, and the most probable labels (count,) of images.

    Images are float32 (count, height, width, channels) in [0, 1].
    """
    size = rows_at_once(BATCH, classifier.image)
    return classify_parts(classifier, (images[start : start + size] for start in range(0, len(images), size)))


def classify_parts(
    classifier: Classifier, parts: Iterable[Images]
) -> tuple[Float64[np.ndarray, "count features"], Labels]:
    """`features_and_labels` of images that are given in parts; the parts are not kept."""
    features = [classifier.features(part) for part in parts]
    labels = [ops.convert_to_numpy(ops.argmax(classifier.head(part), axis=1)) for part in features]
    return np.concatenate([ops.convert_to_numpy(part) for part in features]).astype("float64"), np.concatenate(labels)


def _build_trunk(image: ImageSpec, width: int) -> keras.Model:
    images = keras.Input(image.shape, name="images")
    features = images
    for index, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
        name = f"conv_{index}"
        filters = width * 2**index
        features = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(features)
        features = layers.BatchNormalization(momentum=0.9, name=f"{name}_normalization")(features)
        features = layers.Activation("relu", name=f"{name}_activation")(features)
    features = layers.Dense(FEATURES, activation="relu", name="features")(layers.Flatten(name="flat")(features))
    return keras.Model(images, features, name="trunk")
