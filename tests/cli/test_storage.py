import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vaeline.archive import save_archive
from vaeline.artifacts import digest
from vaeline.compression.coder import dequantize, quantize
from vaeline.compression.container import Compressed, from_bytes, to_bytes
from vaeline.data.image_sets import read_image_set
from vaeline.data.sources import MNIST_IMAGE
from vaeline.evaluation.inference import decode, encode
from vaeline.images.named import read_named_images
from vaeline.models.vae import VAE


@pytest.fixture
def images(desk):
    return read_named_images([desk / "pictures"], MNIST_IMAGE).images


@pytest.fixture
def compressed(vaeline, tmp_path):
    answer = vaeline("compress", "pictures", "--step", 0.25, "--out", tmp_path / "images.vae")
    assert answer.exit_code == 0, answer.output
    return tmp_path / "images.vae"


@pytest.mark.parametrize("name", ["z.npy", "z.npz"])
def test_latents_are_written_with_names_and_decoded_again(vaeline, numbers, tmp_path, model, images, name):
    answer = vaeline("encode", "pictures", "--out", tmp_path / name)
    assert answer.exit_code == 0, answer.output
    expected = decode(model, encode(model, images)[0])
    np.testing.assert_allclose(numbers("decode", tmp_path / name), expected, atol=1e-6)
    if name == "z.npy":
        assert pd.read_csv(tmp_path / "z.names.csv")["image"][3] == "pictures/3.png"
    assert vaeline("decode", tmp_path / name, "--out", tmp_path / "x.png").exit_code == 0


