"""A group of metrics: its name, the models and data that have it, and the function that measures it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float

from vaeline.classifier.network import Classifier
from vaeline.evaluation.subject import Measured, Subject
from vaeline.images.lazy import LazyImages
from vaeline.params.classify import ClassifyParams
from vaeline.params.evaluate import EvaluateParams


class Density(Protocol):
    """A density over statistics of training images."""

    def score(self, statistics: Mapping[str, Float[np.ndarray, " count"]]) -> Float[np.ndarray, " count"]:
        """−log density of the statistics (count,) of each image, shape (count,)."""


@dataclass(frozen=True)
class Inputs:
    """The inputs from which a group may be measured.

    classifier: the classifier of the data set, with the SHA-256 of its file. training: how it was trained. densities:
    densities of training images, by the name of the score. ood_images: images of other data sets, by the name of the
    data set. earlier: the groups measured before, by name.
    """

    subject: Subject
    settings: EvaluateParams
    classifier: Classifier
    classifier_sha256: str
    training: ClassifyParams
    densities: Mapping[str, Density]
    ood_images: Mapping[str, LazyImages]
    earlier: Mapping[str, Measured] = field(default_factory=dict)


def _always(subject: Subject) -> bool:
    return True


@dataclass(frozen=True)
class Group:
    """A group of metrics.

    name: in `metrics.json`, and before the slash in MLflow. measure: gives the metrics. applies: whether a model
    and its data have the group. csv: the file in `reports/` for its table; empty if it has none.
    """

    name: str
    measure: Callable[[Inputs], Measured]
    applies: Callable[[Subject], bool] = _always
    csv: str = ""
