"""Models by their kind."""

from vaeline.images.spec import ImageSpec
from vaeline.kinds import model_module
from vaeline.models.generative import GenerativeModel
from vaeline.params.model import ModelParams


def build_model(params: ModelParams, image: ImageSpec, classes: int, seed: int) -> GenerativeModel:
    """An untrained model of the kind that `params` name; `classes` is the number of labels in the data."""
    return model_class(params.kind)(params, image, classes, seed)


def model_class(kind: str) -> type[GenerativeModel]:
    """The class of a kind. The import registers it with Keras, so that Keras can load its archives."""
    return model_module(kind).MODEL
