"""Write a decision into the candidate's run, into the tags of its version, and into `reports`."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from vaeline.artifacts import atomic_file, write_json
from vaeline.errors import VaelineError
from vaeline.figures.canvas import save_figure
from vaeline.gate.facts import TEST_TAG
from vaeline.gate.report import PICTURES, gate_digest, page_blocks
from vaeline.pages import write_markdown
from vaeline.registry.stored import StoredModel, version_of
from vaeline.reports import GATE
from vaeline.tracking.runs import log_files

FOLDER = "gate"
REPORT, PAGE = GATE.name, "gate.md"
VERDICT_TAG = "vaeline.gate_verdict"


def publish(stored: StoredModel, report: Mapping[str, Any], figures: Mapping[str, Figure], target: Path) -> list[Path]:
    """Write report, page and pictures: to the store first, then into the folder `target`; return the files.

    An earlier verdict is removed first and the new one is written last, in the store and on disk. A failure in between
    leaves a version without a verdict.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, figure in figures.items():
            save_figure(figure, folder / f"{name}.png")
        (folder / PAGE).write_text(write_markdown(page_blocks(report, figures)), encoding="utf-8")
        write_json(folder / REPORT, report)
        _write_to_store(stored, report, folder)
        try:
            return _place(folder, target)
        except OSError as error:
            reason = error.strerror or error
            raise VaelineError(f"{target}: cannot be written ({reason}); the report is in the store") from error


def gate_tags(report: Mapping[str, Any]) -> dict[str, str]:
    """The tags of the version; the verdict comes last."""
    champion, gain = report["champion"], report["improvement"]
    return {
        "vaeline.gate_sha256": gate_digest(dict(report)),
        "vaeline.gate_champion": champion["version"] if champion else "",
        "vaeline.gate_at": report["created"],
        "vaeline.gate_metric": report["metric"],
        "vaeline.gate_gain": f"{gain['mean']:.6f}" if gain else "",
        "vaeline.gate_gain_low": f"{gain['low']:.6f}" if gain else "",
        TEST_TAG: report["test_sha256"],
        VERDICT_TAG: report["verdict"],
    }


def _write_to_store(stored: StoredModel, report: Mapping[str, Any], folder: Path) -> None:
    client, version = stored.client, version_of(stored)
    if VERDICT_TAG in client.get_model_version(version.name, version.version).tags:
        client.delete_model_version_tag(version.name, version.version, VERDICT_TAG)
    log_files(client, stored.run_id, folder, FOLDER)
    for key, value in gate_tags(report).items():
        client.set_model_version_tag(version.name, version.version, key, value)


def _place(folder: Path, target: Path) -> list[Path]:
    """Remove the files of an earlier gate, then copy the new ones; the report is the last."""
    for name in (REPORT, PAGE, *(f"{picture}.png" for picture in PICTURES)):
        (target / name).unlink(missing_ok=True)
    order = sorted(folder.iterdir(), key=lambda file: (file.name == REPORT, file.name))
    for file in order:
        with atomic_file(target / file.name) as temporary:
            temporary.write_bytes(file.read_bytes())
    return [target / file.name for file in order]
