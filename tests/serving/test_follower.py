import logging
import time

import numpy as np
import pytest
from serving.conftest import CHAMPION, NEVER, Host, Shelf

from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.models.vae import VAE
from vaeline.pyfunc.answers import ModelRequest, answer
from vaeline.pyfunc.golden import make_golden
from vaeline.serving import follower as module
from vaeline.serving.follower import Follower
from vaeline.serving.metrics import Metrics
from vaeline.serving.survey import survey_latents


@pytest.fixture
def other(params):
    return VAE(params.model.model_copy(update={"architecture": "mlp", "width": 8}), MNIST_IMAGE, seed=5)


@pytest.fixture
def following(shelf):
    follower = Follower(CHAMPION, NEVER, Metrics(), shelf.look_up)
    follower.look()
    return follower


def number(follower, name):
    return follower._metrics.registry.get_sample_value(name)


def test_it_follows_the_alias_from_version_to_version_and_back(following, shelf, other):
    shelf.models[2] = other
    for version in (1, 2, 1):
        shelf.version = version
        following.look()
        assert following.situation.served.identity.version == str(version)
        assert following.situation.served.model is shelf.models[version]
        assert following.situation.trouble is None
    assert number(following, "vaeline_model_swaps_total") == 2
    assert number(following, "vaeline_model_failed_loads_total") == 0


def test_what_stays_is_not_loaded_again(following, shelf):
    first = following.situation.served
    del shelf.models[1]
    following.look()
    assert following.situation.served is first


@pytest.mark.parametrize(
    "error", [VaelineError("SHA-256 is 12, expected 34"), RuntimeError("two\nlines"), KeyError("x")]
)
def test_a_version_that_fails_keeps_the_one_before_and_is_named(following, shelf, error, caplog):
    shelf.models[2], shelf.version = error, 2
    for _ in range(3):
        following.look()
    assert following.situation.served.identity.version == "1"
    assert following.situation.trouble.refused.version == "2"
    assert following.situation.trouble.sentence.startswith("models:/vae-digits/2: ")
    assert "\n" not in following.situation.trouble.sentence
    assert number(following, "vaeline_model_failed_loads_total") == 1, "it is not tried again at once"
    assert number(following, "vaeline_model_up_to_date") == 0
    assert [record.getMessage().endswith("; models:/vae-digits/1 still answers") for record in caplog.records] == [True]


def test_a_version_that_failed_is_tried_again_after_ever_longer_pauses(shelf, other, monkeypatch):
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    follower = Follower(CHAMPION, 5.0, Metrics(), shelf.look_up)
    follower.look()
    shelf.models[2], shelf.version = VaelineError("the store was slow"), 2
    tries = []
    for now in np.arange(0.0, 1000.0, 5.0):
        failed = number(follower, "vaeline_model_failed_loads_total")
        follower.look()
        if number(follower, "vaeline_model_failed_loads_total") > failed:
            tries.append(now)
    pauses = np.diff(tries)
    assert list(pauses[:5]) == [10, 20, 40, 80, 160]
    assert (pauses[5:] == 300).all()
    shelf.models[2] = other
    now += 300
    follower.look()
    assert follower.situation.served.identity.version == "2"
    assert follower.situation.trouble is None


def test_a_store_that_does_not_answer_keeps_the_model_and_is_told_once(following, shelf, caplog):
    for error in (VaelineError("the tracking store cannot be used: timed out"), ConnectionError("refused")):
        shelf.trouble = error
        following.look()
        following.look()
        assert following.situation.served.identity.version == "1"
        assert str(error) in following.situation.trouble.sentence
    assert len(caplog.records) == 2
    shelf.trouble = None
    following.look()
    assert following.situation.trouble is None
    assert number(following, "vaeline_model_up_to_date") == 1


def test_a_model_that_does_not_answer_every_mode_is_not_taken(following, shelf, other):
    weights = other.decoder.trainable_weights[0]
    weights.assign(np.full(weights.shape, np.nan, "float32"))
    shelf.models[2], shelf.version = other, 2
    following.look()
    assert following.situation.served.identity.version == "1"
    assert following.situation.trouble.sentence.startswith(
        "models:/vae-digits/2: does not answer reconstruct: the model's images"
    )


