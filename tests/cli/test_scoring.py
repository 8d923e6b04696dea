"""`vaeline anomaly` with a reference of heat maps: verdicts, regions, exit status."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vaeline.archive import save_archive
from vaeline.artifacts import digest
from vaeline.defects.pictures import PictureSet
from vaeline.defects.reference import fit_heat_map_reference, read_heat_map_reference, write_heat_map_reference
from vaeline.images.arrays import drawable, to_unit
from vaeline.images.spec import ImageSpec
from vaeline.latents.reference import fit_reference, read_reference, write_reference
from vaeline.models.build import build_model

OLD = ["image", "one_class", "neg_elbo", "reconstruction", "kl", "one_class_latent"]


@pytest.fixture(scope="module")
def inspected(desk, model, digits, params, tmp_path_factory) -> Path:
    """The desk with a reference of heat maps, and five digits of which one has a block of ink in its corner."""
    folder = tmp_path_factory.mktemp("inspected")
    for part in ("models", "reports"):
        shutil.copytree(desk / part, folder / part)
    densities = read_reference(desk / "reports/latent_reference.json").densities
    sha256 = digest(folder / "models/vae.keras")
    reference = fit_heat_map_reference(model, sha256, PictureSet(digits.images[500:600]), densities, params.evaluate)
    write_heat_map_reference(reference, folder / "reports/heat_map_reference.json")
    (folder / "pictures").mkdir()
    for row in range(5):
        picture = np.array(digits.images[row])
        if row == 3:
            picture[1:6, 20:26] = 255
        Image.fromarray(drawable(picture)).save(folder / f"pictures/{row}.png")
    return folder


@pytest.fixture
def anomaly(vaeline, inspected, monkeypatch, tmp_path):
    monkeypatch.chdir(inspected)
    return lambda *arguments: vaeline("anomaly", "pictures", "--out", tmp_path / "a.csv", *arguments)


def test_the_table_has_the_heat_map_score_and_the_verdict_behind_todays_columns(anomaly, inspected, tmp_path):
    answer = anomaly("--score", "heat_map")
    assert answer.exit_code == 0, answer.output
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table) == ["image", "heat_map", *OLD[2:4], "kl", "one_class", "one_class_latent", "anomalous"]
    assert table["image"][0] == "pictures/3.png"
    threshold = read_heat_map_reference(inspected / "reports/heat_map_reference.json").threshold("heat_map", 0.01)
    assert (table["anomalous"] == (table["heat_map"] > threshold)).all()
    assert table["anomalous"].tolist() == [True] + [False] * 4
    assert f"5 pictures, 1 anomalous (heat_map above {threshold:.4g})" in answer.output
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--threshold", "1e9"], 0),
        (["--threshold", "-1e9"], 3),
        (["--score", "heat_map", "--false-alarms", "0.01"], 3),
        ([], 0),
    ],
)
def test_the_exit_status_says_whether_a_picture_is_anomalous_if_a_threshold_is_asked_for(anomaly, options, status):
    assert anomaly(*options).exit_code == status


def test_the_report_names_the_regions_of_each_picture(anomaly, inspected, tmp_path):
    assert anomaly("--score", "heat_map", "--out", tmp_path / "a.json").exit_code == 0
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["model_sha256"] == digest(inspected / "models/vae.keras")
    worst = report["pictures"][0]
    assert (worst["image"], worst["anomalous"], worst["height"], worst["width"]) == ("pictures/3.png", True, 28, 28)
    region = worst["regions"][0]
    assert region["x"] <= 20
    assert region["x"] + region["width"] >= 26
    assert region["y"] <= 1
    assert region["y"] + region["height"] >= 6
    assert region["surprise"] > report["region_threshold"]
    assert set(worst["scores"]) == {*OLD[1:], "heat_map"}


def test_scores_of_the_reference_are_those_of_the_command(anomaly, digits, inspected, tmp_path):
    reference = read_heat_map_reference(inspected / "reports/heat_map_reference.json")
    for row in range(500, 504):
        Image.fromarray(drawable(digits.images[row])).save(tmp_path / f"{row}.png")
    assert anomaly(tmp_path).exit_code == 0
    table = pd.read_csv(tmp_path / "a.csv").set_index("image")
    for name in OLD[1:]:
        for value in table.loc[[str(tmp_path / f"{row}.png") for row in range(500, 504)], name]:
            assert np.abs(reference.scores[name] - value).min() < 1e-3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--threshold", "1", "--false-alarms", "0.1"], "give --threshold or --false-alarms, not both"),
        (["--out", "a.txt"], "must end in .csv or .json"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(anomaly, options, sentence):
    answer = anomaly(*options)
    assert answer.exit_code == 1
    assert sentence in answer.stderr


def test_a_model_without_a_reference_of_heat_maps_keeps_its_scores(vaeline, desk, tmp_path):
    answer = vaeline("anomaly", "pictures", "--threshold", "-1e9", "--out", tmp_path / "a.csv")
    assert answer.exit_code == 3
    assert "an earlier vaeline evaluated this model" in answer.stderr
    assert list(pd.read_csv(tmp_path / "a.csv")) == [*OLD, "anomalous"]
    for options in (["--score", "heat_map"], ["--false-alarms", "0.1"]):
        refused = vaeline("anomaly", "pictures", *options, "--out", tmp_path / "b.csv")
        assert refused.exit_code == 1
        assert "has no heat maps" in refused.stderr


def test_the_reference_of_another_model_is_refused(anomaly, inspected, monkeypatch, tmp_path):
    shutil.copytree(inspected, tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    path = Path("reports/heat_map_reference.json")
    path.write_text(path.read_text().replace(digest(Path("models/vae.keras")), "f" * 64))
    answer = anomaly()
    assert answer.exit_code == 1
    assert "the reference of heat maps was made from another model (ffffffffffff…)" in answer.stderr


@pytest.fixture(scope="module")
def tiled(params, tmp_path_factory) -> Path:
    """A place with an untrained model of tiles, and two pictures of 90 × 150 pixels, one with a spot."""
    folder = tmp_path_factory.mktemp("tiled")
    spec = ImageSpec(height=32, width=32, channels=1, background="#808080", ink=False, tile=True)
    rng = np.random.default_rng(0)
    greys = np.clip(128 + 12 * rng.standard_normal((40, 32, 32, 1)), 0, 255).astype("uint8")
    small = {"architecture": "mlp", "latent_dim": 2, "likelihood": "mse", "width": 4, "depth": 1}
    untrained = build_model(params.model.model_copy(update=small), spec, 1, 1)
    untrained.initialize(greys, np.zeros(40, int))
    sha256 = save_archive(untrained, folder / "models/vae.keras")
    reference = fit_reference(untrained, sha256, to_unit(greys), np.zeros(40, "uint8"), ["good"], 1)
    write_reference(reference, folder / "reports/latent_reference.json")
    maps = fit_heat_map_reference(untrained, sha256, PictureSet(greys), reference.densities, params.evaluate)
    write_heat_map_reference(maps, folder / "reports/heat_map_reference.json")
    (folder / "pictures").mkdir()
    for name in ("good", "spot"):
        picture = np.clip(128 + 12 * rng.standard_normal((90, 150)), 0, 255).astype("uint8")
        if name == "spot":
            picture[70:78, 20:28] = 250
        Image.fromarray(picture).save(folder / f"pictures/{name}.png")
    return folder


def test_a_model_of_tiles_scores_whole_pictures_at_their_own_resolution(vaeline, tiled, monkeypatch, tmp_path):
    monkeypatch.chdir(tiled)
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n")
    answer = vaeline("anomaly", "pictures", "--score", "heat_map", "--out", tmp_path / "a.json")
    assert answer.exit_code == 0, answer.output
    worst = json.loads((tmp_path / "a.json").read_text())["pictures"][0]
    assert (worst["image"], worst["anomalous"], worst["height"], worst["width"]) == ("pictures/spot.png", True, 90, 150)
    region = worst["regions"][0]
    assert region["x"] <= 24 < region["x"] + region["width"]
    assert region["y"] <= 74 < region["y"] + region["height"]
    assert (tmp_path / "a.png").is_file()
    answer = vaeline("anomaly", "pictures", tmp_path / "cut.png", "--out", tmp_path / "b.csv")
    assert answer.exit_code == 1
    assert "skipped" in answer.stderr
    assert len(pd.read_csv(tmp_path / "b.csv")) == 2
    answer = vaeline("anomaly", tmp_path / "cut.png", "--out", tmp_path / "c.csv")
    assert "no picture could be read" in answer.stderr
