import itertools
import tracemalloc

import keras
import numpy as np
import pytest

from vaeline.archive import save_archive
from vaeline.data.prepared import mean_image
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.images.lazy import NUMBERS_AT_ONCE
from vaeline.images.spec import ImageSpec
from vaeline.training import fit as module
from vaeline.training.batches import (
    Examples,
    binarized,
    epoch_order,
    mirrored,
    ordered_batches,
    shifted,
    shuffled_batches,
)
from vaeline.training.checkpoint import load_checkpoint, save_checkpoint
from vaeline.training.fit import best_epoch, fit, is_finished, resume_or_start, start
from vaeline.training.schedules import build_optimizer, kl_weight


@pytest.fixture
def model_params(params):
    changes = {"width": 16, "depth": 1, "binarize": True, "dropout": 0.1, "normalization": "batch"}
    return params.model.model_copy(update=changes)


@pytest.fixture
def train_params(params):
    changes = {"epochs": 4, "batch_size": 64, "learning_rate": 0.01, "min_kl": 0.0, "jit_compile": False}
    return params.train.model_copy(update=changes | {"kl_warmup": 2})


@pytest.fixture
def splits(prepared):
    """Whole batches for training: a last one that is smaller would trace the model again."""
    train, validation = prepared.splits["train"], prepared.splits["validation"]
    return Examples(train.images[:256], train.labels[:256]), Examples(validation.images, validation.labels)


class StopError(Exception):
    pass


def stop_after(epochs):
    def watch(row):
        if row["epoch"] == epochs:
            raise StopError

    return watch


def ignore(row):
    pass


@pytest.mark.usefixtures("training")
def test_training_is_bitwise_repeatable_and_so_is_going_on_after_a_stop(splits, model_params, train_params, tmp_path):
    whole, history = fit(
        start(splits[0], 10, model_params, train_params), *splits, train_params, tmp_path / "whole", ignore
    )
    checkpoint = tmp_path / "stopped"
    for epochs in (1, 3):
        with pytest.raises(StopError):
            progress = resume_or_start(checkpoint, splits[0], 10, model_params, train_params)
            fit(progress, *splits, train_params, checkpoint, stop_after(epochs))
        keras.utils.set_random_seed(99)
    progress = resume_or_start(checkpoint, splits[0], 10, model_params, train_params)
    assert len(progress.history) == 3
    resumed, resumed_history = fit(progress, *splits, train_params, checkpoint, ignore)
    assert resumed_history == history
    assert save_archive(resumed, tmp_path / "a.keras") == save_archive(whole, tmp_path / "b.keras")


@pytest.mark.usefixtures("training")
def test_another_seed_gives_another_model(splits, model_params, train_params, tmp_path):
    params = train_params.model_copy(update={"epochs": 1})
    digests = set()
    for seed in (1, 2):
        seeded = params.model_copy(update={"seed": seed})
        model, _ = fit(start(splits[0], 10, model_params, seeded), *splits, seeded, tmp_path / f"{seed}", ignore)
        digests.add(save_archive(model, tmp_path / "model.keras"))
    assert len(digests) == 2


@pytest.mark.usefixtures("training")
def test_the_history_holds_train_and_validation_and_learning_helps(splits, model_params, train_params, tmp_path):
    _, history = fit(start(splits[0], 10, model_params, train_params), *splits, train_params, tmp_path / "c", ignore)
    wanted = {"loss", "neg_elbo", "reconstruction", "kl"}
    assert set(history[0]) == {"epoch", "learning_rate"} | wanted | {f"val_{name}" for name in wanted}
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["val_loss"] < history[0]["val_loss"]
    for row in history:
        assert row["neg_elbo"] == pytest.approx(row["reconstruction"] + row["kl"], rel=1e-5)
        assert row["val_loss"] == pytest.approx(row["val_neg_elbo"], rel=1e-5)


@pytest.mark.usefixtures("training")
def test_the_validation_loss_is_the_mean_over_all_validation_images(splits, model_params, train_params, tmp_path):
    plain = model_params.model_copy(update={"binarize": False, "dropout": 0.0})
    params = train_params.model_copy(update={"epochs": 1})
    model, history = fit(start(splits[0], 10, plain, params), *splits, params, tmp_path / "c", ignore)
    images, _ = next(ordered_batches(splits[1], len(splits[1].images)))
    z_mean, z_log_var = (np.asarray(part) for part in model.encode(images))
    kl = -0.5 * np.sum(1 + z_log_var - np.square(z_mean) - np.exp(z_log_var), axis=1)
    assert history[0]["val_kl"] == pytest.approx(kl.mean(), rel=1e-4)