def test_augmented_folders_are_a_labelled_data_set_and_equal_for_equal_seeds(vaeline, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert vaeline("augment", "-n", 3, "--seed", seed, "--out", tmp_path / name).exit_code == 0
    found = read_image_set(tmp_path / "a", MNIST_IMAGE)
    assert found.images.shape == (30, 28, 28, 1)
    assert found.classes == tuple("0123456789")
    assert np.bincount(found.labels).tolist() == [3] * 10
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_a_class_looks_like_itself(numbers, vaeline, tmp_path, digits):
    assert vaeline("augment", "-n", 20, "--temperature", 0.5, "--out", tmp_path / "a").exit_code == 0
    found = read_image_set(tmp_path / "a", MNIST_IMAGE)
    means = np.stack([digits.images[digits.labels == label].mean(axis=0) for label in range(10)]).reshape(10, -1)
    nearest = [np.argmin(((means - image.reshape(-1)) ** 2).sum(axis=1)) for image in found.images]
    assert np.mean(nearest == found.labels) > 0.7


def test_an_earlier_folder_is_replaced_only_by_force_and_one_of_other_things_never(vaeline, tmp_path):
    out = tmp_path / "a"
    assert vaeline("augment", "-n", 2, "--out", out).exit_code == 0
    answer = vaeline("augment", "-n", 1, "--out", out)
    assert answer.exit_code == 1
    assert "exists and is not empty; --force replaces it" in answer.stderr
    assert vaeline("augment", "-n", 1, "--out", out, "--force").exit_code == 0
    assert len(list(out.rglob("*.png"))) == 10
    (out / "0/thesis.tex").touch()
    answer = vaeline("augment", "-n", 1, "--out", out, "--force")
    assert answer.exit_code == 1
    assert "holds more than pictures" in answer.stderr
    assert (out / "0/thesis.tex").is_file()


def test_the_working_folder_is_not_replaced(vaeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").touch()
    answer = vaeline("decompress", "x.vae", "--out", ".", "--force")
    assert answer.exit_code == 1
    assert "choose another folder" in answer.stderr
    assert (tmp_path / "x.png").exists()


def test_decompressed_are_exactly_the_images_of_the_rounded_latents(numbers, vaeline, compressed, model, images):
    expected = decode(model, dequantize(quantize(encode(model, images)[0], 0.25), 0.25))
    np.testing.assert_array_equal(numbers("decompress", compressed), expected)
    answer = vaeline("decompress", compressed, "--out", compressed.parent / "back")
    assert answer.exit_code == 0, answer.output
    back = read_named_images([compressed.parent / "back"], MNIST_IMAGE)
    assert [name.rpartition("/")[2] for name in back.names] == [f"{digit}.png" for digit in range(10)]
    np.testing.assert_allclose(back.images, expected, atol=0.5 / 255 + 1e-6)


def test_compression_says_what_it_costs(vaeline, tmp_path, desk):
    answer = vaeline("compress", "pictures", "--step", 0.25, "--out", tmp_path / "i.vae")
    size = (tmp_path / "i.vae").stat().st_size
    assert f"10 images, {8 * (size - 66 - 4 - len_names(tmp_path / 'i.vae')) / 10:.1f} bits each" in answer.output
    assert f"{8 * size / 10:.1f} with names and header" in answer.output
    png = sum(file.stat().st_size for file in (desk / "pictures").iterdir())
    assert f"as PNG {8 * png / 10:.0f}" in answer.output


def len_names(file):
    return int.from_bytes(file.read_bytes()[58:62], "little")


def test_names_keep_their_folders_below_the_common_one(vaeline, tmp_path, desk):
    for name in ("a/1.png", "b/1.jpg", "b/stack.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / "a/1.png").write_bytes((desk / "pictures/1.png").read_bytes())
    np.save(tmp_path / "b/stack.npy", np.zeros((2, 28, 28)))
    assert vaeline("compress", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "i.vae").exit_code == 0
    assert from_bytes((tmp_path / "i.vae").read_bytes()).names == ("a/1.png", "b/stack.npy[0]", "b/stack.npy[1]")
    assert vaeline("decompress", tmp_path / "i.vae", "--out", tmp_path / "back").exit_code == 0
    assert (tmp_path / "back/b/stack.npy[1].png").is_file()


def test_another_model_is_refused(vaeline, compressed, params, tmp_path):
    save_archive(VAE(params.model.model_copy(update={"width": 8, "depth": 1}), MNIST_IMAGE), tmp_path / "other.keras")
    answer = vaeline("decompress", compressed, "--model", tmp_path / "other.keras", "--out", tmp_path / "back")
    assert answer.exit_code == 1
    assert "was compressed by another model" in answer.stderr
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: data[:-9], "images.vae: the file is cut off or was changed"),
        (lambda data: data[:-9] + b"?" + data[-8:], "images.vae: the file was changed: its checksum is wrong"),
        (lambda data: b"", "images.vae: not a file of `vaeline compress`"),
    ],
)
def test_a_damaged_file_is_refused(vaeline, compressed, tmp_path, damage, sentence):
    compressed.write_bytes(damage(compressed.read_bytes()))
    answer = vaeline("decompress", compressed, "--out", tmp_path / "back")
    assert answer.exit_code == 1
    assert sentence in answer.stderr
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("name", ["../out.png", "/tmp/out.png", "a/../../out.png"])
def test_a_name_that_leads_out_of_the_folder_is_refused(vaeline, compressed, tmp_path, name):
    found = from_bytes(compressed.read_bytes())
    crafted = Compressed(found.model_sha256, found.step, (name, *found.names[1:]), found.codes)
    compressed.write_bytes(to_bytes(crafted))
    answer = vaeline("decompress", compressed, "--out", tmp_path / "back")
    assert answer.exit_code == 1
    assert "leads out of the folder" in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["images.vae"]


@pytest.mark.parametrize("command", [["augment", "-n", 3], ["decompress"]])
def test_a_name_that_ends_in_png_gets_a_picture_to_look_at(vaeline, compressed, tmp_path, command):
    more = [compressed] if command == ["decompress"] else []
    assert vaeline(*command, *more, "--out", tmp_path / "look.png").exit_code == 0
    with Image.open(tmp_path / "look.png") as picture:
        assert picture.width > 100
    assert list(tmp_path.glob("look*")) == [tmp_path / "look.png"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["encode", "pictures", "--out", "z.csv"], "must end in .npy or .npz"),
        (["decode", "none.npy"], "none.npy: no such file; `vaeline encode` writes latents"),
        (["decode", "pictures/1.png"], "pictures/1.png: not a readable file of latents"),
        (["decompress", "none.vae"], "none.vae: no such file"),
        (["compress", "pictures", "--out", "x.zip"], "must end in .vae"),
        (["augment", "--out", "models/vae.keras"], "is a file; choose a folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_one(vaeline, desk, arguments, sentence):
    before = sorted(desk.rglob("*"))
    answer = vaeline(*arguments)
    assert answer.exit_code == 1
    assert sentence in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert sorted(desk.rglob("*")) == before
