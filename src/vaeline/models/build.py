"""Models by their kind."""

from vaeline.images.spec import ImageSpec
from vaeline.kinds import model_class
from vaeline.models.generative import GenerativeModel
from vaeline.params.model import ModelParams


def build_model(params: ModelParams, image: ImageSpec, classes: int, seed: int) -> GenerativeModel:
    """An untrained model of the kind that `params` name; `classes` is the number of labels in the data."""
    return model_class(params.kind)(params, image, classes, seed)