@pytest.mark.usefixtures("training")
def test_the_best_weights_are_kept_and_patience_ends_it(splits, model_params, train_params, tmp_path):
    params = train_params.model_copy(update={"epochs": 30, "patience": 2, "learning_rate": 0.1, "optimizer": "adamw"})
    model, history = fit(start(splits[0], 10, model_params, params), *splits, params, tmp_path / "c", ignore)
    assert len(history) < 30
    assert len(history) - 1 - best_epoch(history) == 2
    best = load_checkpoint(tmp_path / "c").best_weights
    for found, kept in zip(model.get_weights(), best, strict=True):
        if found.shape:
            np.testing.assert_array_equal(found, kept)


@pytest.mark.usefixtures("training")
def test_a_checkpoint_that_lost_a_part_is_removed_and_said(splits, model_params, train_params, tmp_path, capsys):
    checkpoint = tmp_path / "c"
    for file in ("model.keras", "best_weights.npz", "history.json"):
        for kept in (0, 0.5):
            save_checkpoint(start(splits[0], 10, model_params, train_params), checkpoint)
            content = (checkpoint / file).read_bytes()
            (checkpoint / file).write_bytes(content[: int(kept * len(content))])
            assert load_checkpoint(checkpoint) is None
            assert "the checkpoint is damaged" in capsys.readouterr().out
            assert not checkpoint.exists()
    save_checkpoint(start(splits[0], 10, model_params, train_params), checkpoint)
    assert load_checkpoint(checkpoint) is not None


@pytest.mark.usefixtures("training")
def test_a_loss_that_is_not_finite_stops_with_what_to_change(splits, model_params, train_params, tmp_path):
    progress = start(splits[0], 10, model_params, train_params)
    progress.model.encoder.get_layer("z_mean").bias.assign([np.nan, np.nan])
    with pytest.raises(VaelineError, match=r"loss is nan; lower train\.learning_rate"):
        fit(progress, *splits, train_params, tmp_path / "c", ignore)


@pytest.mark.usefixtures("training")
def test_a_collapsed_posterior_stops_with_what_to_change(splits, model_params, train_params, tmp_path):
    heavy = model_params.model_copy(update={"beta": 1000.0})
    params = train_params.model_copy(update={"min_kl": 0.5, "kl_warmup": 0})
    with pytest.raises(VaelineError, match=r"posterior has collapsed.*lower model\.beta"):
        fit(start(splits[0], 10, heavy, params), *splits, params, tmp_path / "c", ignore)


def test_every_epoch_sees_every_image_once_in_its_own_order():
    examples = Examples(np.arange(10, dtype="uint8").reshape(10, 1, 1), np.arange(10))
    epochs = [list(shuffled_batches(examples, 4, 1, epoch)) for epoch in (0, 1)]
    orders = [np.concatenate([batch.images for batch in batches]).ravel() * 255 for batches in epochs]
    assert [len(batch.images) for batch in epochs[0]] == [4, 4, 2]
    np.testing.assert_allclose(orders[0], np.concatenate([batch.labels for batch in epochs[0]]), rtol=1e-6)
    assert sorted(orders[0].round().astype(int)) == sorted(orders[1].round().astype(int)) == list(range(10))
    assert not np.array_equal(*orders)
    np.testing.assert_array_equal(epoch_order(10, 1, 0), epoch_order(10, 1, 0))


def test_binary_pixels_are_drawn_anew_every_epoch_with_the_greys_as_mean(digits):
    examples = Examples(digits.images[:40], digits.labels[:40])

    def draw(epoch):
        return next(binarized(ordered_batches(examples, 40), 1, epoch))

    drawn = np.stack([draw(epoch).images for epoch in range(200)])
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(axis=0), examples.images / 255, atol=0.2)
    np.testing.assert_array_equal(draw(3).images, drawn[3])
    np.testing.assert_array_equal(draw(3).labels, examples.labels)
    assert np.abs(drawn[3] - drawn[4]).max() == 1


