import math
from dataclasses import replace

import numpy as np
import pytest
from metric_checks import check

from vaeline.classifier.fit import fit_classifier
from vaeline.classifier.network import features_and_labels
from vaeline.conditional.measure import _diversity, measure_conditional
from vaeline.data.prepared import Split
from vaeline.evaluation.subject import Subject
from vaeline.scores import SCORES


def test_a_conditional_model_is_measured_by_what_it_draws_and_whom_it_recognizes(conditional_model, prepared, params):
    subject = Subject(conditional_model, prepared, 1)
    training = params.classify.model_copy(update={"epochs": 2, "width": 4, "batch_size": 32})
    train = prepared.splits["train"]
    classifier = fit_classifier(train.images, train.labels, 10, training)
    nll_bound = np.where(subject.rows < 30, 150.0, np.nan)
    measured = measure_conditional(subject, classifier, training, nll_bound)
    check(measured)
    metrics = measured.metrics
    assert metrics["nll_given_label"] == pytest.approx(150 - math.log(10), abs=1e-4)
    assert metrics["sample_accuracy"] > 0.7 < metrics["cas_accuracy"]
    assert metrics["bayes_accuracy"] > 0.8 < metrics["guess_accuracy"]
    assert measured.columns["bayes_accuracy"].mean() == pytest.approx(metrics["bayes_accuracy"], abs=1e-5)
    entries = {entry for name in measured.columns for entry in SCORES[name].protocol}
    assert entries <= {f"conditional.{name}" for name in measured.protocol}
    by_class = metrics["classes"]
    assert list(by_class) == subject.classes
    accuracies = [by_class[name]["sample_accuracy"] for name in subject.classes]
    assert np.mean(accuracies) == pytest.approx(metrics["sample_accuracy"], abs=1e-4)
    assert all(row["distance"] < row["real_distance"] for row in by_class.values())
    recall, real = (np.mean([row[name] for row in by_class.values()]) for name in ("recall", "real_recall"))
    assert recall < real
    of_others = train.labels != 3
    others = Split(train.images[of_others], train.labels[of_others], train.indices[of_others])
    without = Subject(conditional_model, replace(prepared, splits=prepared.splits | {"train": others}), 1)
    features = features_and_labels(classifier, subject.original_images)[0]
    assert _diversity(without, classifier, {3: features}) == {3: {}}
