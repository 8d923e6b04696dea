import itertools

import keras
import numpy as np
import pytest
from conftest import first
from keras import ops
from scipy.special import logsumexp

from vaeline.archive import save_archive
from vaeline.data.sources import MNIST_IMAGE
from vaeline.images.spec import ImageSpec
from vaeline.likelihood.bounds import elbo_scores, importance_weighted_nll
from vaeline.models.kinds.vqvae.model import VQVAE
from vaeline.params.model import ModelParams
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, resume_or_start, start


def settings(params, **changes) -> ModelParams:
    given = params.model.model_dump()
    given |= {"kind": "vqvae", "architecture": "conv", "width": 8, "depth": 1, "latent_dim": 4}
    prior = given["prior"] | {"kind": "autoregressive", "layers": 1, "width": 16}
    codebook = given["codebook"] | {"codes": changes.pop("codes", 8), "side": changes.pop("side", 8)}
    return ModelParams.model_validate(given | {"prior": prior, "codebook": codebook} | changes)


def build(params, image=MNIST_IMAGE, **changes) -> VQVAE:
    keras.utils.set_random_seed(0)
    return VQVAE(settings(params, **changes), image, seed=0)


def numbers(tensor) -> np.ndarray:
    return np.array(ops.convert_to_numpy(tensor))


@pytest.fixture
def examples(digits) -> Examples:
    return first(Examples(digits.images, digits.labels), 300)


@pytest.fixture
def train_params(params):
    changes = {"epochs": 3, "batch_size": 100, "learning_rate": 0.01, "min_kl": 0.0, "jit_compile": False}
    return params.train.model_copy(update=changes)


@pytest.mark.parametrize(("architecture", "side"), [("conv", 8), ("resconv", 8), ("conv", 16), ("resconv", 4)])
def test_an_image_is_a_grid_of_codes_and_back(params, greys, architecture, side):
    model = build(params, architecture=architecture, side=side)
    rows = {4: 4, 8: 7, 16: 14}[side]
    z, log_var = (numbers(part) for part in model.encode(greys))
    assert z.shape == (40, rows**2 * 4) == (40, model.latent_dim)
    assert log_var.shape == (40, 0) == (40, model.noise_dim)
    codes = numbers(model.codes(z))
    assert codes.shape == (40, rows**2)
    np.testing.assert_array_equal(numbers(model.codebook.look_up(codes)).reshape(40, -1), z)
    vectors = numbers(model.read(greys)).reshape(40, rows**2, 4)
    np.testing.assert_array_equal(numbers(model.codebook.nearest(vectors)), codes)
    np.testing.assert_allclose(numbers(model.decode(z)), numbers(model.reconstruct(greys)), atol=1e-6)
    grid = z.reshape(40, rows, rows, 4)
    np.testing.assert_allclose(numbers(model.decode_logits(z)), numbers(model.decoder(grid)), atol=1e-5)


def test_reconstruction_and_code_length_bound_the_nll_that_all_grids_give(params):
    model = build(params, image=ImageSpec(height=4, width=4, channels=1), codes=3)
    images = np.random.default_rng(0).random((5, 4, 4, 1), dtype="float32")
    model.codebook.codes.assign(np.random.default_rng(1).normal(size=(3, 4)))
    for weight in model.prior.trainable_weights:
        weight.assign(weight + 0.2 * np.random.default_rng(2).normal(size=weight.shape))
    scores = elbo_scores(model, images, np.arange(5), 1)
    every = np.array(list(itertools.product(range(3), repeat=4)), "int32")
    z = ops.reshape(model.codebook.look_up(every), (81, -1))
    pairwise = numbers(model.likelihood.pairwise_nll(images, model.decode_logits(z)))
    nll = -logsumexp(numbers(model.log_prior(z)) - pairwise, axis=1)
    assert (nll < scores["neg_elbo"]).all()
    np.testing.assert_allclose(scores["neg_elbo"], scores["reconstruction"] + scores["kl"])
    own = numbers(model.codes(model.encode(images)[0])) @ [27, 9, 3, 1]
    joint = pairwise - numbers(model.log_prior(z))
    np.testing.assert_allclose(scores["neg_elbo"], joint[np.arange(5), own], rtol=1e-5)


def test_without_randomness_the_importance_weighted_bound_is_the_negative_elbo(params, greys):
    model, rows = build(params), np.arange(40)
    expected = elbo_scores(model, greys, rows, 1)["neg_elbo"]
    for samples in (1, 3):
        np.testing.assert_allclose(importance_weighted_nll(model, greys, rows, samples, 1), expected, rtol=1e-5)


def test_the_loss_is_the_bound_and_the_commitment(params, greys):
    model = build(params, beta=3.0)
    model.compile(optimizer="adam")
    loss = float(model.compute_loss(y_pred=model(greys), training=True))
    means = {mean.name: float(mean.result()) for mean in model.means}
    scores = elbo_scores(model, greys, np.arange(40), 1)
    assert means == pytest.approx({name: scores[name].mean() for name in means}, rel=1e-4)
    z = numbers(model.encode(greys)[0])
    distance = ((numbers(model.read(greys)).reshape(40, -1) - z) ** 2).sum(axis=1).mean()
    assert loss == pytest.approx(means["neg_elbo"] + model.params.codebook.commitment * distance, rel=1e-4)


