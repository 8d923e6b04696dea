import runpy

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from keras import ops
from PIL import Image

from vaeline.data.sources import MNIST_IMAGE
from vaeline.evaluation.inference import decode, encode
from vaeline.images.arrays import drawable
from vaeline.images.named import read_named_images
from vaeline.latents.reference import read_reference

COMMANDS = {
    "sample": [],
    "reconstruct": ["pictures"],
    "interpolate": ["3", "pictures/8.png"],
    "traverse": [],
    "edit": ["pictures", "--attribute", "thickness"],
    "restore": ["denoise", "pictures"],
}


@pytest.fixture
def images(desk):
    return read_named_images([desk / "pictures"], MNIST_IMAGE).images


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_draws_a_picture_or_writes_numbers(vaeline, tmp_path, command):
    for name in ("out.png", "out.npy"):
        answer = vaeline(command, *COMMANDS[command], "--out", tmp_path / "new" / name)
        assert (answer.exit_code, answer.stderr) == (0, ""), answer.output
        assert str(tmp_path / "new" / name) in answer.output
    with Image.open(tmp_path / "new/out.png") as picture:
        assert min(picture.size) > 80
    values = np.load(tmp_path / "new/out.npy", allow_pickle=False)
    assert values.dtype == np.float32
    assert values.shape[-3:] == (28, 28, 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_cannot_be_written_is_refused_and_nothing_is(vaeline, tmp_path, command):
    (tmp_path / "file").touch()
    (tmp_path / "x.png").mkdir()
    for out, sentence in (("x.jpg", "must end in .png or .npy"), ("x.png", "is a folder"), ("file/x.npy", "cannot be")):
        answer = vaeline(command, *COMMANDS[command], "--out", tmp_path / out)
        assert answer.exit_code == 1
        assert sentence in answer.stderr
        assert answer.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"file", "x.png"}


def test_samples_are_those_of_the_model_and_its_seed(numbers, model):
    drawn = numbers("sample", "-n", 3, "--seed", 5, "--temperature", 0.5)
    np.testing.assert_allclose(drawn, model.sample(3, 5, 0.5), atol=1e-6)
    cold = numbers("sample", "-n", 2, "--temperature", 0)
    np.testing.assert_allclose(cold, np.repeat(decode(model, np.zeros((1, 4), "float32")), 2, axis=0), atol=1e-6)


@pytest.mark.parametrize("option", [("--temperature", "nan"), ("-n", "0"), ("--seed", "-1")])
def test_numbers_out_of_range_are_refused(vaeline, option):
    answer = vaeline("sample", *option)
    assert answer.exit_code == 2
    assert "Invalid value" in answer.stderr


def test_a_large_sheet_says_what_it_leaves_out(vaeline, tmp_path):
    answer = vaeline("sample", "-n", 401, "--out", tmp_path / "x.png")
    assert "shows the first 400 of 401; an .npy holds them all" in answer.output


def test_reconstructions_are_those_of_the_latent_mean(numbers, model, images):
    expected = ops.convert_to_numpy(model.reconstruct(images))
    np.testing.assert_allclose(numbers("reconstruct", "pictures"), expected, atol=1e-6)


def test_a_bad_file_is_named_and_skipped_and_the_exit_status_is_one(vaeline, desk, tmp_path, images, model):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    answer = vaeline("reconstruct", bad, desk / "pictures", "--out", tmp_path / "x.npy")
    assert answer.exit_code == 1
    assert (
        answer.stderr
        == f"vaeline: skipped {bad}: not a PNG, JPEG, WebP, BMP, TIFF or GIF picture, whatever its name says\n"
    )
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), model.reconstruct(images), atol=1e-6)


def test_without_a_good_file_nothing_is_written(vaeline, tmp_path):
    answer = vaeline("reconstruct", tmp_path / "none.png", "--out", tmp_path / "x.png")
    assert answer.exit_code == 1
    assert answer.stderr == f"vaeline: no picture could be read: {tmp_path}/none.png: no such file or folder\n"
    assert not list(tmp_path.iterdir())


def test_inverted_scans_give_what_the_originals_give(numbers, desk, tmp_path):
    with Image.open(desk / "pictures/3.png") as picture:
        Image.eval(picture, lambda grey: 255 - grey).save(tmp_path / "scan.png")
    expected = numbers("reconstruct", desk / "pictures/3.png")
    np.testing.assert_array_equal(numbers("reconstruct", tmp_path / "scan.png", "--invert"), expected)


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_an_interpolation_runs_between_pictures_and_class_means(numbers, desk, model, images, path):
    walk = numbers("interpolate", "pictures/3.png", "7", "--steps", 5, "--path", path)
    reference = read_reference(desk / "reports/latent_reference.json")
    assert len(walk) == 5
    np.testing.assert_allclose(walk[0], ops.convert_to_numpy(model.reconstruct(images[3:4]))[0], atol=1e-5)
    np.testing.assert_allclose(walk[-1], decode(model, reference.class_means[[7]])[0], atol=1e-5)


def test_a_traversal_has_a_row_a_latent_and_starts_at_the_picture(numbers, model, images):
    swept = numbers("traverse", "--from", "pictures/3.png", "--steps", 3)
    assert swept.shape == (4, 3, 28, 28, 1)
    latent = encode(model, images[3:4])[0].copy()
    latent[0, 2] = 0
    np.testing.assert_allclose(swept[2, 1], decode(model, latent)[0], atol=1e-5)
    np.testing.assert_allclose(numbers("traverse", "--steps", 3)[:, 1], decode(model, np.zeros((4, 4))), atol=1e-5)


