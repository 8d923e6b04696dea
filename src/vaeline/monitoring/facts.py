"""Everything that a decision about a window is based on, read once: the champion, the reference and past windows."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlflow import MlflowClient

from vaeline.data.prepared import Prepared
from vaeline.errors import VaelineError
from vaeline.images.spec import ImageSpec
from vaeline.models.generative import GenerativeModel
from vaeline.monitoring.record import PastWindow, read_history
from vaeline.monitoring.window import VALIDATION, ReferenceImages, Window, reference_images
from vaeline.params.monitor import MonitorParams
from vaeline.registry.lookup import RegisteredVersion, find_champion
from vaeline.registry.stored import load_stored


@dataclass(frozen=True)
class WindowFacts:
    """A window, the champion and its model, the reference images, and the champion's earlier windows."""

    champion: RegisteredVersion
    model: GenerativeModel
    dataset: str
    classes: Sequence[str]
    window: Window
    reference: ReferenceImages
    history: Sequence[PastWindow]


def find_monitored(client: MlflowClient, prepared: Prepared) -> RegisteredVersion:
    """The champion of the prepared data. Raises VaelineError if there is none."""
    champion = find_champion(client, prepared.manifest["name"])
    if champion is None:
        raise VaelineError(f"no model of {prepared.manifest['name']} is served yet; `vaeline promote` makes a champion")
    return champion


def gather_facts(
    client: MlflowClient, champion: RegisteredVersion, prepared: Prepared, window: Window, settings: MonitorParams
) -> WindowFacts:
    """Read the model, the reference images and the history.

    Raises:
        VaelineError: the champion cannot be loaded, takes other images, or has too few validation images.
    """
    model = load_stored(champion.stored)
    if window.images.shape[1:] != model.image.shape:
        raise VaelineError(
            f"{champion.title} takes images {model.image}, the window has {ImageSpec.of_shape(window.images.shape)}"
        )
    reference = reference_images(prepared.splits[VALIDATION], champion.run)
    if len(reference.images) < settings.least_rows:
        raise VaelineError(
            f"{len(reference.images)} validation images are too few to compare with, monitor.least_rows is "
            f"{settings.least_rows}; lower it, or train with more of them (data.validation_one_in)"
        )
    history = read_history(client, champion.stored.model_sha256)
    return WindowFacts(champion, model, prepared.manifest["name"], prepared.classes, window, reference, history)
