import numpy as np
import pytest

from vaeline.cli.data import Kind
from vaeline.errors import VaelineError
from vaeline.ingestion.simulation import KINDS, foreign_pictures, noisy, rotated, simulate, thicker


@pytest.fixture(scope="module")
def pool(digits):
    return digits.images, digits.labels


def test_the_command_knows_the_kinds():
    assert [kind.value for kind in Kind] == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_draws_one_batch_of_different_rows(pool, kind):
    batch, again, other = (simulate(kind, *pool, 200, seed) for seed in (1, 1, 2))
    assert batch.images.shape == (200, 28, 28, 1)
    assert batch.images.dtype == batch.labels.dtype == np.uint8
    assert len(set(batch.rows)) == 200
    assert all(np.array_equal(*pair) for pair in zip(batch, again, strict=True))
    assert not np.array_equal(batch.rows, other.rows)
    assert np.array_equal(batch.images[~batch.altered], pool[0][batch.rows[~batch.altered]])
    assert np.array_equal(batch.labels[~batch.altered], pool[1][batch.rows[~batch.altered]])


def test_batches_of_one_seed_need_not_share_rows(pool):
    first, second = simulate("noisy", *pool, 300, 1), simulate("noisy", *pool, 300, 1, offset=300)
    assert not set(first.rows) & set(second.rows)
    assert np.array_equal(simulate("clean", *pool, 600, 1).rows, np.concatenate([first.rows, second.rows]))
    mixed = simulate("class_mix", *pool, 100, 1, offset=1000)
    assert set(mixed.rows) <= set(simulate("clean", *pool, 797, 1, offset=1000).rows)
    with pytest.raises(VaelineError, match="800 images from position 1000 on"):
        simulate("clean", *pool, 800, 1, offset=1000)


@pytest.mark.parametrize("kind", ["rotated", "thicker", "noisy", "poisoned"])
def test_at_every_strength_the_rows_are_those_of_the_clean_batch(pool, kind):
    clean = simulate("clean", *pool, 60, 4)
    assert not clean.altered.any()
    for strength in (0.0, 0.2, 0.8):
        assert np.array_equal(simulate(kind, *pool, 60, 4, strength).rows, clean.rows)
    assert np.array_equal(simulate(kind, *pool, 60, 4, 0.0).images, clean.images)


def test_turning_is_anticlockwise_about_the_middle(pool):
    images = pool[0][:20]
    assert np.array_equal(rotated(images, 90), np.rot90(images, axes=(1, 2)))
    difference = rotated(rotated(images, 30), -30).astype(float) - images
    assert np.abs(difference).mean() < 10


@pytest.mark.parametrize(("pixels", "width"), [(0, 3), (1, 5), (2, 7)])
def test_a_stroke_grows_to_both_sides_by_that_many_pixels(pixels, width):
    stroke = np.zeros((1, 28, 28, 1), "uint8")
    stroke[:, 5:23, 12:15] = 200
    grown = thicker(stroke, pixels)
    assert np.count_nonzero(grown[0, 14] == 200) == width
    assert (grown >= stroke).all()
    assert grown.max() == 200


def test_half_a_pixel_is_between_none_and_one(pool):
    ink = [thicker(pool[0][:20], pixels).mean() for pixels in (0, 0.5, 1)]
    assert ink[0] < ink[1] < ink[2]


def test_the_noise_has_the_deviation_that_is_asked_for():
    grey = np.full((20, 28, 28, 1), 128, "uint8")
    noise = noisy(grey, 0.1, np.random.default_rng(1)).astype(float) - 128
    assert noise.std() == pytest.approx(25.5, rel=0.03)
    assert np.abs(noise.mean()) < 1


def test_every_seed_and_offset_has_a_noise_of_its_own():
    grey, labels = np.full((20, 28, 28, 1), 128, "uint8"), np.zeros(20, "uint8")
    draws = [
        simulate("noisy", grey, labels, 5, seed, offset=offset).images for seed, offset in ((1, 0), (2, 0), (1, 5))
    ]
    assert not any(np.array_equal(draws[first], draws[second]) for first, second in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("distance", [0.0, 0.3, 0.6])
def test_the_class_mix_is_as_far_from_the_pools_as_is_asked_for(pool, distance):
    own = np.bincount(pool[1]) / len(pool[1])
    mixes = [np.bincount(simulate("class_mix", *pool, 250, seed, distance).labels, minlength=10) for seed in range(40)]
    found = [np.abs(mix / 250 - own).sum() / 2 for mix in mixes]
    chance = 0.08 if distance == 0 else 0.03
    assert np.mean(found) == pytest.approx(distance, abs=chance)
    assert len({int(mix.argmax()) for mix in mixes}) > 3, "every seed favours other classes"


def test_of_the_bad_rows_half_have_a_wrong_label_and_half_show_something_else(pool):
    batch = simulate("poisoned", *pool, 200, 1, 0.3)
    wrong = batch.labels != pool[1][batch.rows]
    foreign = (batch.images != pool[0][batch.rows]).any(axis=(1, 2, 3))
    assert wrong.sum() == foreign.sum() == 30
    assert not (wrong & foreign).any()
    assert np.array_equal(batch.altered, wrong | foreign)
    assert set(batch.labels) <= set(pool[1])


def test_foreign_pictures_are_letters_of_the_size_of_digits_and_whole_cuts_of_photographs():
    pictures = foreign_pictures(40, (28, 28, 1), np.random.default_rng(1))[..., 0]
    letters, cuts = pictures[::2], pictures[1::2]
    border = np.ones((28, 28), bool)
    border[3:-3, 3:-3] = False
    assert letters[:, border].max() == 0
    assert (letters.max(axis=(1, 2)) > 150).all()
    assert np.median(cuts[:, border].mean(axis=1)) > 40
    assert len(np.unique(pictures.reshape(40, -1), axis=0)) == 40


def test_the_pool_stays_as_it_is(pool):
    before = pool[0].copy(), pool[1].copy()
    for kind in KINDS:
        simulate(kind, *pool, 100, 1)
    assert np.array_equal(pool[0], before[0])
    assert np.array_equal(pool[1], before[1])


@pytest.mark.parametrize(
    ("kind", "rows", "strength", "words"),
    [
        ("upside-down", 10, None, "'upside-down' is no kind of simulated batch"),
        ("noisy", 10, 3.0, "the strength must be 0 to 1 (greys, 0 to 1), not 3"),
        ("clean", 10, 0.5, "must be 0 to 0"),
        ("clean", 0, None, "cannot draw 0 images from position 0 on"),
        ("clean", 5000, None, "cannot draw 5000 images from position 0 on; the pool has 1797 images"),
        ("class_mix", 100, 0.95, "the strength must be at most"),
        ("class_mix", 1500, 0.6, "are needed, the pool has 1"),
    ],
)
def test_what_cannot_be_simulated_is_one_sentence(pool, kind, rows, strength, words):
    with pytest.raises(VaelineError) as error:
        simulate(kind, *pool, rows, 1, strength)
    assert words in str(error.value)
