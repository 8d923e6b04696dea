from metric_checks import check

from vaeline.classifier.network import Classifier
from vaeline.data.sources import MNIST_IMAGE
from vaeline.samples.measure import measure_samples


def test_samples_stand_beside_a_floor_of_real_images(subject, evaluate_params):
    measured = measure_samples(subject, Classifier(image=MNIST_IMAGE, classes=10, width=4), "0" * 64, evaluate_params)
    check(measured)
    assert measured.metrics["floor_frechet"] < measured.metrics["frechet"]
    assert measured.metrics["floor_coverage"] > measured.metrics["coverage"]
