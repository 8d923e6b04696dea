"""Stage `classify`: train the classifier that `evaluate` uses to measure samples. It does not depend on the VAE.

Images without labels, or of one class, are turned by chance, and the classifier learns to tell how.
"""

from pathlib import Path

import numpy as np

from vaeline.archive import save_archive
from vaeline.classifier.fit import fit_classifier
from vaeline.classifier.network import features_and_labels
from vaeline.classifier.turns import TURNS, turn
from vaeline.compute import use_device
from vaeline.data.prepared import read_prepared
from vaeline.errors import VaelineError, run_stage
from vaeline.images.lazy import LazyImages
from vaeline.params.base import read_section
from vaeline.params.classify import ClassifyParams
from vaeline.params.compute import ComputeParams

PREPARED = Path("data/prepared")
CLASSIFIER = Path("models/classifier.keras")


def main() -> None:
    settings = read_section("classify", ClassifyParams)
    compute = read_section("compute", ComputeParams)
    use_device(compute)
    prepared = read_prepared(PREPARED)
    train, validation = prepared.splits["train"], prepared.splits["validation"]
    labels = train.labels if len(np.unique(train.labels)) > 1 else None
    classifier = fit_classifier(train.images, labels, len(prepared.classes), settings)

    shown, right = LazyImages.of_bytes(validation.images), validation.labels
    if classifier.by_turns:
        right = np.random.default_rng(settings.seed).integers(TURNS, size=len(shown))
        shown = shown.changed(lambda images, rows: turn(images, right[rows]))
    _, predicted = features_and_labels(classifier, shown)
    accuracy = float(np.mean(predicted == right))
    if accuracy < settings.min_accuracy and not classifier.by_turns:
        raise VaelineError(
            f"the classifier is right on {accuracy:.2%} of the validation images, but classify.min_accuracy is "
            f"{settings.min_accuracy:.2%}; raise classify.epochs or classify.width, or lower classify.min_accuracy"
        )
    save_archive(classifier, CLASSIFIER)
    task = "turned without labels" if classifier.by_turns else "validation"
    print(f"classify: {prepared.title}, {accuracy:.2%} of {len(predicted):,} {task} images correct; {CLASSIFIER}")


if __name__ == "__main__":
    run_stage(main)
