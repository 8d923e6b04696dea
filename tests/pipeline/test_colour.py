"""Colour pictures of a user, by parameters alone: from files to a champion that is served, monitored and fed."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pipeline.test_service import Server
from pipeline.workspace import Workspace, make_workspace

SHAPE = (12, 16, 3)
PAINTS = {"blue": (40, 60, 200), "green": (40, 170, 60), "red": (210, 50, 40)}
SETTINGS = {
    "data.validation_one_in": 4,
    "data.test_one_in": 5,
    "model.architecture": "conv",
    "model.likelihood": "discretized_logistic",
    "train.epochs": 1,
    "train.batch_size": 30,
    "classify.batch_size": 60,
    "gate.nll_images": 40,
    "gate.nll_samples": 4,
    "gate.resamples": 200,
    "gate.budget.milliseconds": 60_000.0,
    "monitor.least_rows": 50,
    "monitor.permutations": 99,
}


def paint(paint: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """A disc of one colour somewhere on noisy grey, uint8 (12, 16, 3)."""
    down, right = np.ogrid[: SHAPE[0], : SHAPE[1]]
    y, x = rng.uniform(4, 8), rng.uniform(4, 12)
    disc = ((down - y) ** 2 + (right - x) ** 2 < 9)[..., None]
    picture = np.where(disc, np.array(paint), rng.uniform(90, 160)) + rng.normal(0, 6, SHAPE)
    return np.clip(picture, 0, 255).astype("uint8")


def paint_folder(folder: Path, count: int, seed: int, dark: float = 1.0) -> None:
    """`count` pictures of each colour in a folder of its name; `dark` below 1 makes them darker."""
    rng = np.random.default_rng(seed)
    for name, colour in PAINTS.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray((paint(colour, rng) * dark).astype("uint8")).save(folder / name / f"{number}.png")


@pytest.fixture(scope="module")
def gallery(processes, training, tmp_path_factory) -> Workspace:
    """A workspace with pictures in three colours, all its stages run."""
    workspace = make_workspace(tmp_path_factory.mktemp("colour") / "gallery", dataset="data/own/discs", **SETTINGS)
    paint_folder(workspace.root / "data/own/discs", 120, 1)
    workspace.repro("prepare")
    workspace.run("vaeline", "profile", "data/prepared", "--name", "discs")
    workspace.repro()
    return workspace


def test_colour_pictures_go_from_files_to_a_champion_that_is_fed_and_watched(gallery, tmp_path):
    image = gallery.json("data/prepared/manifest.json")["image"]
    assert [image[key] for key in ("height", "width", "channels")] == list(SHAPE)
    metrics = gallery.json("reports/metrics.json")
    assert 0 < metrics["test"]["bits_per_dim"] < 8
    assert {"precision", "frechet"} <= metrics["samples"].keys()

    refused = gallery.run("vaeline", "gate", "1", check=False)
    assert "were measured on digits (gate.measured_on), not on discs; `vaeline thresholds` measures them" in refused
    gallery.run("vaeline", "thresholds", "--seeds", "3")
    assert "gate of vae-discs-candidates v1" in gallery.run("vaeline", "gate", "1")
    assert "version 1 of vae-discs is champion" in gallery.run("vaeline", "promote", "1")

    paint_folder(tmp_path / "clean", 40, 2)
    paint_folder(tmp_path / "dark", 40, 3, dark=0.6)
    assert "quiet" in gallery.run("vaeline", "monitor", str(tmp_path / "clean"))
    assert "violated" in gallery.run("vaeline", "monitor", str(tmp_path / "dark"), check=False)
    shutil.copytree(tmp_path / "clean", gallery.root / "data/incoming/monday")
    assert "1 accepted, 0 quarantined" in gallery.run("vaeline", "ingest")

    png = io.BytesIO()
    Image.fromarray(paint(PAINTS["red"], np.random.default_rng(4))).resize((64, 48)).save(png, "PNG")
    with Server(gallery, f"sqlite:///{gallery.root}/mlflow.db", tmp_path) as server:
        server.wait_for_version("1")
        status, _, answer = server.ask("/reconstruct", png.getvalue(), "image/png")
    assert status == 200
    assert np.shape(answer["images"]) == (1, *SHAPE)
