"""Pictures that are cut into tiles: read, split, measured, and scored as a whole."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vaeline.data.annotations import read_pictures
from vaeline.data.own_images import Reading, read_own_images
from vaeline.data.prepared import Prepared, Split
from vaeline.data.raw import write_own_images
from vaeline.data.splits import split_source
from vaeline.defects import examine
from vaeline.defects.examine import Examiner, find_regions
from vaeline.defects.measure import measure_defects
from vaeline.defects.moments import fit_moments
from vaeline.defects.pictures import PictureSet
from vaeline.defects.reference import fit_heat_map_reference
from vaeline.errors import VaelineError
from vaeline.evaluation.subject import Subject
from vaeline.images.limits import OWN
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import tile_places
from vaeline.models.build import build_model
from vaeline.params.data import ImageParams

SPEC = ImageSpec(height=32, width=32, channels=1, background="#808080", ink=False, tile=True)
IMAGE = {"height": 32, "width": 32, "channels": 1, "fit": "pad", "background": "#808080", "ink": False, "tile": True}
SIZE = (40, 70)


def texture(rng, *size):
    return np.clip(128 + 12 * rng.standard_normal((*size, 1), dtype="float32"), 0, 255).astype("uint8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve good pictures and four with a spot, of 40 × 70 pixels, with masks."""
    folder = tmp_path_factory.mktemp("large") / "own"
    rng = np.random.default_rng(0)
    for name, count in (("good", 12), ("spot", 4)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            picture = texture(rng, *SIZE)
            if name == "spot":
                picture[20:26, 50:56] = 240
                (folder / "masks/spot").mkdir(parents=True, exist_ok=True)
                mask = np.zeros(SIZE, "uint8")
                mask[20:26, 50:56] = 255
                Image.fromarray(mask).save(folder / f"masks/spot/{number}.png")
            Image.fromarray(picture[..., 0]).save(folder / f"{name}/{number}.png")
    return folder


@pytest.fixture(scope="module")
def own(folder, tmp_path_factory):
    reading = Reading(ImageParams.model_validate(IMAGE), "good", 0, OWN)
    return read_own_images(folder, reading, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def model(params):
    """An untrained model that expects grey everywhere."""
    small = {"architecture": "mlp", "latent_dim": 2, "likelihood": "mse", "width": 4, "depth": 1}
    model = build_model(params.model.model_copy(update=small), SPEC, 2, 1)
    model.initialize(np.full((4, *SPEC.shape), 128, "uint8"), np.zeros(4, int))
    return model


@pytest.fixture(scope="module")
def prepared(own):
    """The pictures in their splits."""
    rows = split_source(own.labels, False, 4, 4, 1, 0, good=0, groups=own.groups)
    splits = {
        name: Split(own.images[taken], own.labels[taken], taken, own.source_sizes[taken], own.pictures[taken])
        for name, taken in rows.items()
    }
    manifest = {"classes": list(own.classes), "good": "good", "title": "large"}
    return Prepared(manifest, own.spec, splits, own.masks[rows["test"]])


def test_each_picture_becomes_its_tiles_with_label_mask_and_size(own):
    places = tile_places(*SIZE, SPEC)
    assert own.images.shape == (16 * len(places), 32, 32, 1)
    assert np.bincount(own.pictures).tolist() == [len(places)] * 16
    assert np.bincount(own.labels).tolist() == [12 * len(places), 4 * len(places)]
    assert (own.source_sizes == SIZE).all()
    assert own.spec.tile
    spots = own.masks[own.labels == 1].reshape(4, len(places), 32, 32)
    for mask, (top, left) in zip(spots[0], places, strict=True):
        inside = np.zeros((32, 32), bool)
        inside[max(20 - top, 0) : max(26 - top, 0), max(50 - left, 0) : max(56 - left, 0)] = True
        np.testing.assert_array_equal(mask > 0, inside)


def test_the_picture_of_each_tile_goes_through_the_raw_files(own, tmp_path):
    about = write_own_images(own, tmp_path)
    assert about["image"]["tile"] is True
    rows = {"train": np.array([5, 9]), "validation": np.array([len(own.labels) + 3])}
    found = read_pictures(tmp_path, rows, has_test=False)
    assert found["train"].tolist() == own.pictures[[5, 9]].tolist()
    assert found["validation"].tolist() == [-1]


def test_the_tiles_of_a_picture_stay_in_one_split(prepared):
    pictures = [set(split.pictures.tolist()) for name, split in prepared.splits.items() if len(split.labels)]
    assert sum(map(len, pictures)) == len(set.union(*pictures)) == 16


def test_whole_pictures_are_measured_and_their_tiles_share_a_score(prepared, model, params):
    measured = measure_defects(Subject(model, prepared, 1), params.evaluate, {})
    found = measured.metrics["all"]["heat_map"]
    assert found["images"] == 4
    assert found["auroc"] == 1
    assert found["pixel_auroc"] > 0.95
    test = PictureSet.of_split(prepared.splits["test"])
    column = measured.columns["heat_map"]
    assert len(np.unique(column)) == int(test.numbers(test.rows)[-1]) + 1
    assert measured.protocol["threshold"].endswith("validation images")


def test_the_scores_of_a_picture_in_the_reference_are_those_of_the_command(prepared, model, params, folder):
    validation = PictureSet.of_split(prepared.splits["validation"])
    reference = fit_heat_map_reference(model, "a" * 64, validation, {}, params.evaluate)
    pictures = np.unique(prepared.splits["validation"].pictures)
    assert len(reference.scores["heat_map"]) == len(pictures)
    examiner = Examiner(model, {}, reference.statistics, params.evaluate.seed)
    files = sorted((folder / "good").iterdir())
    for number in pictures:
        found = examiner.examine_tiled(np.asarray(Image.open(files[number]))[..., None])
        assert np.abs(reference.scores["reconstruction"] - found.scores["reconstruction"]).min() < 1e-3
        assert found.heat_map.shape == SIZE


def test_three_defects_of_12_pixels_are_found_by_their_places_in_a_picture_of_8000_by_2000(model, monkeypatch):
    monkeypatch.setattr(examine, "reconstruct", lambda model, images, seed: np.full_like(images, 0.5))
    monkeypatch.setattr(examine, "scores_by_content", lambda *arguments: {})
    rng = np.random.default_rng(5)
    good = texture(rng, 60 * 32, 32).reshape(-1, 32, 32, 1)
    moments = fit_moments(lambda images: np.full_like(images, 0.5), good, np.arange(60) % 10, (2.0,))
    statistics = moments.statistics()
    picture = texture(rng, 2000, 8000)
    planted = [(3, 5), (1000, 4001), (1985, 7986)]
    for top, left in planted:
        picture[top : top + 12, left : left + 12] = np.minimum(picture[top : top + 12, left : left + 12], 90)
    found = Examiner(model, {}, statistics, 1).examine_tiled(picture)
    assert found.heat_map.shape == (2000, 8000)
    regions = find_regions(found.heat_map, 40.0)
    assert len(regions) == 3
    for top, left in planted:
        assert any(
            region.x <= left + 6 < region.x + region.width
            and region.y <= top + 6 < region.y + region.height
            and region.width < 30
            and region.height < 30
            for region in regions
        )
    assert found.scores["heat_map"] > 40


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("mask", "this mask and its picture have different sizes"), ("arrays", "only pictures are cut into tiles")],
)
def test_what_cannot_be_cut_is_said_in_a_sentence(folder, what, sentence, tmp_path):
    reading = Reading(ImageParams.model_validate(IMAGE), "good", 0, OWN)
    source = tmp_path / "own"
    if what == "mask":
        shutil.copytree(folder, source)
        Image.new("L", (200, 200)).save(source / "masks/spot/0.png")
    else:
        source = tmp_path / "images.npy"
        np.save(source, np.zeros((3, 40, 40), "uint8"))
    with pytest.raises(VaelineError, match=sentence):
        read_own_images(source, reading, tmp_path / "cache")


