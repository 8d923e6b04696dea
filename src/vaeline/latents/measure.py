"""What can be read from latents."""

import numpy as np
import pandas as pd

from vaeline.evaluation.likelihood import encode
from vaeline.evaluation.probes import NEIGHBOURS, knn_correct, probe_correct
from vaeline.evaluation.summary import summarize
from vaeline.scorecard.subject import Part, Subject


def measure_latents(subject: Subject) -> Part:
    """Accuracy of nearest neighbours and of a linear probe on `z_mean`; empty where there is one class only."""
    if len(subject.classes) < 2:
        return Part({}, {"left out": "the data has one class"})
    labels, rows = subject.train_labels, np.arange(len(subject.train_labels))
    train = subject.without_label(encode(subject.model, subject.train_images(rows), labels)[0])
    test = subject.without_label(subject.latents)
    columns = {
        "knn_accuracy": knn_correct(train, labels, test, subject.labels).astype("float64"),
        "probe_accuracy": probe_correct(train, labels, test, subject.labels).astype("float64"),
    }
    protocol = {
        "latents": f"z_mean of {subject.pixels} pixels, fitted on {len(rows)} training images, scored on the test set",
        "knn": f"{NEIGHBOURS} neighbours, Euclidean",
        "probe": "multinomial logistic regression on standardized latents",
    }
    return Part(summarize(pd.DataFrame(columns)), protocol, columns)
