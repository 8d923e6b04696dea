import keras
import numpy as np
import pytest
from keras import ops

from vaeline.models.kinds.vqvae.codebook import SMOOTHING, Codebook
from vaeline.models.kinds.vqvae.params import CodebookParams

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(50, 3)).astype("float32")


def build(codes=4, decay=0.9, restart_below=0.0) -> Codebook:
    settings = {"codes": codes, "decay": decay, "commitment": 0.25, "restart_below": restart_below}
    codebook = Codebook(CodebookParams.model_validate(settings), 3, seed=0)
    codebook.codes.assign(RNG.normal(size=(codes, 3)))
    return codebook


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


def test_the_nearest_code_is_the_nearest_one():
    codebook = build()
    distances = ((VECTORS[:, None] - numbers(codebook.codes)) ** 2).sum(axis=2)
    np.testing.assert_array_equal(numbers(codebook.nearest(VECTORS)), distances.argmin(axis=1))
    grid = VECTORS[:48].reshape(2, 4, 6, 3)
    np.testing.assert_array_equal(numbers(codebook.nearest(grid)).ravel(), distances[:48].argmin(axis=1))
    quantized, indices = codebook(grid)
    np.testing.assert_allclose(numbers(quantized), numbers(codebook.codes)[numbers(indices)], atol=1e-6)


def test_gradients_pass_the_codes_as_if_they_were_the_vectors():
    class Weighed(keras.Model):
        """Σ weights · code(vectors), whose gradient after the vectors should be the weights."""

        def __init__(self, codebook):
            super().__init__()
            self.codebook = codebook
            self.vectors = self.add_weight(shape=VECTORS.shape, initializer="zeros", name="vectors")
            self.vectors.assign(VECTORS)
            self.built = True

        def call(self, weights, training=None):
            return weights * self.codebook(self.vectors, training=training)[0]

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.sum(y_pred)

    model, weights = Weighed(build()), RNG.normal(size=VECTORS.shape).astype("float32")
    before = numbers(model.codebook.codes)
    model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    model.train_on_batch(weights)
    np.testing.assert_allclose(numbers(model.vectors), VECTORS - 0.1 * weights, atol=1e-6)
    assert not model.codebook.trainable_variables
    assert np.abs(numbers(model.codebook.codes) - before).max() > 0


def test_codes_are_the_running_means_of_the_written_formula():
    codebook = build()
    shares, sums, codes = (numbers(value) for value in (codebook.shares, codebook.sums, codebook.codes))
    for part in np.split(VECTORS, 2):
        chosen = np.eye(4)[((part[:, None] - codes) ** 2).sum(axis=2).argmin(axis=1)]
        shares = 0.9 * shares + 0.1 * chosen.sum(axis=0) / 25
        sums = 0.9 * sums + 0.1 * chosen.T @ part / 25
        smoothed = shares.sum() * (shares + SMOOTHING) / (shares.sum() + 4 * SMOOTHING)
        codes = sums / smoothed[:, None]
        codebook(part, training=True)
        np.testing.assert_allclose(numbers(codebook.shares), shares, rtol=1e-5)
        np.testing.assert_allclose(numbers(codebook.codes), codes, rtol=1e-4)


def test_outside_training_the_codes_stay():
    codebook = build()
    before = numbers(codebook.codes)
    codebook(VECTORS, training=False)
    codebook(VECTORS)
    np.testing.assert_array_equal(numbers(codebook.codes), before)


def test_a_dead_code_starts_again_at_a_vector_of_the_batch_and_the_living_stay():
    codebook = build(decay=0.5, restart_below=0.2)
    codebook.codes.assign([[100.0, 100, 100], [1, 0, 0], [-1, 0, 0], [0, 0, -100]])
    codebook.shares.assign([0.001, 0.5, 0.499, 0.2])
    codebook(VECTORS, training=True)
    codes, shares = numbers(codebook.codes), numbers(codebook.shares)
    assert np.abs(VECTORS - codes[0]).max(axis=1).min() < 1e-3
    assert shares[0] == pytest.approx(0.25)
    assert shares[3] == pytest.approx(0.1)
    assert np.abs(codes[1:3] - [[1, 0, 0], [-1, 0, 0]]).max() > 0
    assert np.abs(VECTORS - codes[3]).max(axis=1).min() > 0.1


def test_restarts_follow_the_codebooks_own_generator():
    def restarted(state):
        codebook = build(codes=5, restart_below=0.9, decay=0.0)
        codebook.generator.state.assign([state, 0])
        codebook.codes.assign(np.full((5, 3), 100.0) + np.arange(5)[:, None])
        codebook(VECTORS, training=True)
        return numbers(codebook.codes)

    np.testing.assert_array_equal(restarted(1), restarted(1))
    assert np.abs(restarted(1) - restarted(2)).max() > 0.1


def test_a_codebook_starts_at_the_means_of_clusters():
    centers = 10 * np.eye(3)
    vectors = np.repeat(centers, (60, 30, 10), axis=0) + 0.1 * RNG.normal(size=(100, 3))
    codebook = build(codes=3)
    codebook.initialize(vectors.astype("float32"))
    order = numbers(codebook.codes).argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(numbers(codebook.codes), centers[order], atol=0.1)
    np.testing.assert_allclose(numbers(codebook.shares), np.array([0.6, 0.3, 0.1])[order], atol=1e-6)
    np.testing.assert_allclose(
        numbers(codebook.sums), numbers(codebook.codes) * numbers(codebook.shares)[:, None], rtol=1e-5
    )
