"""Damage that a model must undo."""

import numpy as np
import pytest

from vaeline.data.sources import MNIST_IMAGE
from vaeline.images.arrays import to_unit
from vaeline.models.build import build_model
from vaeline.params.model import ModelParams
from vaeline.params.train import CorruptionParams
from vaeline.training.batches import Examples, ordered_batches
from vaeline.training.corruption import damage, damaged, draw_line, draw_patch
from vaeline.training.fit import VALIDATION_NOISE, fit, start

SETTINGS = CorruptionParams(most=3, size=0.3, contrast=0.5, noise=0.0)
NOISY = SETTINGS.model_copy(update={"noise": 0.05})
COLOUR = np.random.default_rng(2).integers(90, 110, (40, 33, 47, 3), dtype="uint8")


def batches(images=COLOUR):
    return ordered_batches(Examples(images, np.zeros(len(images), "int64")), 16)


def test_the_damage_is_a_function_of_the_seed_and_the_epoch():
    first, again, later = (
        np.concatenate([shown.images for shown in damaged(batches(), 1, epoch, NOISY)]) for epoch in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != later).any()


def test_the_targets_are_the_images_and_damage_is_some_places_of_most_images():
    shown = next(damaged(batches(), 1, 0, SETTINGS))
    np.testing.assert_array_equal(shown.targets, to_unit(COLOUR[:16]))
    changed = (np.abs(shown.images - shown.targets) > 0.02).any(axis=-1)
    assert 8 <= changed.any(axis=(1, 2)).sum() < 16
    assert 0 < changed.mean() < 0.3
    assert shown.images.dtype == shown.targets.dtype == "float32"


def test_the_noise_is_in_the_image_and_in_its_target():
    none = NOISY.model_copy(update={"most": 0})
    shown = next(damaged(batches(), 1, 0, none))
    np.testing.assert_array_equal(shown.images, shown.targets)
    assert (shown.targets - to_unit(COLOUR[:16])).std() == pytest.approx(0.05, rel=0.05)


def test_pixels_stay_between_black_and_white_and_change_by_the_contrast_at_most():
    rng = np.random.default_rng(1)
    image = np.full((20, 30, 1), 0.4, "float32")
    found = np.stack([damage(image, image[None], SETTINGS, rng) for _ in range(200)])
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.abs(damage(image, image[None], SETTINGS.model_copy(update={"most": 1}), rng) - 0.4).max() <= 0.5 + 1e-6
    assert (found > 0.6).any()
    assert (found < 0.2).any()


@pytest.mark.parametrize("draw", [draw_patch, draw_line])
def test_damage_is_small_where_its_size_is(draw):
    rng = np.random.default_rng(1)
    small, large = (np.mean([(draw((64, 64), size, rng) > 0.1).mean() for _ in range(100)]) for size in (0.05, 0.5))
    assert 0 < small < large / 3 < 0.3


@pytest.mark.parametrize("kind", ["autoencoder", "cvae", "iwae", "vae", "vqvae"])
def test_every_kind_is_compared_with_the_target_and_not_with_what_it_got(params, kind):
    values = params.model.model_dump() | {"kind": kind, "architecture": "conv", "latent_dim": 3}
    values["prior"] |= {"kind": {"vqvae": "autoregressive", "cvae": "label"}.get(kind, "normal"), "width": 8}
    model = build_model(ModelParams.model_validate(values), MNIST_IMAGE, 10, 1)
    model.compile()
    images, labels = np.zeros((4, 28, 28, 1), "float32"), np.arange(4)
    bias = model.decoder.layers[-1].bias
    bias.assign(np.full(bias.shape, -3.0))
    black, white = (
        model.test_on_batch(model.inputs(images, labels), target, return_dict=True)["reconstruction"]
        for target in (images, np.ones_like(images))
    )
    assert black < white / 5


@pytest.mark.usefixtures("training")
def test_a_training_with_damage_is_measured_on_damaged_images_and_their_targets(params, digits, tmp_path):
    model_params = params.model.model_copy(update={"kind": "autoencoder", "width": 16, "depth": 1})
    quick = {"epochs": 1, "batch_size": 64, "jit_compile": False, "corruption": SETTINGS}
    train = params.train.model_copy(update=quick)
    examples, held_out = (Examples(digits.images[rows], digits.labels[rows]) for rows in (slice(256), slice(256, 300)))
    progress = start(examples, 10, model_params, train)
    model, history = fit(progress, examples, held_out, train, tmp_path / "checkpoint", lambda row: None)
    shown = next(damaged(ordered_batches(held_out, 44), train.seed, VALIDATION_NOISE, SETTINGS))
    z_mean, _ = model.encode(shown.images)
    expected = np.mean(model.likelihood.nll(shown.targets, model.decode_logits(z_mean)))
    assert history[0]["val_reconstruction"] == pytest.approx(float(expected), rel=1e-4)
