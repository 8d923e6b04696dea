import numpy as np
import pytest
from PIL import Image

from vaeline.data.idx import write_idx
from vaeline.data.readers import fit_picture, fit_to_side, read_image_set
from vaeline.errors import VaelineError

RNG = np.random.default_rng(0)


def picture(path, size=(40, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size[::-1], 3), dtype="uint8")).save(path)


def test_sub_folders_are_labels(tmp_path):
    for name in ("b/1.png", "a/2.JPG", "b/deep/3.jpeg"):
        picture(tmp_path / name)
    found = read_image_set(tmp_path)
    assert found.images.shape == (3, 28, 28)
    assert found.images.dtype == np.uint8
    assert found.classes == ("a", "b")
    assert found.labels.tolist() == [0, 1, 1]


def test_a_flat_folder_is_unlabelled(tmp_path):
    picture(tmp_path / "1.png")
    assert read_image_set(tmp_path).classes == ("unlabelled",)


def test_proportions_are_kept_and_the_rest_is_black():
    fitted = fit_picture(Image.new("RGB", (40, 20), "white"))
    assert fitted.shape == (28, 28)
    assert (fitted[7:21] == 255).all()
    assert not fitted[:7].any()
    assert not fitted[21:].any()


def test_keras_style_npz_brings_its_test_set(tmp_path):
    arrays = {"x_train": RNG.integers(0, 256, (4, 30, 30), dtype="uint8"), "y_train": np.array([0, 2, 1, 2])}
    np.savez(tmp_path / "own.npz", **arrays, x_test=arrays["x_train"][:2], y_test=np.array([1, 0]))
    found = read_image_set(tmp_path / "own.npz")
    assert found.classes == ("0", "1", "2")
    assert found.test_labels.tolist() == [1, 0]
    assert fit_to_side(found.images).shape == (4, 28, 28)


def test_idx_files_are_read_with_or_without_labels(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((3, 28, 28), "uint8"))
    assert read_image_set(tmp_path).classes == ("unlabelled",)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([1, 0, 1], "uint8"))
    assert read_image_set(tmp_path).labels.tolist() == [1, 0, 1]


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
        (lambda path: path / "nowhere", "neither a folder nor an .npz"),
        (lambda path: path, "no PNG or JPEG files"),
        (not_a_picture, r"x\.png: not a picture"),
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
        read_image_set(make(tmp_path))


def test_floats_are_refused_with_the_way_out():
    with pytest.raises(VaelineError, match=r"float64 pixels from 0\.0 to 1\.0; save uint8"):
        fit_to_side(np.eye(28)[None])


def test_the_digits_are_drawn_like_mnist(digits):
    assert digits.images.shape == (1797, 28, 28)
    assert not digits.images[:, :4].any()
    assert digits.images.max(axis=(1, 2)).min() > 200
