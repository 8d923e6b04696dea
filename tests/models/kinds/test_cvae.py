import math

import numpy as np
import pytest
from conftest import first
from keras import ops
from scipy import stats
from sklearn.mixture import GaussianMixture

from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.evaluation.inference import encode, sample
from vaeline.likelihood.bounds import elbo_scores, importance_weighted_nll
from vaeline.models.build import build_model
from vaeline.models.priors import MixtureByLabel, NormalByLabel, SameForAllLabels, StandardNormal, log_normal
from vaeline.training.batches import Examples
from vaeline.training.fit import fit, start

RNG = np.random.default_rng(0)
PRIORS = ("normal", "label", "flow", "mixture")


def build(params, prior="label", **changes):
    small = {"kind": "cvae", "architecture": "mlp", "latent_dim": 3, **changes}
    settings = params.model.model_dump() | small
    settings["prior"] = settings["prior"] | {"kind": prior, "components": 2, "layers": 2, "width": 8}
    model = build_model(type(params.model).model_validate(settings), MNIST_IMAGE, 10, 0)
    model.compile(optimizer="adam")
    return model


def one_hot(labels):
    return np.eye(10, dtype="float32")[labels]


def disturb(prior):
    """Give every weight of a prior some value."""
    for variable in prior.trainable_variables:
        variable.assign(RNG.normal(size=variable.shape, scale=0.5))


def test_the_encoder_reads_the_label(conditional_model, greys, digits):
    told, _ = conditional_model.encode(greys, digits.labels[:40])
    misled, _ = conditional_model.encode(greys, (digits.labels[:40] + 1) % 10)
    moved = np.abs(np.asarray(told)[:, :3] - np.asarray(misled)[:, :3]).max(axis=1)
    assert (moved > 0.01).all()


