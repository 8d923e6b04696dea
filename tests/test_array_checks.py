"""The check of annotations while tests run: it finds wrong shapes and dtypes, and lets graphs of TensorFlow pass."""

import keras
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from vaeline.models.priors import StandardNormal, kl_by_latent
from vaeline.samples.distances import frechet_distance


def test_axes_of_one_name_must_have_one_length():
    with pytest.raises(TypeCheckError, match="z_log_var"):
        kl_by_latent(np.zeros((2, 3), "float32"), np.zeros((2, 4), "float32"))
    with pytest.raises(TypeCheckError, match="generated"):
        frechet_distance(np.zeros((5, 3)), np.zeros((5, 4)))


def test_a_method_of_a_layer_is_checked_and_its_dtype_too():
    prior = StandardNormal(3)
    assert prior.log_prob(np.zeros((2, 3), "float32")).shape == (2,)
    for wrong in (np.zeros(3, "float32"), np.zeros((2, 3), "int32")):
        with pytest.raises(TypeCheckError, match="'z'"):
            prior.log_prob(wrong)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow builds graphs")
def test_a_graph_of_unknown_batch_size_is_not_checked():
    import tensorflow as tf

    z = tf.TensorSpec((None, 3))
    traced = tf.function(StandardNormal(3).log_prob, input_signature=[z], autograph=False)
    assert traced(np.zeros((2, 3), "float32")).shape == (2,)