def after_a_step(params, greys, prior_seed=0, **changes) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights of encoder and prior, and how much cheaper codes are, after a step under a prior without context."""
    model = build(params, **changes)
    codes = np.random.default_rng(1).normal(size=(8, 4))
    model.codebook.codes.assign(codes)
    model.codebook.sums.assign(codes / 8)
    model.prior.head.kernel.assign(np.zeros(model.prior.head.kernel.shape))
    model.prior.head.bias.assign(np.random.default_rng(prior_seed).normal(size=8))
    before = numbers(model(greys, training=False)["soft_rate"]).mean()
    kept = [numbers(weight) for weight in model.codebook.weights]
    model.compile(optimizer=keras.optimizers.SGD(1e-9), run_eagerly=True)
    model.train_on_batch(greys)
    model.codebook.set_weights(kept)
    after = numbers(model(greys, training=False)["soft_rate"]).mean()
    encoder, prior = (
        np.concatenate([numbers(weight).ravel() for weight in part.weights]) for part in (model.encoder, model.prior)
    )
    return encoder, prior, float(before - after)


@pytest.mark.usefixtures("training")
def test_the_prior_moves_the_encoder_by_beta_alone_and_is_not_moved_by_it(params, greys):
    free = [after_a_step(params, greys, seed, beta=0.0) for seed in (0, 1)]
    np.testing.assert_array_equal(free[0][0], free[1][0])
    pressed = [after_a_step(params, greys, seed, beta=1e5) for seed in (0, 1)]
    assert np.abs(pressed[0][0] - pressed[1][0]).max() > 0
    np.testing.assert_array_equal(free[0][1], pressed[0][1])


@pytest.mark.usefixtures("training")
def test_beta_makes_codes_cheaper_and_capacity_holds_their_cost(params, greys):
    cheaper = {value: after_a_step(params, greys, beta=1e4, capacity=value)[2] for value in (0, 1, 999)}
    assert cheaper[0] > 0.1
    assert cheaper[1] == cheaper[0]
    # Not the same: on black pixels many units stand at the kink of their ReLU.
    assert cheaper[999] == pytest.approx(-cheaper[0], rel=0.2)


def test_the_codebook_starts_at_what_the_untrained_encoder_says(params, examples):
    model = build(params)
    greys = examples.images.astype("float32") / 255
    vectors = numbers(model.read(greys)).reshape(-1, 4)

    def off() -> float:
        return (
            (vectors - numbers(model.codebook.look_up(model.codebook.nearest(vectors)))) ** 2
        ).mean() / vectors.var()

    untouched = off()
    model.initialize(*examples)
    assert off() < 0.6 * untouched
    assert set(numbers(model.codebook.nearest(vectors))) == set(range(8))
    mean = numbers(model.likelihood.mean(model.decoder.get_layer("logits").bias))
    np.testing.assert_allclose(mean, np.full(mean.shape, greys.mean()), rtol=1e-3)


@pytest.mark.usefixtures("training")
def test_training_is_resumable_with_its_codebook_and_ends_where_one_that_was_not_stopped_does(
    params, examples, train_params, tmp_path
):
    class StopError(Exception):
        pass

    def stop(row):
        raise StopError

    model_params = settings(params, beta=0.5)
    model_params = model_params.model_copy(
        update={"codebook": model_params.codebook.model_copy(update={"restart_below": 0.5})}
    )
    data = (examples, first(examples, 50))
    whole, history = fit(start(examples, 10, model_params, train_params), *data, train_params, tmp_path / "w", print)
    with pytest.raises(StopError):
        fit(start(examples, 10, model_params, train_params), *data, train_params, tmp_path / "s", stop)
    keras.utils.set_random_seed(99)
    progress = resume_or_start(tmp_path / "s", examples, 10, model_params, train_params)
    assert len(progress.history) == 1
    resumed, again = fit(progress, *data, train_params, tmp_path / "s", print)
    assert again == history
    assert save_archive(whole, tmp_path / "a.keras") == save_archive(resumed, tmp_path / "b.keras")
    assert history[-1]["val_reconstruction"] < history[0]["val_reconstruction"]
    assert {"neg_elbo", "reconstruction", "kl", "val_neg_elbo", "val_reconstruction", "val_kl"} <= set(history[0])


def test_samples_are_decoded_codes_and_follow_seed_and_temperature(params):
    model = build(params, ImageSpec(height=6, width=4, channels=1))
    z = numbers(model.draw_latents(6, seed=1))
    np.testing.assert_array_equal(numbers(model.codebook.look_up(model.codes(z))).reshape(6, -1), z)
    np.testing.assert_array_equal(z, numbers(model.draw_latents(6, seed=1)))
    assert np.abs(z - numbers(model.draw_latents(6, seed=2))).max() > 0
    cold = numbers(model.sample(3, seed=1, temperature=0.0))
    np.testing.assert_allclose(cold, np.repeat(cold[:1], 3, axis=0))