def test_pictures_are_drawn_whole_and_folds_and_scores_go_by_pictures():
    owners, sizes = np.repeat([7, 3, 9], [2, 3, 1]), np.full((6, 2), 40)
    pictures = PictureSet(np.zeros((6, 32, 32, 1), "uint8"), owners, sizes)
    assert pictures.folds().tolist() == [0, 0, 1, 1, 1, 2]
    assert pictures.highest(np.arange(6.0), np.arange(6)).tolist() == [1, 4, 5]
    for seed in range(4):
        kept = pictures.first(4, seed).owners
        assert all((kept == owner).sum() in (0, (owners == owner).sum()) for owner in (7, 3, 9))
        assert len(set(kept.tolist())) == 2
    with pytest.raises(VaelineError, match="has 2 tiles, but it needs 4"):
        list(pictures.look(np.arange(2), lambda images, rows: (images[..., 0], {"mse": np.zeros(len(rows))})))


def test_an_image_of_a_batch_is_a_picture_of_its_own(prepared):
    split = prepared.splits["validation"]
    alone = replace(
        split, pictures=np.full(len(split.labels), -1, "int32"), source_sizes=np.zeros_like(split.source_sizes)
    )
    pictures = PictureSet.of_split(alone)
    assert pictures.numbers(pictures.rows).tolist() == list(range(len(split.labels)))
    assert (pictures.sizes == 32).all()


def test_a_picture_and_its_mask_are_put_together_from_their_tiles(own, prepared, folder):
    test = PictureSet.of_split(prepared.splits["test"])
    row = int(np.flatnonzero(prepared.splits["test"].labels == 1)[3])
    number = int(test.owners[row]) - 12
    files = sorted((folder / "spot").iterdir())
    expected = np.asarray(Image.open(files[number]))
    np.testing.assert_array_equal(test.assemble(test.images, row)[..., 0], expected)
    mask = test.assemble(prepared.test_masks, row)[..., 0]
    assert mask.sum() == 36 * 255
    assert (mask[20:26, 50:56] == 255).all()
    assert test.firsts(test.rows).tolist() == list(range(0, len(test.images), len(tile_places(*SIZE, SPEC))))
