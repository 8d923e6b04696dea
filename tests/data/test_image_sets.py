from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vaeline.data.image_sets import read_image_set
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.fitting import fit_bytes
from vaeline.images.idx import write_idx
from vaeline.images.limits import OWN
from vaeline.images.spec import ImageSpec

RNG = np.random.default_rng(0)


def picture(path, size=(40, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size[::-1], 3), dtype="uint8")).save(path)


def test_sub_folders_are_labels(tmp_path):
    for name in ("b/1.png", "a/2.JPG", "b/deep/3.jpeg"):
        picture(tmp_path / name)
    found = read_image_set(tmp_path, MNIST_IMAGE)
    assert found.images.shape == (3, 28, 28, 1)
    assert found.images.dtype == np.uint8
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [0, 1, 1]


def test_a_flat_folder_is_unlabelled(tmp_path):
    picture(tmp_path / "1.png")
    assert read_image_set(tmp_path, MNIST_IMAGE).classes == ("unlabelled",)


def test_keras_style_npz_brings_its_test_set(tmp_path):
    arrays = {"x_train": RNG.integers(0, 256, (4, 30, 30), dtype="uint8"), "y_train": np.array([0, 2, 1, 2])}
    np.savez(tmp_path / "own.npz", **arrays, x_test=arrays["x_train"][:2], y_test=np.array([1, 0]))
    found = read_image_set(tmp_path / "own.npz", MNIST_IMAGE)
    assert found.classes == ("0", "1", "2")
    assert found.test_labels.tolist() == [1, 0]
    assert fit_bytes(found.images, MNIST_IMAGE).shape == (4, 28, 28, 1)


def test_idx_files_are_read_with_or_without_labels(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 28, 28), "uint8"))
    assert read_image_set(tmp_path, MNIST_IMAGE).classes == ("unlabelled",)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([1, 0, 1], "uint8"))
    assert read_image_set(tmp_path, MNIST_IMAGE).labels.tolist() == [1, 0, 1]


def not_a_picture(path):
    (path / "a").mkdir()
    (path / "a" / "x.png").write_text("no")
    return path


def loose_picture(path):
    picture(path / "a" / "1.png")
    picture(path / "2.png")
    return path


def npz(**arrays):
    def make(path):
        np.savez(path / "own.npz", **arrays)
        return path / "own.npz"

    return make


def pickled(path):
    np.savez(path / "own.npz", images=np.array([{"a": 1}], dtype=object))
    return path / "own.npz"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path / "nowhere", "no such file or folder"),
        (lambda path: path, "no pictures"),
        (not_a_picture, r"x\.png: not a PNG, JPEG, WebP, BMP, TIFF or GIF picture"),
        (loose_picture, r"2\.png: lies beside labelled sub-folders"),
        (npz(images=np.zeros((2, 28, 28)), labels=np.zeros(3, int)), "2 images but 3 labels"),
        (npz(images=np.zeros((2, 784))), r"shape \(2, 784\)"),
        (npz(images=np.zeros((2, 28, 28)), labels=np.array([0.5, 1])), "whole numbers"),
        (npz(pictures=np.zeros(3)), "holds pictures; expected"),
        (pickled, "without pickles"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, make, sentence):
    with pytest.raises(VaelineError, match=sentence):
        read_image_set(make(tmp_path), MNIST_IMAGE)


@pytest.mark.parametrize("name", ["own.npz", "own.npy", "own-images-idx3-ubyte", "folder"])
def test_arrays_larger_than_the_limits_are_refused(tmp_path, name):
    images = np.zeros((3, 40, 40), "uint8")
    {
        "own.npz": lambda: np.savez(tmp_path / name, images=images),
        "own.npy": lambda: np.save(tmp_path / name, images),
        "own-images-idx3-ubyte": lambda: write_idx(tmp_path / name, images),
        "folder": lambda: [picture(tmp_path / name / f"{row}.png") for row in range(3)],
    }[name]()
    with pytest.raises(VaelineError, match=r"too large.*\(data\.limits\.pixels\)"):
        read_image_set(tmp_path / name, MNIST_IMAGE, replace(OWN, pixels=replace(OWN.pixels, most=100)))
    with pytest.raises(VaelineError, match=r"at most 2 are read \(data\.limits\.images\)"):
        read_image_set(tmp_path / name, MNIST_IMAGE, replace(OWN, images=replace(OWN.images, most=2)))


def test_the_digits_are_drawn_like_mnist(digits):
    assert digits.images.shape == (1797, 28, 28, 1)
    assert not digits.images[:, :4].any()
    assert digits.images.max(axis=(1, 2, 3)).min() > 200


def test_words_in_a_table_are_classes(tmp_path):
    images = np.stack([np.full((28, 28, 1), level, "uint8") for level in (1, 2, 3)])
    column = pa.array(list(images.reshape(3, -1)), pa.list_(pa.uint8()))
    pq.write_table(pa.table({"image": column, "label": ["oak", "ash", "oak"]}), tmp_path / "own.parquet")
    found = read_image_set(tmp_path / "own.parquet", MNIST_IMAGE)
    assert found.classes == ("ash", "oak")
    assert found.labels.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found.images, images)


def test_hidden_files_and_those_of_an_archiver_are_passed_over(tmp_path):
    for name in ("a/1.png", "__MACOSX/a/._1.png", "__MACOSX/b/1.png", ".cache/2.png", "a/.3.png"):
        picture(tmp_path / name)
    found = read_image_set(tmp_path, MNIST_IMAGE)
    assert found.classes == ("a",)
    assert len(found.images) == 1


def test_one_idx_file_of_any_name_is_a_set_and_two_are_refused(tmp_path):
    write_idx(tmp_path / "week-images-idx3-ubyte", np.zeros((3, 28, 28), "uint8"))
    assert len(read_image_set(tmp_path, MNIST_IMAGE).images) == 3
    write_idx(tmp_path / "other-images-idx3-ubyte", np.zeros((3, 28, 28), "uint8"))
    with pytest.raises(VaelineError, match="more than one IDX file"):
        read_image_set(tmp_path, MNIST_IMAGE)


def test_colour_of_any_size_is_kept_where_it_is_wanted(tmp_path):
    picture(tmp_path / "1.png")
    images = read_image_set(tmp_path, ImageSpec(height=20, width=40, channels=3)).images
    np.testing.assert_array_equal(images[0], np.asarray(Image.open(tmp_path / "1.png")))
