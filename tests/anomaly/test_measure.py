import numpy as np
from metric_checks import check

from vaeline.anomaly.measure import measure_anomalies
from vaeline.anomaly.one_class import fit_densities, image_statistics
from vaeline.data.sources import MNIST_IMAGE
from vaeline.images.lazy import LazyImages


def test_anomalies_of_every_kind_are_scored_and_other_data_sets_too(subject):
    train = subject.train_images(np.arange(500))
    densities = fit_densities(image_statistics(subject.model, train, np.arange(500), 1), 1)
    letters = np.random.default_rng(0).integers(0, 256, (40, *MNIST_IMAGE.shape), dtype="uint8")
    measured = measure_anomalies(subject, densities, {"letters": LazyImages.of_bytes(letters)})
    check(measured)
    assert set(measured.metrics) == {"hflip", "vflip", "rotation", "inversion", "noise", "constant", "letters"}
    assert set(measured.metrics["hflip"]) == {"neg_elbo", "reconstruction", "kl", "one_class", "one_class_latent"}
    assert measured.metrics["noise"]["neg_elbo"]["auroc"] > 0.99
    assert measured.metrics["letters"]["reconstruction"]["auroc"] > 0.99
    assert "letters" in measured.protocol["strange"]
    statistics = image_statistics(subject.model, subject.original_images, subject.rows, 1)
    for name, density in densities.items():
        np.testing.assert_allclose(measured.columns[name], density.score(statistics))
