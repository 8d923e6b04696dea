"""Samples from the prior compared with test images, in the features of the pinned classifier."""

import numpy as np

from vaeline.classifier.network import Classifier, classify_parts, features_and_labels
from vaeline.evaluation.group import Group
from vaeline.evaluation.inference import decoded_batches, sample_batches, sampled_batches
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import DECIMALS
from vaeline.images.lazy import LazyImages
from vaeline.params.evaluate import EvaluateParams
from vaeline.samples.distances import KID_BLOCK, RESAMPLES, compare_samples


def measure_samples(
    subject: Subject, classifier: Classifier, classifier_sha256: str, settings: EvaluateParams
) -> Measured:
    """Fréchet distance, KID, precision, recall, density and coverage of samples against test images.

    `floor_…` are the same metrics of training images; samples need not be better than these. `unfitted_…` are those of
    samples from N(0, I), if the prior was fitted after training. The accuracy of the classifier is left out if it was
    trained without labels.
    """
    test, predicted = features_and_labels(classifier, subject.original_images)
    model, drawing = subject.model, (settings.samples, subject.seed)
    drawn = classify_parts(classifier, sampled_batches(model, *drawing))[0]
    train_rows = subset(len(subject.train_labels), settings.samples, subject.seed)
    train = LazyImages.of_bytes(subject.prepared.splits["train"].images).take(train_rows)
    metrics = compare_samples(test, drawn, subject.seed)
    if model.params.prior.kind == "mixture":
        latents = [model.training_prior.sample(size, part, 1.0) for size, part in sample_batches(*drawing)]
        unfitted = classify_parts(classifier, decoded_batches(model, np.concatenate(latents)))[0]
        distances = compare_samples(test, unfitted, subject.seed)
        metrics |= {f"unfitted_{name}": value for name, value in distances.items()}
    floor = compare_samples(test, features_and_labels(classifier, train)[0], subject.seed)
    metrics |= {f"floor_{name}": value for name, value in floor.items()}
    if not classifier.by_turns:
        correct = predicted == subject.labels
        metrics["classifier_accuracy"] = correct.mean()
        metrics["classifier_accuracy_se"] = correct.std(ddof=1) / np.sqrt(len(correct))
    task = ", trained without labels to tell how an image was turned" if classifier.by_turns else ""
    named = f"{classifier_sha256[:12]}{task}"
    protocol = {
        "samples": f"{len(drawn)} expected images of z from the prior, temperature 1, seed {subject.seed}",
        "against": f"{len(test)} test images",
        "prior": model.params.prior.kind,
        "floor": f"{len(train)} training images in the place of samples",
        "features": f"64, of the classifier {named}: metrics of other classifiers do not compare",
        "errors": f"frechet: {RESAMPLES} resamplings; kid: blocks of {KID_BLOCK:,}; the others: over rows",
    }
    return Measured({name: round(float(value), DECIMALS) for name, value in metrics.items()}, protocol)


GROUP = Group(
    "samples",
    lambda inputs: measure_samples(inputs.subject, inputs.classifier, inputs.classifier_sha256, inputs.settings),
)
