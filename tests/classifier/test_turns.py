import numpy as np
import pytest

from vaeline.archive import load_archive, save_archive
from vaeline.classifier.fit import fit_classifier
from vaeline.classifier.network import Classifier, features_and_labels
from vaeline.classifier.turns import TURNS, turn

RNG = np.random.default_rng(3)


def test_square_images_are_turned_by_quarters():
    images = RNG.integers(0, 256, (4, 9, 9, 3), dtype="uint8")
    found = turn(images, np.arange(4))
    for number in range(4):
        np.testing.assert_array_equal(found[number], np.rot90(images[number], number))


def test_other_images_keep_their_size_and_the_four_ways_differ():
    image = RNG.integers(0, 256, (9, 12, 1), dtype="uint8")
    found = turn(np.stack([image] * 4), np.arange(4))
    np.testing.assert_array_equal(found[0], image)
    np.testing.assert_array_equal(found[1], image[:, ::-1])
    np.testing.assert_array_equal(found[2], image[::-1])
    np.testing.assert_array_equal(found[3], image[::-1, ::-1])


@pytest.mark.usefixtures("training")
def test_without_labels_it_learns_how_images_were_turned(digits, params, tmp_path):
    settings = params.classify.model_copy(update={"epochs": 5, "width": 8, "batch_size": 40})
    classifier = fit_classifier(digits.images[:1000], None, 1, settings)
    assert classifier.by_turns
    assert classifier.classes == TURNS
    rest = digits.images[1000:]
    turns = np.random.default_rng(1).integers(TURNS, size=len(rest))
    images = turn(rest, turns).astype("float32") / 255
    assert (features_and_labels(classifier, images)[1] == turns).mean() > 0.6
    save_archive(classifier, tmp_path / "turns.keras")
    assert load_archive(tmp_path / "turns.keras", Classifier).by_turns
