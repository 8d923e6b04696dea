import numpy as np
import pytest
from serving.conftest import Host, Shelf, fit_heat_maps, read_png

from vaeline.defects.heat_map import brightest
from vaeline.evaluation.inference import reconstruct


@pytest.fixture(scope="module")
def reference(small_model, digits, params):
    return fit_heat_maps(small_model, digits, params)


@pytest.fixture(scope="module")
def mapped(small_model, reference):
    """A service of the small model with its reference of heat maps."""
    with Host(Shelf(small_model, reference)) as running:
        yield running


def test_scores_come_with_maps_their_scores_and_the_threshold_on_request(mapped, small_model, reference, greys):
    sent = {"images": greys[:3].tolist()}
    plain = mapped.ask("POST", "/score", json=sent).json()
    found = mapped.ask("POST", "/score?map=numbers", json=sent).json()
    expected = reference.statistics.heat_maps(greys[:3], reconstruct(small_model, greys[:3], 1))
    np.testing.assert_allclose(found["heat_map"], expected, rtol=1e-3, atol=1e-3)
    assert found["heat_map_threshold"] == [pytest.approx(reference.threshold("heat_map", 0.01), rel=1e-5)] * 3
    assert found["heat_map_score"] == pytest.approx(np.sort(expected.reshape(3, -1))[:, -8:].mean(axis=1), rel=1e-3)
    assert {name: found[name] for name in plain} == plain


def test_a_map_as_png_is_white_at_twice_the_threshold(mapped, greys):
    sent = {"images": greys[:2].tolist()}
    numbers = mapped.ask("POST", "/score?map=numbers", json=sent).json()
    drawn = mapped.ask("POST", "/score?map=png", json=sent).json()
    assert "heat_map" not in drawn
    white = brightest(drawn["heat_map_threshold"][0])
    for picture, values in zip(drawn["heat_map_png"], numbers["heat_map"], strict=True):
        np.testing.assert_allclose(read_png(picture), np.clip(np.array(values) / white, 0, 1), atol=1 / 254)


def test_a_model_without_a_reference_refuses_maps_but_not_scores(host, greys):
    sent = {"images": greys[:1].tolist()}
    refused = host.ask("POST", "/score?map=png", json=sent)
    assert refused.status_code == 422
    assert "no reference of heat maps" in refused.json()["error"]
    assert host.ask("POST", "/score", json=sent).status_code == 200
    assert "map: should be" in host.ask("POST", "/score?map=yes", json=sent).json()["error"]


def test_a_refused_image_stays_refused(mapped, greys):
    response = mapped.ask("POST", "/score?map=numbers", json={"images": (greys[:1] - 1).tolist()})
    assert response.status_code == 422
    assert "pixels must be between" in response.json()["error"]