def test_an_edit_by_nothing_is_the_reconstruction_and_a_whole_way_is_the_step_between_means(
    numbers, desk, model, images
):
    z_mean = encode(model, images)[0]
    reference = read_reference(desk / "reports/latent_reference.json")
    slanted = numbers("edit", "pictures", "--attribute", "slant", "--amount", 1, "--steps", 3)
    assert slanted.shape == (10, 3, 28, 28, 1)
    np.testing.assert_allclose(slanted[:, 1], decode(model, z_mean), atol=1e-5)
    np.testing.assert_allclose(slanted[:, 2], decode(model, z_mean + reference.attributes["slant"]), atol=1e-5)
    moved = numbers("edit", "pictures", "--from-class", "4", "--to-class", "9", "--steps", 2)
    step = reference.class_means[9] - reference.class_means[4]
    np.testing.assert_allclose(moved[:, 1], decode(model, z_mean + step), atol=1e-5)


def test_inpainting_keeps_what_is_known_and_replaces_what_is_not(numbers, images):
    filled = numbers("restore", "inpaint", "pictures", "--mask", "8,4,12,20")
    missing = np.zeros((28, 28), bool)
    missing[4:24, 8:20] = True
    np.testing.assert_array_equal(filled[:, ~missing], images[:, ~missing])
    assert np.abs(filled - images)[:, missing].max() > 0.1


def test_denoising_takes_added_noise_away(numbers, images):
    restored = numbers("restore", "denoise", "pictures", "--add-noise", 0.4, "--seed", 2)
    noise = np.clip(images + 0.4 * np.random.default_rng(0).standard_normal(images.shape), 0, 1) - images
    assert ((restored - images) ** 2).mean() < (noise**2).mean()


def test_anomalies_are_sorted_and_drawn_and_a_score_does_not_depend_on_its_company(vaeline, desk, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50), dtype="uint8")).save(tmp_path / "noise.png")
    answer = vaeline("anomaly", "pictures", tmp_path / "noise.png", "--out", tmp_path / "a.csv")
    assert answer.exit_code == 0, answer.output
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table) == ["image", "one_class", "neg_elbo", "reconstruction", "kl", "one_class_latent"]
    assert table["image"][0] == str(tmp_path / "noise.png")
    assert table["one_class"].is_monotonic_decreasing
    assert len(table) == 11
    assert (tmp_path / "a.png").is_file()
    vaeline("anomaly", tmp_path / "noise.png", "--score", "kl", "--out", tmp_path / "b.csv")
    alone = pd.read_csv(tmp_path / "b.csv")
    assert list(alone)[1] == "kl"
    pd.testing.assert_frame_equal(alone[list(table)], table[:1])


def test_twenty_pictures_that_are_no_digits_lead_the_ranking(vaeline, digits, tmp_path):
    strange = runpy.run_path(str(ROOT / "benchmarks/strange_pictures.py"))["strange_pictures"]
    for name, picture in strange(np.random.default_rng(0)).items():
        picture.save(tmp_path / f"odd-{name}.png")
    for row in range(0, 1797, 9):
        Image.fromarray(drawable(digits.images[row])).save(tmp_path / f"digit-{row}.png")
    assert vaeline("anomaly", tmp_path, "--out", tmp_path / "a.csv").exit_code == 0
    leading = pd.read_csv(tmp_path / "a.csv")["image"][:20]
    assert leading.str.contains("odd-").sum() >= 18


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sample", "--model", "none.keras"], "none.keras: no such model"),
        (["sample", "--model", "some-run"], "no such model file, and no store of runs"),
        (["interpolate", "3", "x"], "'x' is neither a picture nor a class; the classes are 0, 1, 2"),
        (["interpolate", "3", "x.png"], "x.png: no such file or folder"),
        (["interpolate", "3", "pictures"], "'pictures' is neither a picture nor a class"),
        (["edit", "pictures"], "name either --attribute, or both"),
        (["edit", "pictures", "--from-class", "4"], "name either --attribute, or both"),
        (["edit", "pictures", "--attribute", "slant", "--to-class", "4"], "name either --attribute, or both"),
        (["edit", "pictures", "--attribute", "age"], "no attribute 'age'; there are: slant, thickness"),
        (["edit", "pictures", "--from-class", "4", "--to-class", "ten"], "'ten' is neither a picture nor a class"),
        (["restore", "inpaint", "pictures"], "inpaint needs --mask"),
        (["restore", "denoise", "pictures", "--mask", "0,0,2,2"], "denoise takes none"),
        (["restore", "inpaint", "pictures", "--mask", "0,0,2"], "expected four whole numbers x,y,width,height"),
        (["restore", "inpaint", "pictures", "--mask", "20,0,9,9"], "must lie within an image 28 pixels wide"),
        (["anomaly", "pictures", "--out", "x.png"], "must end in .csv"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_one(vaeline, tmp_path, arguments, sentence):
    answer = vaeline(*arguments, *([] if "--out" in arguments else ["--out", tmp_path / "x.png"]))
    assert answer.exit_code == 1
    assert sentence in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_stack_is_no_single_picture(vaeline, tmp_path):
    np.save(tmp_path / "stack.npy", np.zeros((2, 28, 28)))
    answer = vaeline("traverse", "--from", tmp_path / "stack.npy", "--out", tmp_path / "x.png")
    assert "stack.npy: holds 2 images, one is needed" in answer.stderr


def test_the_commands_stand_together_in_the_help(vaeline):
    help_text = vaeline("--help").output
    assert "Use a model" in help_text
    assert all(command in help_text for command in COMMANDS)
