"""Whole pictures are scored by a model of tiles."""

import keras
import numpy as np
import pytest
from serving.conftest import Host, Shelf, fit_heat_maps, identity, png, read_png

from vaeline.defects.examine import Examiner
from vaeline.defects.heat_map import brightest
from vaeline.evaluation.inference import reconstruct
from vaeline.images.arrays import to_unit
from vaeline.images.tiles import tiles_of
from vaeline.models.build import build_model
from vaeline.serving import service

SIZE = (70, 100)
PICTURE = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def tiles_model(params, small_model):
    keras.utils.set_random_seed(3)
    small = params.model.model_copy(update={"architecture": "mlp", "latent_dim": 3})
    return build_model(small, small_model.image.model_copy(update={"tile": True}), 10, 1)


@pytest.fixture(scope="module")
def reference(tiles_model, digits, params):
    return fit_heat_maps(tiles_model, digits, params)


@pytest.fixture(scope="module")
def tiled(tiles_model, reference):
    """A service of a model of tiles; a batch is fewer tiles than the picture has."""
    with Host(Shelf(tiles_model, reference), batch=5) as running:
        yield running


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(1).integers(0, 256, (*SIZE, 1), dtype="uint8")


def ask(host, picture, url):
    return host.ask("POST", url, content=png(picture), headers=PICTURE)


def test_a_whole_picture_has_the_map_and_the_scores_of_its_stitched_tiles(tiled, tiles_model, reference, picture):
    found = ask(tiled, picture, "/score?map=numbers").json()
    expected = Examiner(tiles_model, {}, reference.statistics, 1).examine_tiled(picture)
    np.testing.assert_allclose(found["heat_map"][0], expected.heat_map, rtol=1e-3, atol=1e-3)
    assert np.shape(found["heat_map"]) == (1, *SIZE)
    assert found["heat_map_score"] == [pytest.approx(expected.scores["heat_map"], rel=1e-3)]
    tiles = to_unit(tiles_of(picture, tiles_model.image))
    errors = ((reconstruct(tiles_model, tiles, 1) - tiles) ** 2).mean(axis=(1, 2, 3))
    assert found["mse"] == [pytest.approx(errors.max(), rel=1e-3)]
    assert found["heat_map_threshold"] == [pytest.approx(reference.threshold("heat_map", 0.01), rel=1e-5)]


def test_a_map_as_png_has_the_size_of_the_picture(tiled, picture):
    numbers, drawn = (ask(tiled, picture, f"/score?map={form}").json() for form in ("numbers", "png"))
    white = brightest(drawn["heat_map_threshold"][0])
    expected = np.clip(np.array(numbers["heat_map"][0]) / white, 0, 1)
    np.testing.assert_allclose(read_png(drawn["heat_map_png"][0]), expected, atol=1 / 254)


def test_without_a_map_the_scores_are_the_highest_of_the_tiles(tiled, picture):
    whole = ask(tiled, picture, "/score").json()
    corner = ask(tiled, picture[:28, :28], "/score").json()
    assert set(whole) == {"model", "neg_elbo", "reconstruction", "kl", "mse"}
    assert len(whole["mse"]) == 1
    assert whole["mse"][0] >= corner["mse"][0] > 0


def test_a_picture_smaller_than_a_tile_is_one_tile(tiled, picture):
    found = ask(tiled, picture[:20, :25], "/score?map=numbers").json()
    assert np.shape(found["heat_map"]) == (1, 20, 25)


def test_a_map_with_too_many_numbers_is_refused_but_not_its_picture(tiled, picture, monkeypatch):
    monkeypatch.setattr(service, "MOST_MAP_NUMBERS", 6999)
    refused = ask(tiled, picture, "/score?map=numbers")
    assert refused.status_code == 422
    assert refused.json()["error"] == "the heat map has 7,000 numbers, at most 6,999 are sent; use map=png"
    assert ask(tiled, picture, "/score?map=png").status_code == 200


def test_a_broken_picture_is_refused_with_its_reason(tiled):
    response = tiled.ask("POST", "/score", content=b"\x89PNG broken", headers=PICTURE)
    assert response.status_code == 400
    assert response.json()["error"].startswith("the picture: ")


def test_a_picture_whose_tiles_two_models_scored_is_refused(tiled, picture, monkeypatch):
    submit, versions = tiled.service._submit, iter(range(1, 99))

    async def replaced(request, client):
        _, found = await submit(request, client)
        return identity(next(versions)), found

    monkeypatch.setattr(tiled.service, "_submit", replaced)
    response = ask(tiled, picture, "/score")
    assert response.status_code == 503
    assert "the model was replaced" in response.json()["error"]