def test_images_are_mirrored_in_half_of_the_epochs_and_keep_their_labels(digits):
    examples = Examples(digits.images[:40], digits.labels[:40])
    images = examples.images / np.float32(255)

    def draw(epoch):
        return next(mirrored(ordered_batches(examples, 40), 1, epoch))

    turned = []
    for epoch in range(100):
        shown = draw(epoch)
        is_turned = (shown.images == images[:, :, ::-1]).all(axis=(1, 2, 3))
        np.testing.assert_array_equal(shown.images[~is_turned], images[~is_turned])
        np.testing.assert_array_equal(shown.labels, examples.labels)
        turned.append(is_turned)
    assert 0.25 < np.mean(turned, axis=0).min() < np.mean(turned, axis=0).max() < 0.75
    np.testing.assert_array_equal(draw(3).images, draw(3).images)


def test_images_are_moved_another_way_in_each_epoch_and_their_edge_is_repeated(digits):
    examples = Examples(digits.images[:20, :12, :16], digits.labels[:20])
    images = examples.images / np.float32(255)

    def draw(epoch):
        return next(shifted(ordered_batches(examples, 20), 1, epoch, 2))

    seen = set()
    for epoch in range(40):
        shown = draw(epoch)
        np.testing.assert_array_equal(shown.labels, examples.labels)
        for found, image in zip(shown.images, images, strict=True):
            moves = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if (found == moved(image, y, x)).all()]
            assert moves
            seen.update(moves[:1])
    assert len(seen) == 25
    np.testing.assert_array_equal(draw(3).images, draw(3).images)


def moved(image, down, right):
    rows, columns = np.arange(image.shape[0]) - down, np.arange(image.shape[1]) - right
    return image[np.clip(rows, 0, len(image) - 1)][:, np.clip(columns, 0, image.shape[1] - 1)]


@pytest.mark.parametrize("change", [{"mirror": True}, {"shift": 2}])
def test_only_training_images_are_mirrored_and_moved(splits, model_params, train_params, tmp_path, monkeypatch, change):
    shown = []

    def see(steps, batches):
        shown.append(np.sort(np.concatenate([batch.images for batch in batches]), axis=0))
        return {"loss": 1.0, "kl": 9.0}

    monkeypatch.setattr(module, "_run_epoch", see)
    for number, values in enumerate((change, {})):
        changed = train_params.model_copy(update={"epochs": 1, **values})
        fit(start(splits[0], 10, model_params, changed), *splits, changed, tmp_path / str(number), ignore)
    assert (shown[0] != shown[2]).any()
    np.testing.assert_array_equal(shown[1], shown[3])


def test_batches_are_read_through_the_memory_map(tmp_path):
    images = np.lib.format.open_memmap(
        tmp_path / "big.npy", mode="w+", dtype="uint8", shape=(100_000, *MNIST_IMAGE.shape)
    )
    tracemalloc.start()
    examples = Examples(images, np.zeros(len(images), "uint8"))
    for batch in itertools.islice(shuffled_batches(examples, 128, 1, 0), 20):
        assert batch.images.shape == (128, *MNIST_IMAGE.shape)
    mean_image(images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert images.nbytes > 75e6
    assert peak < 3 * NUMBERS_AT_ONCE


def test_the_learning_rate_warms_up_and_decays_to_zero(train_params):
    params = train_params.model_copy(update={"epochs": 10, "learning_rate_warmup": 2.0, "learning_rate": 1.0})
    optimizer = build_optimizer(params, steps_per_epoch=10)
    rates = [float(optimizer._learning_rate(step)) for step in range(101)]
    assert rates[0] == pytest.approx(0.0)
    assert rates[10] == pytest.approx(0.5)
    assert max(rates) == pytest.approx(rates[20]) == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0, abs=1e-7)


def test_the_kl_weight_rises_linearly():
    assert [kl_weight(epoch, 3) for epoch in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert kl_weight(0, 0) == 1.0


def test_is_finished_counts_epochs_and_patience(train_params):
    rows = [{"val_loss": value} for value in (3.0, 1.0, 2.0, 2.0)]
    assert not is_finished([], train_params)
    assert is_finished(rows, train_params)
    patient = train_params.model_copy(update={"epochs": 9, "patience": 2})
    assert not is_finished(rows[:3], patient)
    assert is_finished(rows, patient)


def test_a_model_knows_how_pictures_are_fitted_for_it(splits, model_params, train_params):
    image = ImageSpec(height=28, width=28, channels=1, fit="stretch", background="#808080", ink=False)
    assert start(splits[0], 10, model_params, train_params, image).model.image == image
    assert start(splits[0], 10, model_params, train_params).model.image == MNIST_IMAGE
