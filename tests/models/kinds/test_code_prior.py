import itertools

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax

from vaeline.models.kinds.vqvae.code_prior import CodePrior

RNG = np.random.default_rng(0)


@pytest.fixture
def prior() -> CodePrior:
    keras.utils.set_random_seed(0)
    prior = CodePrior(codes=3, length=4, blocks=2, width=32)
    for weight in prior.trainable_weights:
        weight.assign(weight + 0.3 * RNG.normal(size=weight.shape))
    return prior


def numbers(tensor) -> np.ndarray:
    return ops.convert_to_numpy(tensor)


def test_the_probabilities_of_all_sequences_sum_to_one(prior):
    every = np.array(list(itertools.product(range(3), repeat=4)), "int32")
    probabilities = np.exp(numbers(prior.log_prob(every)))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert probabilities.max() > 3 * probabilities.min()


def test_a_code_is_judged_by_those_before_it_alone(prior):
    codes = np.array([[0, 1, 2, 0]], "int32")
    before = numbers(prior.log_probabilities(codes))
    for place in range(4):
        changed = codes.copy()
        changed[0, place] = (codes[0, place] + 1) % 3
        difference = np.abs(numbers(prior.log_probabilities(changed)) - before).max(axis=(0, 2))
        assert (difference[: place + 1] < 1e-6).all()
        assert (difference[place + 1 :] > 1e-4).all()


def test_samples_are_as_frequent_as_they_are_probable(prior):
    drawn = numbers(prior.sample(20_000, seed=1, temperature=1.0))
    every = np.array(list(itertools.product(range(3), repeat=4)), "int32")
    expected = np.exp(numbers(prior.log_prob(every)))
    found = np.bincount(drawn @ [27, 9, 3, 1], minlength=81) / len(drawn)
    assert np.abs(found - expected).max() < 5 * np.sqrt(expected.max() / len(drawn))


def test_temperature_sharpens_and_zero_takes_the_likeliest_code_each_time(prior):
    cold = numbers(prior.sample(3, seed=1, temperature=0.0))
    np.testing.assert_array_equal(cold, np.repeat(cold[:1], 3, axis=0))
    likeliest = numbers(prior.log_probabilities(cold)).argmax(axis=2)
    np.testing.assert_array_equal(cold, likeliest)
    start = numbers(prior.log_probabilities(cold[:1]))[0, 0]
    drawn = numbers(prior.sample(5000, seed=1, temperature=0.5))[:, 0]
    expected = np.exp(log_softmax(start / 0.5))
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 5000, expected, atol=0.03)


def test_samples_are_functions_of_the_seed(prior):
    drawn = numbers(prior.sample(9, 1, 1.0))
    np.testing.assert_array_equal(numbers(prior.sample(9, 1, 1.0)), drawn)
    assert (numbers(prior.sample(9, 2, 1.0)) != drawn).any()
