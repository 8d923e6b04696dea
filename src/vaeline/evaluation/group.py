"""A group of metrics: its name, when it applies, and how it is measured from what an evaluation has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vaeline.classifier.network import Classifier
from vaeline.evaluation.subject import Measured, Subject
from vaeline.models.generative import GenerativeModel
from vaeline.params.classify import ClassifyParams
from vaeline.params.evaluate import EvaluateParams


class Density(Protocol):
    """A density over statistics of training images."""

    def score(self, statistics: Mapping[str, np.ndarray]) -> np.ndarray:
        """−log density of the statistics (count,) of each image, shape (count,)."""


@dataclass(frozen=True)
class Inputs:
    """What a group may use.

    classifier: the pinned classifier of the data set, with the SHA-256 of its file. training: how it was trained.
    densities: those of training images, by the name of the score. ood_images: images of other data sets by the name of
    the data set, each float32 in [0, 1]. earlier: the groups that were measured before, by name.
    """

    subject: Subject
    settings: EvaluateParams
    classifier: Classifier
    classifier_sha256: str
    training: ClassifyParams
    densities: Mapping[str, Density]
    ood_images: Mapping[str, np.ndarray]
    earlier: Mapping[str, Measured] = field(default_factory=dict)


def _always(model: GenerativeModel) -> bool:
    return True


@dataclass(frozen=True)
class Group:
    """A group of metrics.

    name: in `metrics.json`, and before the slash in MLflow. measure: gives the metrics. applies: whether a model has
    the group at all. csv: the file in `reports/` that its table goes to; empty where it has none.
    """

    name: str
    measure: Callable[[Inputs], Measured]
    applies: Callable[[GenerativeModel], bool] = _always
    csv: str = ""
