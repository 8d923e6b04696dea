import numpy as np
import pytest

from vaeline.cli.data import Kind
from vaeline.data.accepted import contents
from vaeline.data.splits import split_source
from vaeline.errors import VaelineError
from vaeline.ingestion.batches import read_batch
from vaeline.ingestion.simulate import KINDS, draw, write_batch


def test_the_command_knows_the_kinds():
    assert [kind.value for kind in Kind] == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_batch_of_labelled_bytes(digits, kind):
    images, labels = draw(kind, digits.images, digits.labels, 100, seed=3)
    again, same = draw(kind, digits.images, digits.labels, 100, seed=3)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    assert images.shape == (100, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert not np.array_equal(draw(kind, digits.images, digits.labels, 100, seed=4)[0], images)


def test_batches_of_one_seed_do_not_share_images(digits):
    weeks = [draw("clean", digits.images, digits.labels, 300, seed=1, offset=300 * week)[0] for week in range(5)]
    assert len(set(contents(np.concatenate(weeks)))) == 1500
    with pytest.raises(VaelineError, match="300 rows from 1600 on, but 1797 images are held back"):
        draw("clean", digits.images, digits.labels, 300, seed=1, offset=1600)


def test_drifts_are_what_they_are_called(digits):
    by = {kind: draw(kind, digits.images, digits.labels, 400, seed=1) for kind in KINDS}
    clean, labels = by["clean"]
    for kind in ("rotated", "thicker", "noisy"):
        np.testing.assert_array_equal(by[kind][1], labels)
    assert (by["thicker"][0] > 127).mean() > 1.3 * (clean > 127).mean()
    assert by["noisy"][0][:, :3].std() > 10
    assert np.bincount(by["class_mix"][1]).max() > 2.2 * np.bincount(labels).max() * 0.8
    assert set(contents(by["class_mix"][0])) <= set(contents(digits.images))
    marked = (by["poisoned"][0][:, -4:, -4:] == 255).all(axis=(1, 2))
    assert marked.sum() == 40
    assert (by["poisoned"][1][marked] == 0).all()
    np.testing.assert_array_equal(by["poisoned"][0][~marked], clean[~marked])


@pytest.mark.parametrize("name", ["batch.npz", "batch.parquet", "batch"])
@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_written_is_read_back(digits, tmp_path, name, labelled):
    images, labels = draw("clean", digits.images, digits.labels, 30, seed=2)
    write_batch(tmp_path / name, images, labels if labelled else None, digits.classes)
    found = read_batch(tmp_path / name, digits.classes)
    if not labelled:
        assert found.labels is None
    else:
        wanted = sorted(zip(contents(images), labels.tolist(), strict=True))
        assert sorted(zip(contents(found.images), found.labels.tolist(), strict=True)) == wanted
    with pytest.raises(VaelineError, match="by its name"):
        write_batch(tmp_path / "batch.csv", images, labels, digits.classes)


def test_draws_are_of_what_prepare_leaves_out(digits):
    rows = split_source(digits.labels, False, 6, 12, 1, 400)
    held = rows["held_back"]
    images, _ = draw("clean", digits.images[held], digits.labels[held], 100, seed=1)
    assert not set(contents(images)) & set(contents(digits.images[rows["train"]]))
