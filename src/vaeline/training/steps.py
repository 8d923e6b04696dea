"""Steps of a training and of its validation: batches are prepared while earlier ones are computed."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import keras

from vaeline.models.generative import GenerativeModel
from vaeline.training.batches import ahead
from vaeline.training.corruption import Shown

Step: TypeAlias = tuple[int, dict[str, float]]
"""How many images a batch had, and the means of the loss and of the model's other metrics over them."""
Steps: TypeAlias = Callable[[Iterable[Shown]], Iterator[Step]]


def steps_of(model: GenerativeModel, *, training: bool) -> Steps:
    """A function that runs one step for each batch: of the training, or of the validation, which changes no weights.

    TensorFlow runs each step in a call of its own. JAX runs several in one call, and nothing waits for a result.
    """
    if keras.backend.backend() == "jax":
        from vaeline.training.scan import scanned_steps

        return scanned_steps(model, training=training)
    step = model.train_on_batch if training else model.test_on_batch
    return lambda batches: (
        (len(images), step(model.inputs(images, labels), targets, return_dict=True))
        for images, labels, targets in ahead(batches)
    )
