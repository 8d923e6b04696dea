"""Statistics of the training images under a model. Commands read them when the data set is not there."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Integer, Shaped

from vaeline.anomaly.one_class import DENSITIES, OneClass, fit_densities, image_statistics
from vaeline.artifacts import write_json
from vaeline.errors import VaelineError
from vaeline.evaluation.inference import encode, image_batches
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Subject
from vaeline.images.lazy import ImageSource
from vaeline.images.types import Labels
from vaeline.latents.attributes import ATTRIBUTES, attribute_direction
from vaeline.models.generative import GenerativeModel

POSTERIORS_A_CLASS = 100


@dataclass(frozen=True)
class Reference:
    """Summary of the latents of training images.

    class_means: (classes, latent_dim), the mean `z_mean` of each class. attributes: by name, the change of z
    (latent_dim,) that goes with one standard deviation of the attribute, within classes. z_mean and z_log_var:
    (n, latent_dim) posteriors of some images, with their classes in `labels` (n,). A model without randomness has none.
    """

    model_sha256: str
    classes: tuple[str, ...]
    class_means: Float[np.ndarray, "classes latent_dim"]
    attributes: dict[str, Float[np.ndarray, " latent_dim"]]
    z_mean: Float[np.ndarray, "count latent_dim"] | Shaped[np.ndarray, "0"]
    z_log_var: Float[np.ndarray, "count noise_dim"] | Shaped[np.ndarray, "0"]
    labels: Integer[np.ndarray, " count"] | Shaped[np.ndarray, "0"]
    densities: dict[str, OneClass]

    def posteriors(
        self, label: int
    ) -> tuple[Float[np.ndarray, "count latent_dim"], Float[np.ndarray, "count noise_dim"]]:
        """`z_mean` and `z_log_var` of the remembered images of a class, each (n, latent_dim)."""
        rows = self.labels == label
        return self.z_mean[rows], self.z_log_var[rows]


def fit_reference(
    model: GenerativeModel, model_sha256: str, images: ImageSource, labels: Labels, classes: Sequence[str], seed: int
) -> Reference:
    """The reference of `model` over training images (count, height, width, channels), float32 in [0, 1]."""
    z_mean, z_log_var = encode(model, images, labels)
    present = np.unique(labels)
    class_means = np.zeros((len(classes), model.latent_dim))
    for label in present:
        class_means[label] = z_mean[labels == label].mean(axis=0)
    most = POSTERIORS_A_CLASS if model.noise_dim else 0
    kept = np.concatenate([np.flatnonzero(labels == label)[:most] for label in present])
    parts = list(image_batches(model, len(images)))
    attributes = {
        name: np.concatenate([measure(images[rows]) for rows in parts]) for name, measure in ATTRIBUTES.items()
    }
    statistics = image_statistics(model, images, np.arange(len(images)), seed)
    return Reference(
        model_sha256=model_sha256,
        classes=tuple(classes),
        class_means=class_means,
        attributes={name: attribute_direction(z_mean, values, labels) for name, values in attributes.items()},
        z_mean=z_mean[kept],
        z_log_var=z_log_var[kept],
        labels=labels[kept].astype("int64"),
        densities=fit_densities(statistics, seed),
    )


def write_reference(reference: Reference, path: Path) -> None:
    """Write the reference as JSON, atomically."""
    densities = {name: vars(density) for name, density in reference.densities.items()}
    write_json(path, {**vars(reference), "densities": densities})


def read_reference(path: Path) -> Reference:
    """Read what `write_reference` wrote.

    Raises:
        VaelineError: the file is missing or not a reference.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        arrays = {name: np.array(content[name]) for name in ("class_means", "z_mean", "z_log_var", "labels")}
        return Reference(
            model_sha256=content["model_sha256"],
            classes=tuple(content["classes"]),
            attributes={name: np.array(direction) for name, direction in content["attributes"].items()},
            densities={name: OneClass.from_json(content["densities"][name]) for name in DENSITIES},
            **arrays,
        )
    except FileNotFoundError:
        raise VaelineError(f"{path}: no latent reference; `dvc repro evaluate` makes one") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VaelineError(f"{path}: not a latent reference ({error}); `dvc repro evaluate` makes one") from None


def draw_around(
    z_mean: Float[np.ndarray, "remembered latent_dim"],
    z_log_var: Float[np.ndarray, "remembered noise_dim"],
    count: int,
    temperature: float,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "{count} latent_dim"]:
    """Latents (count, latent_dim), float32, from an even mixture of posteriors N(z_mean, temperature² · variance).

    Only the first `noise_dim` entries vary, as many as `z_log_var` (n, noise_dim) has. This is the aggregated posterior
    of the class (Tomczak & Welling 2018, arXiv:1705.07120, section 2), stratified: each posterior gives one draw before
    any gives a second. With temperature 0 the draws are the means themselves.
    """
    rounds = -(-count // len(z_mean))
    rows = np.concatenate([rng.permutation(len(z_mean)) for _ in range(rounds)])[:count]
    z, scale = z_mean[rows].astype("float32"), temperature * np.exp(0.5 * z_log_var[rows])
    z[:, : scale.shape[1]] += scale * rng.standard_normal(scale.shape)
    return z


def write_reference_of(subject: Subject, model_sha256: str, count: int, path: Path) -> None:
    """Fit the reference of a model over up to `count` training images, drawn by the seed, and write it."""
    rows = subset(len(subject.train_labels), count, subject.seed)
    images, labels = subject.train_images(rows), subject.train_labels[rows]
    write_reference(fit_reference(subject.model, model_sha256, images, labels, subject.classes, subject.seed), path)
