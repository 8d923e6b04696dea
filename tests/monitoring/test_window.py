from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from vaeline.data.prepared import Split
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.arrays import drawable
from vaeline.images.digests import npy_digest, set_digest
from vaeline.monitoring import window as windows
from vaeline.monitoring.window import read_window, reference_images

CLASSES = tuple("0123456789")


@pytest.fixture
def images(digits):
    return digits.images[:60]


def write(path, images, **labels):
    np.savez(path, images=images, **labels)
    return path


def test_several_sources_are_one_window(tmp_path, images, digits):
    first = write(tmp_path / "a.npz", images[:30], labels=digits.labels[:30])
    second = write(tmp_path / "b.npz", images[30:], labels=digits.labels[30:60])
    found = read_window([first, second], CLASSES, MNIST_IMAGE, True, 50)
    assert np.array_equal(found.images, images)
    assert np.array_equal(found.labels, digits.labels[:60])
    assert found.source == f"{first}, {second}"


def test_labels_count_only_where_all_have_some_and_they_are_wanted(tmp_path, images, digits):
    first = write(tmp_path / "a.npz", images[:30], labels=digits.labels[:30])
    second = write(tmp_path / "b.npz", images[30:])
    assert read_window([first, second], CLASSES, MNIST_IMAGE, True, 50).labels is None
    assert read_window([first], CLASSES, MNIST_IMAGE, False, 10).labels is None
    assert read_window([first], CLASSES, MNIST_IMAGE, True, 10).labels is not None


def test_folders_name_the_classes_and_a_strange_one_is_a_class_of_its_own(tmp_path, images):
    for row, name in enumerate(["7", "ash", "7", "oak", "2"]):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(drawable(images[row])).save(tmp_path / name / f"{row}.png")
    assert sorted(read_window([tmp_path], CLASSES, MNIST_IMAGE, True, 1).labels) == [2, 7, 7, 10, 11]
    named = read_window([tmp_path], ("oak", "ash", "elm"), MNIST_IMAGE, True, 1).labels
    assert sorted(named) == [0, 1, 2, 3, 3], "2 is the number of elm, 7 is nobody's"


def test_the_digest_is_that_of_the_images_whatever_their_order(tmp_path, images, digits):
    first = read_window([write(tmp_path / "a.npz", images)], CLASSES, MNIST_IMAGE, True, 50)
    order = np.random.default_rng(1).permutation(60)
    labelled = write(tmp_path / "b.npz", images[order], labels=digits.labels[order])
    assert read_window([labelled], CLASSES, MNIST_IMAGE, True, 50).sha256 == first.sha256
    assert set_digest(images[:-1]) != first.sha256
    assert set_digest(images[[0, *range(59)]]) != first.sha256


def test_too_few_images_say_nothing(tmp_path, images):
    with pytest.raises(VaelineError, match=r"60 images are too few for a test; monitor.least_rows is 61"):
        read_window([write(tmp_path / "a.npz", images)], CLASSES, MNIST_IMAGE, True, 61)


def test_of_many_images_some_are_drawn_always_the_same(tmp_path, images, digits, settings):
    window = read_window([write(tmp_path / "a.npz", images, labels=digits.labels[:60])], CLASSES, MNIST_IMAGE, True, 50)
    few = settings.model_copy(update={"window_rows": 50})
    drawn, labels = window.draw(few)
    assert drawn.shape == (50, 28, 28, 1)
    assert np.array_equal(drawn, window.draw(few)[0])
    rows = [np.flatnonzero((images == image).all(axis=(1, 2, 3)))[0] for image in drawn]
    assert np.array_equal(labels, digits.labels[rows])
    assert len(window.draw(settings)[0]) == 60


@pytest.mark.parametrize(("added", "changed", "rows", "own"), [(0, 0, 40, True), (9, 0, 40, True), (0, 1, 40, False)])
def test_the_reference_is_what_the_champion_was_watched_on(monkeypatch, digits, added, changed, rows, own):
    then = digits.images[:40]
    recorded = {"validation": {"rows": 40, "images_sha256": npy_digest(then)}}
    monkeypatch.setattr(windows, "split_profile", lambda run: recorded)
    now = digits.images[changed : 40 + changed + added]
    found = reference_images(Split(now, digits.labels[: len(now)], np.arange(len(now))), SimpleNamespace())
    assert found.own is own
    assert len(found.images) == rows
    assert len(found.labels) == rows
