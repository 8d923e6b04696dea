"""Gradients and Jacobians on whatever backend Keras runs."""

from collections.abc import Callable

import keras
import numpy as np


def descend(model: keras.Model, images: np.ndarray, times: int = 1) -> list[list[np.ndarray]]:
    """The gradient of the training loss by each trainable weight, once for each draw of the noise; the model stays.

    Steps of plain gradient descent with a step size of 1, read off the weights.
    """
    model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=keras.backend.backend() == "jax")
    start = model.get_weights()
    before = [np.array(weight) for weight in model.trainable_variables]
    found = []
    for _ in range(times):
        model.train_on_batch(images)
        found.append([old - np.array(weight) for old, weight in zip(before, model.trainable_variables, strict=True)])
        model.set_weights(start)
    return found


def jacobian(function: Callable, point: np.ndarray) -> np.ndarray:
    """d function / d point of a function of one vector, by automatic differentiation."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.jacfwd(lambda vector: keras.ops.convert_to_tensor(function(vector)))(point))
    import tensorflow as tf

    vector = tf.constant(point)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(vector)
        value = function(vector)
    return tape.jacobian(value, vector, experimental_use_pfor=False).numpy()  # tracing pfor takes a second
