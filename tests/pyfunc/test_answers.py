import dataclasses

import numpy as np
import pytest

from vaeline.data.sources import MNIST_IMAGE
from vaeline.likelihood.bounds import elbo_scores
from vaeline.models.build import build_model
from vaeline.pyfunc.answers import MODES, ModelRequest, UnanswerableError, answer, answer_all

BLANK = np.zeros((1, *MNIST_IMAGE.shape), "float32")
CLOSE = {"atol": 1e-4, "rtol": 1e-5}


@pytest.fixture(scope="module")
def plain_autoencoder(params):
    changes = {"kind": "autoencoder", "architecture": "mlp", "latent_dim": 20, "width": 16}
    return build_model(params.model.model_copy(update=changes), MNIST_IMAGE, 10, 1)


@pytest.fixture(params=["small_model", "conditional_model", "vq_model", "plain_autoencoder"])
def model(training, request):
    return request.getfixturevalue(request.param)


def asks(model, greys):
    """Three requests of unequal sizes for each mode."""
    parts = np.split(greys[:10], [1, 4])
    for mode in ("reconstruct", "encode", "score"):
        yield [ModelRequest(mode, part) for part in parts]
    yield [ModelRequest("decode", answer(model, ModelRequest("encode", part))["z_mean"]) for part in parts]
    yield [ModelRequest("sample", count=len(part), seed=seed, temperature=0.5) for seed, part in enumerate(parts)]


def test_requests_computed_as_one_are_answered_as_if_alone(model, greys):
    for together in asks(model, greys):
        for ask, found in zip(together, answer_all(model, together), strict=True):
            alone = answer(model, ask)
            assert set(found) == set(alone)
            for name, values in found.items():
                assert len(values) == ask.size
                np.testing.assert_allclose(values, alone[name], **CLOSE)


def test_what_cannot_be_answered_does_not_keep_the_others_from_it(small_model, greys):
    good, bad = ModelRequest("encode", greys[:2]), ModelRequest("encode", greys[:2] + 1)
    found = answer_all(small_model, [bad, good, bad])
    assert [isinstance(part, UnanswerableError) for part in found] == [True, False, True]
    np.testing.assert_allclose(found[1]["z_mean"], answer(small_model, good)["z_mean"], **CLOSE)
    assert all(isinstance(part, UnanswerableError) for part in answer_all(small_model, [bad, bad]))


def test_only_requests_that_can_be_computed_together_have_one_batch_key(greys):
    first = ModelRequest("score", greys)
    assert first.batch_key == dataclasses.replace(first, values=greys[:1]).batch_key
    for change in ({"seed": 2}, {"label": 3}, {"mode": "encode"}):
        assert dataclasses.replace(first, **change).batch_key != first.batch_key
    draws = ModelRequest("sample", count=3)
    assert draws.batch_key == dataclasses.replace(draws, seed=2, label=1, count=1, temperature=0.0).batch_key


def test_scores_have_the_noise_of_their_seed_and_row(small_model, greys):
    found = answer_all(
        small_model, [ModelRequest("score", greys[:3], seed=7), ModelRequest("score", greys[3:5], seed=7)]
    )
    for part, images in zip(found, (greys[:3], greys[3:5]), strict=True):
        expected = elbo_scores(small_model, images, np.arange(len(images)), 7)
        np.testing.assert_allclose(part["neg_elbo"], expected["neg_elbo"], rtol=1e-5)
    other = answer(small_model, ModelRequest("score", greys[:1], seed=8))
    assert other["kl"] == pytest.approx(found[0]["kl"][:1], rel=1e-5)
    assert other["neg_elbo"] != pytest.approx(found[0]["neg_elbo"][:1], rel=1e-5)


def test_a_conditional_model_can_be_told_the_labels(conditional_model, greys):
    for mode in ("encode", "reconstruct", "score"):
        sevens = answer_all(
            conditional_model, [ModelRequest(mode, greys[:2], label=7), ModelRequest(mode, greys[:2], label=1)]
        )
        alone = answer(conditional_model, ModelRequest(mode, greys[:2], label=1))
        for name, values in alone.items():
            np.testing.assert_allclose(values, sevens[1][name], **CLOSE)
            assert not np.allclose(values, sevens[0][name]) or name == "z_log_var"
    z_mean = answer(conditional_model, ModelRequest("encode", greys[:2], label=7))["z_mean"]
    np.testing.assert_array_equal(z_mean[:, -10:], np.eye(10)[[7, 7]])


def test_a_model_without_a_bound_scores_what_it_has(plain_autoencoder, greys):
    assert set(answer(plain_autoencoder, ModelRequest("score", greys[:2]))) == {"reconstruction", "mse"}


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (ModelRequest("encode", BLANK[:, :, :-1]), r"shape \(n, 28, 28, 1\), got \(1, 28, 27, 1\)"),
        (ModelRequest("encode", BLANK[:0]), r"got \(0, 28, 28, 1\)"),
        (ModelRequest("score", BLANK + 1.5), r"pixels must be between 0 and 1, got 1\.5 to 1\.5"),
        (ModelRequest("reconstruct", BLANK + np.nan), "pixels must be between 0 and 1"),
        (ModelRequest("encode", BLANK, label=0), r"\(vae, mlp, 2-D\) is not conditioned on classes; got 0"),
        (ModelRequest("decode", np.zeros((1, 3), "float32")), r"latents of shape \(n, 2\), got \(1, 3\)"),
        (ModelRequest("decode", np.zeros((0, 2), "float32")), r"latents of shape \(n, 2\), got \(0, 2\)"),
        (ModelRequest("decode", np.full((1, 2), np.inf, "float32")), "latents must be finite"),
        (ModelRequest("sample", count=0), "n must be 1 to 10000, got 0"),
        (ModelRequest("sample", count=10_001), "n must be 1 to 10000, got 10001"),
        (ModelRequest("sample", seed=-1), "seed must be 0 to 2147483647, got -1"),
        (ModelRequest("sample", seed=2**31), "seed must be 0 to 2147483647"),
        (ModelRequest("sample", temperature=np.nan), "temperature must be 0 to 10, got nan"),
        (ModelRequest("sample", label=3), "is not conditioned on classes; got 3"),
        (ModelRequest("sample", label=-2), "is not conditioned on classes; got -2"),
    ],
)
def test_a_refusal_is_one_sentence(small_model, ask, sentence):
    with pytest.raises(UnanswerableError, match=sentence) as error:
        answer(small_model, ask)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", ["sample", "encode", "reconstruct", "score"])
def test_a_label_that_there_is_not_gets_a_sentence(conditional_model, greys, mode):
    with pytest.raises(UnanswerableError, match=r"label must be -1 \(no label\) to 9, got 10"):
        answer(conditional_model, ModelRequest(mode, greys[:1], label=10))


def test_an_answer_that_is_not_finite_is_none(params):
    model = build_model(params.model.model_copy(update={"architecture": "mlp", "width": 8}), MNIST_IMAGE, 10, 1)
    weights = model.decoder.trainable_weights[0]
    weights.assign(np.full(weights.shape, np.inf, "float32"))
    with pytest.raises(UnanswerableError, match="the model's images for this input are not finite"):
        answer(model, ModelRequest("decode", np.ones((1, 2), "float32")))


def test_the_modes_are_those_that_are_documented():
    assert set(MODES) == {"reconstruct", "encode", "decode", "sample", "score"}