def test_the_decoder_draws_the_label_that_it_is_told(conditional_model, digits):
    means = np.stack([digits.images[digits.labels == label].mean(axis=0) / 255 for label in range(10)])
    drawn = np.stack([sample(conditional_model, 100, 1, label).mean(axis=0) for label in range(10)])
    distances = ((drawn[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == np.arange(10)).all()


def test_z_ends_with_the_label_and_noise_does_not_touch_it(conditional_model, greys, digits):
    labels = digits.labels[:40]
    z_mean, z_log_var = conditional_model.encode(greys, labels)
    assert (z_mean.shape, z_log_var.shape) == ((40, 13), (40, 3))
    noise = RNG.normal(size=(40, 3)).astype("float32")
    z = np.asarray(conditional_model.reparameterize(z_mean, z_log_var, noise))
    np.testing.assert_array_equal(z[:, 3:], one_hot(labels))
    expected = np.asarray(z_mean)[:, :3] + np.exp(np.asarray(z_log_var) / 2) * noise
    np.testing.assert_allclose(z[:, :3], expected, rtol=1e-4, atol=1e-5)


def test_without_labels_the_model_goes_by_its_own_guess_and_it_is_good(conditional_model, digits):
    images = digits.images[:300].astype("float32") / 255
    guessed, _ = encode(conditional_model, images)
    labels = guessed[:, 3:].argmax(axis=1)
    assert (labels == digits.labels[:300]).mean() > 0.8
    np.testing.assert_allclose(guessed, encode(conditional_model, images, labels)[0], atol=1e-5)
    costs = np.asarray(conditional_model.label_costs(images[:20]))
    for label in range(10):
        z_mean, z_log_var = conditional_model.encode(images[:20], np.full(20, label))
        cost = conditional_model.likelihood.nll(images[:20], conditional_model.decode_logits(z_mean))
        expected = cost + conditional_model.rate(z_mean, z_mean, z_log_var)
        np.testing.assert_allclose(costs[:, label], expected, rtol=1e-4)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_nll_of_image_and_label_is_below_their_elbo(params, greys, digits, prior):
    model = build(params, prior)
    disturb(model.prior)
    model.encoder.get_layer("z_mean").bias.assign([1.5, -1.5, 1.5])
    rows, labels = np.arange(40), digits.labels[:40]
    bounds = [importance_weighted_nll(model, greys, rows, k, 1, labels).mean() for k in (200, 5)]
    ten = np.tile(greys, (10, 1, 1, 1)), np.arange(400), 1, np.tile(labels, 10)
    negative_elbo = elbo_scores(model, *ten)["neg_elbo"].mean()
    assert bounds[0] < bounds[1] - 0.2 < negative_elbo - 0.4


@pytest.mark.parametrize("prior", ["flow", "mixture"])
@pytest.mark.usefixtures("training")
def test_what_was_trained_draws_the_class_it_is_told_or_any(params, digits, tmp_path, prior):
    quick = {"epochs": 1, "batch_size": 64, "min_kl": 0.0, "jit_compile": False}
    train = params.train.model_copy(update=quick)
    examples = first(Examples(digits.images, digits.labels), 192)
    progress = start(examples, 10, build(params, prior).params, train)
    model, history = fit(progress, examples, examples, train, tmp_path / "checkpoint", lambda row: None)
    assert history[0]["neg_elbo"] == pytest.approx(history[0]["reconstruction"] + history[0]["kl"], rel=1e-5)
    np.testing.assert_array_equal(np.asarray(model.draw_latents(5, 1, label=7))[:, 3:], one_hot(np.full(5, 7)))
    any_label = np.asarray(model.draw_latents(2000, 1))[:, 3:]
    np.testing.assert_allclose(any_label.mean(axis=0), 0.1, atol=0.03)
    drawn = np.asarray(model.draw_latents(20, 3))
    assert np.isfinite(np.asarray(model.log_prior(drawn))).all()
    np.testing.assert_array_equal(drawn, model.draw_latents(20, 3))


def test_the_closed_kl_of_the_prior_by_label_is_the_monte_carlo_one():
    prior = NormalByLabel(2, 3)
    disturb(prior)
    mean, log_var = RNG.normal(size=2).astype("float32"), np.array([-1.0, 0.5], "float32")
    label = np.eye(3, dtype="float32")[[1]]
    latents = (mean + np.exp(log_var / 2) * RNG.standard_normal((200_000, 2))).astype("float32")
    z = np.concatenate([latents, np.repeat(label, len(latents), axis=0)], axis=1)
    sampled = np.asarray(log_normal(latents, mean, log_var) - prior.log_prob(z), "float64")
    closed = float(prior.kl(z[:1], np.concatenate([mean[None], label], axis=1), log_var[None])[0])
    assert closed == pytest.approx(sampled.mean(), abs=4 * sampled.std() / math.sqrt(len(latents)))


def test_the_prior_by_label_is_scipys_and_draws_what_it_says():
    prior = NormalByLabel(2, 3)
    disturb(prior)
    means, deviations = np.asarray(prior.centers), np.exp(np.asarray(prior.log_vars) / 2)
    drawn = np.asarray(prior.sample(20_000, 1, 1.0, 2))
    np.testing.assert_allclose(drawn[:, :2].mean(axis=0), means[2], atol=0.05)
    np.testing.assert_allclose(drawn[:, :2].std(axis=0), deviations[2], rtol=0.05)
    expected = stats.norm.logpdf(drawn[:, :2], means[2], deviations[2]).sum(axis=1) - math.log(3)
    np.testing.assert_allclose(prior.log_prob(drawn), expected, rtol=1e-3, atol=1e-3)


def test_labels_cost_their_nats_and_latents_those_of_their_prior():
    prior = SameForAllLabels(StandardNormal(2), 4)
    z = np.asarray(prior.sample(50, 1, 1.0))
    np.testing.assert_allclose(prior.log_prob(z), stats.norm.logpdf(z[:, :2]).sum(axis=1) - math.log(4), rtol=1e-4)
    label = z[:1, 2:]
    nothing_said = np.concatenate([np.zeros((1, 2), "float32"), label], axis=1)
    np.testing.assert_allclose(prior.kl(z[:1], nothing_said, np.zeros((1, 2), "float32")), math.log(4), rtol=1e-5)


def test_each_class_has_a_mixture_of_its_own():
    prior = MixtureByLabel(2, 2, 3)
    labels = np.repeat([0, 1], 400)
    latents = (RNG.normal(size=(800, 2)) + 5 * labels[:, None] * RNG.choice([-1, 1], (800, 1))).astype("float32")
    z = np.concatenate([latents, np.eye(3, dtype="float32")[labels]], axis=1)
    prior.fit(z, 1)
    for label in (0, 1):
        rows = latents[labels == label]
        sklearns = GaussianMixture(2, init_params="k-means++", reg_covar=1e-4, random_state=1).fit(rows)
        expected = sklearns.score_samples(rows) - math.log(3)
        np.testing.assert_allclose(prior.log_prob(z[labels == label]), expected, atol=0.02)
    drawn = np.asarray(prior.sample(2000, 1, 1.0, 1))[:, :2]
    np.testing.assert_allclose(drawn.std(axis=0), latents[labels == 1].std(axis=0), rtol=0.1)
    unseen = np.concatenate([latents, np.eye(3, dtype="float32")[np.full(800, 2)]], axis=1)
    expected = stats.norm.logpdf(latents).sum(axis=1) - math.log(3)
    np.testing.assert_allclose(prior.log_prob(unseen), expected, rtol=1e-4)


@pytest.mark.usefixtures("training")
def test_the_nats_of_the_label_do_not_hide_a_collapse(params, digits, tmp_path):
    quick = {"epochs": 1, "batch_size": 64, "min_kl": 0.5, "jit_compile": False}
    train = params.train.model_copy(update=quick)
    examples = first(Examples(digits.images, digits.labels), 192)
    progress = start(examples, 10, build(params, beta=1000.0).params, train)
    with pytest.raises(VaelineError, match="the posterior has collapsed"):
        fit(progress, examples, examples, train, tmp_path / "checkpoint", lambda row: None)


@pytest.mark.parametrize("changes", [{"capacity": 5.0}, {"free_bits": 2.0, "prior": "normal"}])
def test_what_holds_the_kl_holds_that_of_the_latents_alone(params, greys, digits, changes):
    model = build(params, **changes)
    outputs = model(model.inputs(greys, digits.labels[:40]))
    loss = float(model.compute_loss(y_pred=outputs))
    means = {mean.name: float(mean.result()) for mean in model.means}
    kl = means["kl"] - math.log(10)
    held = abs(kl - 5) if "capacity" in changes else 6.0
    assert loss == pytest.approx(means["reconstruction"] + held, rel=1e-5)


def test_training_sees_the_labels_it_is_given(params, greys, digits):
    model = build(params)
    outputs = model(model.inputs(greys, digits.labels[:40]))
    np.testing.assert_array_equal(ops.convert_to_numpy(outputs["z"])[:, 3:], one_hot(digits.labels[:40]))
