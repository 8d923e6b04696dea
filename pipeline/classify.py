"""Stage `classify`: train the classifier that `evaluate` uses to measure samples. It does not depend on the VAE."""

from pathlib import Path

import numpy as np

from vaeline.archive import save_archive
from vaeline.classifier.fit import fit_classifier
from vaeline.classifier.network import features_and_labels
from vaeline.compute import fix_threads
from vaeline.data.prepared import read_prepared
from vaeline.errors import VaelineError, run_stage
from vaeline.images.arrays import to_unit
from vaeline.params.base import read_section
from vaeline.params.classify import ClassifyParams
from vaeline.params.compute import ComputeParams

PREPARED = Path("data/prepared")
CLASSIFIER = Path("models/classifier.keras")


def main() -> None:
    settings = read_section("classify", ClassifyParams)
    compute = read_section("compute", ComputeParams)
    fix_threads(compute.threads)
    prepared = read_prepared(PREPARED)
    train, validation = prepared.splits["train"], prepared.splits["validation"]
    classifier = fit_classifier(train.images, train.labels, len(prepared.classes), settings)

    _, predicted = features_and_labels(classifier, to_unit(validation.images))
    accuracy = float(np.mean(predicted == validation.labels))
    if accuracy < settings.min_accuracy:
        raise VaelineError(
            f"the classifier is right on {accuracy:.2%} of the validation images, but classify.min_accuracy is "
            f"{settings.min_accuracy:.2%}; raise classify.epochs or classify.width, or lower classify.min_accuracy"
        )
    save_archive(classifier, CLASSIFIER)
    print(f"classify: {prepared.title}, {accuracy:.2%} of {len(predicted):,} validation images correct; {CLASSIFIER}")


if __name__ == "__main__":
    run_stage(main)
