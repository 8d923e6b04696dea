"""Steps on JAX: several in one call of a compiled function, while the next batches are made and copied to the device.

With a distribution of Keras, the images of a batch are divided among its devices, which may be in several processes.
The computation is that of the whole batch, noise included.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import Any, TypeAlias

import jax
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from keras.distribution import DataParallel

from vaeline.images.types import Tensor
from vaeline.models.generative import GenerativeModel
from vaeline.training.batches import ahead
from vaeline.training.corruption import Shown

STEPS_A_CALL = 16
NUMBERS_A_CALL = 8_000_000  # of images; up to four calls are on the device at once

State: TypeAlias = tuple[list[Tensor], ...]
Logs: TypeAlias = dict[str, Tensor]


def scanned_steps(
    model: GenerativeModel, *, training: bool
) -> Callable[[Iterable[Shown]], Iterator[tuple[int, dict[str, float]]]]:
    """A function that runs one step for each batch, `STEPS_A_CALL` of the same size in one call.

    It yields the number of images and the means of the metrics of each batch. The model gets its new weights after the
    last one.
    """
    call = compile_steps(model, training=training)

    def run(batches: Iterable[Shown]) -> Iterator[tuple[int, dict[str, float]]]:
        variables = state_variables(model, training=training)
        state: State = tuple([variable.value for variable in group] for group in variables)
        earlier: tuple[int, Logs] | None = None
        distribution = keras.distribution.distribution()  # here, because it is that of the thread
        for images, arrays in ahead(stacked_batches(model, batches, distribution)):
            state, logs = call(state, arrays)
            if earlier:
                yield from _means(*earlier)  # those of the call before, so that the device is never idle
            earlier = images, logs
        if earlier:
            yield from _means(*earlier)
        for group, values in zip(variables, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    return run


def compile_steps(model: GenerativeModel, *, training: bool) -> Callable[[State, Any], tuple[State, Logs]]:
    """A function from the state and batches (steps, batch, …) to the next state and the metrics (steps,) of each."""
    step = model.train_step if training else model.test_step

    def one(state: State, batch: Any) -> tuple[State, Logs]:
        *others, metrics = state
        logs, state = step((*others, [metric * 0 for metric in metrics]), batch)
        return state, logs

    return jax.jit(lambda state, batches: jax.lax.scan(one, state, batches), donate_argnums=0)


def state_variables(model: GenerativeModel, *, training: bool) -> list[list[keras.Variable]]:
    """The variables whose values are the state, in the order that Keras' steps on JAX have."""
    optimizer = [model.optimizer.variables] if training else []
    return [model.trainable_variables, model.non_trainable_variables, *optimizer, model.metrics_variables]


def stacked_batches(
    model: GenerativeModel, batches: Iterable[Shown], distribution: DataParallel | None
) -> Iterator[tuple[int, Any]]:
    """The images of each batch, and the batches of one call on the devices, stacked: (steps, batch, …)."""
    for images, same in groupby(batches, key=lambda batch: len(batch.images)):
        most = max(1, min(STEPS_A_CALL, NUMBERS_A_CALL // (images * model.image.dimensions)))
        while group := list(islice(same, most)):
            data = [(model.inputs(batch.images, batch.labels), batch.targets) for batch in group]
            yield images, jax.tree.map(lambda *arrays: _on_devices(np.stack(arrays), distribution), *data)


def _on_devices(stacked: np.ndarray, distribution: DataParallel | None) -> jax.Array:
    """Batches (steps, batch, …): each device gets its part of every batch, or all of it if the parts were not equal."""
    if distribution is None:
        return jax.device_put(stacked)
    mesh = distribution.device_mesh.backend_mesh
    parts = PartitionSpec(None, *mesh.axis_names) if stacked.shape[1] % mesh.size == 0 else PartitionSpec()
    return jax.make_array_from_callback(stacked.shape, NamedSharding(mesh, parts), lambda where: stacked[where])


def _means(images: int, logs: Logs) -> Iterator[tuple[int, dict[str, float]]]:
    columns = {name: np.asarray(values) for name, values in logs.items()}
    for values in zip(*columns.values(), strict=True):
        yield images, dict(zip(columns, map(float, values), strict=True))
