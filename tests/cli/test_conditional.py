"""What the commands make of a model that is told classes."""

from pathlib import Path

import numpy as np
import pytest
from keras import ops

from vaeline.archive import save_archive
from vaeline.data.sources import MNIST_IMAGE
from vaeline.images.arrays import to_unit
from vaeline.images.named import read_named_images
from vaeline.latents.reference import fit_reference, read_reference, write_reference


@pytest.fixture(scope="module")
def conditional_desk(conditional_model, digits, tmp_path_factory, desk):
    """A desk whose model is told classes."""
    folder = tmp_path_factory.mktemp("conditional-desk")
    digest = save_archive(conditional_model, folder / "models/vae.keras")
    images, labels = to_unit(digits.images[:300]), digits.labels[:300]
    reference = fit_reference(conditional_model, digest, images, labels, digits.classes, 1)
    write_reference(reference, folder / "reports/latent_reference.json")
    (folder / "pictures").symlink_to(desk / "pictures")
    return folder


@pytest.fixture
def conditional(conditional_desk, numbers, monkeypatch):
    """Run a command there, and return what it writes into an .npy."""
    monkeypatch.chdir(conditional_desk)
    return numbers


def test_samples_are_of_the_digit_that_is_named(conditional, conditional_model):
    drawn = conditional("sample", "-n", 3, "--seed", 5, "--digit", "7")
    np.testing.assert_allclose(drawn, conditional_model.sample(3, 5, 1.0, 7), atol=1e-5)
    np.testing.assert_allclose(conditional("sample", "-n", 3), conditional_model.sample(3, 1), atol=1e-5)


def test_a_digit_that_there_is_not_or_a_model_without_classes_gets_a_sentence(vaeline, conditional, desk, monkeypatch):
    answer = vaeline("sample", "--digit", "ten")
    assert answer.exit_code == 1
    assert answer.stderr == "vaeline: --digit ten: no such class; the classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n"
    monkeypatch.chdir(desk)
    answer = vaeline("sample", "--digit", "7")
    assert answer.exit_code == 1
    assert "(vae, mlp, 4-D) is not conditioned on classes; model.kind: cvae is" in answer.stderr


def test_a_traversal_sweeps_latents_and_not_labels_around_a_class(conditional, conditional_model):
    swept = conditional("traverse", "--from", "7", "--steps", 3)
    assert swept.shape == (3, 3, 28, 28, 1)
    mean = read_reference(Path("reports/latent_reference.json")).class_means[7]
    np.testing.assert_allclose(mean[3:], np.eye(10)[7], atol=1e-6)
    expected = mean.copy()
    expected[1] = 0
    decoded = ops.convert_to_numpy(conditional_model.decode(expected[None]))
    np.testing.assert_allclose(swept[1, 1], decoded[0], atol=1e-5)
    without = conditional("traverse", "--steps", 3)
    np.testing.assert_array_equal(without, conditional("traverse", "--from", "0", "--steps", 3))


@pytest.mark.parametrize("command", [["reconstruct"], ["restore", "denoise"], ["edit", "--attribute", "slant"]])
def test_commands_need_no_labels(conditional, command):
    images = conditional(*command, "pictures")
    assert np.isfinite(images).all()
    assert images.shape[-3:] == (28, 28, 1)


def test_a_walk_between_pictures_changes_the_label_on_its_way(conditional, conditional_model):
    walk = conditional("interpolate", "pictures/1.png", "pictures/0.png", "--steps", 3)
    ends = read_named_images([Path("pictures/1.png"), Path("pictures/0.png")], MNIST_IMAGE).images
    seen = ops.convert_to_numpy(conditional_model.reconstruct(ends))
    np.testing.assert_allclose(walk[[0, -1]], seen, atol=1e-4)
