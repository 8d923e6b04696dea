"""Models by their kind."""

import pkgutil

from vaeline.family import FAMILY
from vaeline.models.generative import GenerativeModel
from vaeline.params.model import ModelParams


def build_model(params: ModelParams, image_shape: tuple[int, int], classes: int, seed: int) -> GenerativeModel:
    """An untrained model of the kind that `params` name; `classes` is the number of labels in the data."""
    return pkgutil.resolve_name(FAMILY[params.kind])(params, image_shape, classes, seed)


def register_models() -> None:
    """Import every model of the family: Keras can load only archives of classes that it knows."""
    for name in FAMILY.values():
        pkgutil.resolve_name(name)
