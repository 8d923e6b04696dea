"""How well latents predict the label: nearest neighbours and a linear probe."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Integer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vaeline.evaluation.group import Group
from vaeline.evaluation.inference import encode
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import summarize

NEIGHBOURS = 5
MOST_NUMBERS = 2**26  # of the latents that are fitted, and of those that are scored: neighbours take squared time


def measure_latents(subject: Subject) -> Measured:
    """Accuracy of nearest neighbours and of a linear probe on `z_mean`; empty if the training images have one class."""
    if not subject.has_classes:
        return Measured({}, {"left out": "the training images have one class"})
    most = MOST_NUMBERS // subject.model.latent_dim
    rows, scored = (subset(len(labels), most, subject.seed) for labels in (subject.train_labels, subject.labels))
    labels = subject.train_labels[rows]
    train = subject.without_label(encode(subject.model, subject.train_images(rows), labels)[0])
    given = (train, labels, subject.without_label(subject.latents)[scored], subject.labels[scored])
    columns = {name: np.full(len(subject.labels), np.nan) for name in ("knn_accuracy", "probe_accuracy")}
    columns["knn_accuracy"][scored] = knn_correct(*given)
    columns["probe_accuracy"][scored] = probe_correct(*given)
    on = "the test set" if len(scored) == len(subject.labels) else f"{len(scored)} test images"
    protocol = {
        "latents": f"z_mean of {subject.pixels} pixels, fitted on {len(rows)} training images, scored on {on}",
        "knn": f"{NEIGHBOURS} neighbours, Euclidean",
        "probe": "multinomial logistic regression on standardized latents",
    }
    return Measured(summarize(pd.DataFrame(columns)), protocol, columns)


def knn_correct(
    train_latents: Float[np.ndarray, "trained latent_dim"],
    train_labels: Integer[np.ndarray, " trained"],
    latents: Float[np.ndarray, "count latent_dim"],
    labels: Integer[np.ndarray, " count"],
) -> Bool[np.ndarray, " count"]:
    """Whether the 5 nearest training latents vote for an image's label: latents (n, latent_dim) to answers (n,)."""
    model = KNeighborsClassifier(NEIGHBOURS).fit(train_latents, train_labels)
    return model.predict(latents) == labels


def probe_correct(
    train_latents: Float[np.ndarray, "trained latent_dim"],
    train_labels: Integer[np.ndarray, " trained"],
    latents: Float[np.ndarray, "count latent_dim"],
    labels: Integer[np.ndarray, " count"],
) -> Bool[np.ndarray, " count"]:
    """Whether multinomial logistic regression on standardized latents names an image's label, shape (n,)."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train_latents, train_labels)
    return model.predict(latents) == labels


GROUP = Group("latents", lambda inputs: measure_latents(inputs.subject))
