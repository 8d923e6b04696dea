"""What simple classifiers can read from latents: fitted on training images, scored on test images."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NEIGHBOURS = 5


def knn_correct(
    train_latents: np.ndarray, train_labels: np.ndarray, latents: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Whether most of the 5 nearest training latents have an image's label; latents (n, latent_dim), answer (n,)."""
    model = KNeighborsClassifier(NEIGHBOURS).fit(train_latents, train_labels)
    return model.predict(latents) == labels


def probe_correct(
    train_latents: np.ndarray, train_labels: np.ndarray, latents: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Whether multinomial logistic regression on standardized latents names an image's label, shape (n,)."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train_latents, train_labels)
    return model.predict(latents) == labels
