import numpy as np
import pytest

from vaeline.archive import check_archive, load_archive, save_archive
from vaeline.classifier.fit import fit_classifier, shift
from vaeline.classifier.network import Classifier, features_and_labels
from vaeline.data.sources import MNIST_IMAGE
from vaeline.errors import VaelineError
from vaeline.models.vae import VAE


@pytest.fixture(scope="module")
def settings(params):
    return params.classify.model_copy(update={"epochs": 5, "width": 8, "batch_size": 40})


@pytest.fixture(scope="module")
def classifier(training, digits, settings):
    return fit_classifier(digits.images[:1000], digits.labels[:1000], 10, settings)


def test_it_names_digits_that_it_has_not_seen(classifier, digits):
    images = digits.images[1000:].astype("float32") / 255
    features, labels = features_and_labels(classifier, images)
    assert (labels == digits.labels[1000:]).mean() > 0.85
    assert features.shape == (len(images), 64)
    assert features.min() >= 0
    logits = np.asarray(classifier.head(features.astype("float32")))
    np.testing.assert_array_equal(logits.argmax(axis=1), labels)


def test_the_same_seed_gives_the_same_archive(classifier, digits, settings, tmp_path):
    again = fit_classifier(digits.images[:1000], digits.labels[:1000], 10, settings)
    first = save_archive(classifier, tmp_path / "a.keras")
    assert save_archive(again, tmp_path / "b.keras") == first
    check_archive(tmp_path / "a.keras", first)
    loaded = load_archive(tmp_path / "a.keras", Classifier)
    images = digits.images[:20].astype("float32") / 255
    np.testing.assert_array_equal(features_and_labels(loaded, images)[0], features_and_labels(classifier, images)[0])
    with pytest.raises(VaelineError, match="holds a Classifier, not a VAE"):
        load_archive(tmp_path / "a.keras", VAE)


def test_images_move_by_two_pixels_at_most_and_lose_nothing_in_their_middle():
    images = np.zeros((500, *MNIST_IMAGE.shape), "uint8")
    images[:, 14, 14] = 255
    moved = shift(images, np.random.default_rng(0))
    assert moved.shape == images.shape
    assert (moved.sum(axis=(1, 2, 3)) == 255).all()
    rows, columns = np.argwhere(moved)[:, 1], np.argwhere(moved)[:, 2]
    assert set(rows) == set(columns) == {12, 13, 14, 15, 16}
    assert len(set(zip(rows, columns, strict=True))) == 25
