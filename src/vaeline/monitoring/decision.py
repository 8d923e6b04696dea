"""A window looked at by the champion, from its images to the files and the run that tell what was found."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from mlflow import MlflowClient

from vaeline.artifacts import atomic_file, write_json
from vaeline.data.prepared import Prepared
from vaeline.errors import VaelineError
from vaeline.monitoring.decision import examine
from vaeline.monitoring.observables import observe
from vaeline.monitoring.page import write_page
from vaeline.monitoring.pictures import draw_figures
from vaeline.monitoring.record import PAGE, VERDICT, read_history, record
from vaeline.monitoring.report import build_verdict, outcome
from vaeline.monitoring.window import VALIDATION, Window, reference_images
from vaeline.params.monitor import MonitorParams
from vaeline.params.whole import Params
from vaeline.registry.lookup import RegisteredVersion, find_champion
from vaeline.registry.stored import load_stored


@dataclass(frozen=True)
class Looked:
    """The verdict on a window, and its figures by title."""

    verdict: dict[str, Any]
    figures: Mapping[str, Figure]

    @property
    def word(self) -> str:
        """quiet, violated or triggered."""
        return outcome(self.verdict)


def find_watched(client: MlflowClient, prepared: Prepared) -> RegisteredVersion:
    """The champion of the prepared data. Raises VaelineError if there is none."""
    champion = find_champion(client, prepared.manifest["name"])
    if champion is None:
        raise VaelineError(f"no model of {prepared.manifest['name']} is served yet; `vaeline promote` makes a champion")
    return champion


def look_at(
    client: MlflowClient, champion: RegisteredVersion, prepared: Prepared, window: Window, params: Params
) -> Looked:
    """Score the window and the reference by the champion, now, and compare them.

    Raises:
        VaelineError: the champion cannot be loaded, or does not take such images.
    """
    settings = params.monitor
    model = load_stored(champion.stored)
    if window.images.shape[1:] != tuple(model.image_shape):
        raise VaelineError(f"{champion.title} takes images of {model.image_shape}, not of {window.images.shape[1:]}")
    reference = reference_images(prepared.splits[VALIDATION], champion.run)
    if len(reference.images) < settings.least_rows:
        raise VaelineError(f"{len(reference.images)} validation images are too few to compare with")
    usual = observe(model, *reference.draw(settings), settings.seed)
    images, labels = window.draw(settings)
    new = observe(model, images, labels, settings.seed)
    tests = examine(usual, new, settings)
    history = read_history(client, champion.stored.model_sha256)
    dataset, now = prepared.manifest["name"], datetime.now(UTC)
    verdict = build_verdict(champion, dataset, window, reference, tests, history, settings, now)
    figures = draw_figures(model, usual, new, images, tests, prepared.classes, settings.alpha)
    return Looked(verdict, figures)


def publish(client: MlflowClient, found: Looked, settings: MonitorParams, target: Path) -> None:
    """Write page and verdict: to the store first, then into the folder `target`, the verdict last."""
    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / name for name in (PAGE, VERDICT)]
        files[0].write_text(write_page(found.verdict, found.figures), encoding="utf-8")
        write_json(files[1], found.verdict)
        record(client, found.verdict, {"monitor": settings.model_dump()}, files)
        try:
            (target / VERDICT).unlink(missing_ok=True)
            for file in files:
                with atomic_file(target / file.name) as temporary:
                    temporary.write_bytes(file.read_bytes())
        except OSError as error:
            raise VaelineError(f"{target}: cannot be written ({error.strerror}); the store has the verdict") from error