def test_golden_outputs_are_checked_where_there_are_some(following, shelf, other, greys):
    assert following.situation.served.checks == ("digest", "every mode answers")
    shelf.models[2], shelf.golden[2], shelf.version = other, make_golden(shelf.models[1], greys), 2
    following.look()
    assert following.situation.served.identity.version == "1"
    sentence = "models:/vae-digits/2: does not reproduce its golden outputs: reconstruct: images differs by up to "
    assert following.situation.trouble.sentence.startswith(sentence)
    shelf.models[3], shelf.golden[3], shelf.version = other, make_golden(other, greys), 3
    following.look()
    assert following.situation.served.identity.version == "3"
    assert following.situation.served.checks == ("digest", "golden outputs", "every mode answers")


def test_it_looks_again_by_itself_until_it_is_stopped(shelf, other):
    follower = Follower(CHAMPION, 0.01, Metrics(), shelf.look_up)
    shelf.models[2] = other
    follower.start()
    for version in (1, 2):
        shelf.version = version
        until = time.monotonic() + 20
        while not (follower.situation.served and follower.situation.served.identity.version == str(version)):
            assert time.monotonic() < until
            time.sleep(0.01)
    follower.stop()
    shelf.version = 1
    time.sleep(0.1)
    assert follower.situation.served.identity.version == "2"


def test_answers_change_with_the_alias_and_a_failure_is_told_over_http(shelf, other, greys):
    shelf.models |= {2: other, 3: VaelineError("the file was changed")}
    body = {"images": greys[:2].tolist()}
    with Host(shelf) as host:
        for version, answering in ((1, 1), (2, 2), (3, 2), (1, 1)):
            shelf.version = version
            host.follower.look()
            response = host.ask("POST", "/encode", json=body)
            assert response.headers["vaeline-model"] == f"models:/vae-digits/{answering}"
            expected = answer(shelf.models[answering], ModelRequest("encode", greys[:2]))["z_mean"]
            np.testing.assert_allclose(response.json()["z_mean"], expected, atol=1e-5)
            ready = host.ask("GET", "/readyz")
            assert ready.status_code == 200
            assert ready.json()["up_to_date"] == (version == answering)
            about = host.ask("GET", "/version").json()
            assert about["trouble"] == (None if version < 3 else "models:/vae-digits/3: the file was changed")
            assert (about["refused"] or {}).get("version") == (None if version < 3 else "3")
        assert host.sample("vaeline_model_swaps_total") == 2
        assert host.sample("vaeline_model_failed_loads_total") == 1
        text = host.ask("GET", "/metrics").text
    assert text.count("vaeline_model_info{") == 1


def test_the_busiest_latents_come_first(small_model, conditional_model, params):
    model = VAE(params.model.model_copy(update={"architecture": "mlp", "width": 8, "latent_dim": 3}), MNIST_IMAGE)
    first = model.decoder.trainable_weights[0]
    kernel = np.array(first)
    kernel[0], kernel[2] = 0.01 * kernel[0], 20 * kernel[2]
    first.assign(kernel)
    axes = survey_latents(model)
    assert [axis.index for axis in axes] == [2, 1, 0]
    assert all(abs(axis.mean) < 0.2 and 0.8 < axis.deviation < 1.2 for axis in axes)
    assert len(survey_latents(conditional_model)) == 3, "a label is no axis"


@pytest.fixture(autouse=True)
def _log(caplog):
    caplog.set_level(logging.WARNING, "vaeline.serve")


def test_a_tag_that_is_no_number_is_no_figure(small_model):
    shelf = Shelf(small_model)
    shelf.tags = {"test.kl": "many", "test.neg_elbo": "12.5", "seed": "1"}
    follower = Follower(CHAMPION, NEVER, Metrics(), shelf.look_up)
    follower.look()
    assert follower.situation.served.figures == {"neg_elbo": 12.5}
