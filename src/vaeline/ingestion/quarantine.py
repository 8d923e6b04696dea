"""Batches that were refused: each in its own folder, unchanged, with the reasons and a contact sheet."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vaeline.artifacts import write_json
from vaeline.data.prepared import Split
from vaeline.figures.canvas import save_figure
from vaeline.images.types import AnyImages
from vaeline.own_files import read_json
from vaeline.validation.batch import BATCH
from vaeline.validation.checkpoint import Verdict
from vaeline.validation.contact_sheet import ON_THE_SHEET, draw_contact_sheet, offenders

QUARANTINE = Path("data/quarantine")
REPORT, SHEET, DOCS, CONTENT = "report.json", "contact_sheet.png", "docs", "batch"
DIGITS = 8
DELETE = "look at the batch beside it, and delete its folder"


def refused(source_sha256: str) -> Path | None:
    """The folder of a refused batch with this digest; None if there is none."""
    for report in sorted(QUARANTINE.glob(f"*/{REPORT}")):
        about = read_json(report, DELETE)
        if about["source_sha256"] == source_sha256 and _exists(report.parent / CONTENT / about["name"]):
            return report.parent
    return None


def folder_for(name: str, source_sha256: str) -> Path:
    """The folder for a batch: `data/quarantine/<name>`, or with digits of its digest if another batch is there."""
    report = QUARANTINE / name / REPORT
    if not report.is_file() or read_json(report, DELETE)["source_sha256"] == source_sha256:
        return QUARANTINE / name
    return QUARANTINE / f"{name}-{source_sha256[:DIGITS]}"


def put(
    path: Path,
    folder: Path,
    about: Mapping[str, Any],
    reasons: list[str],
    verdict: Verdict | None = None,
    images: AnyImages | None = None,
) -> None:
    """Write the report and the contact sheet into `folder`, then move the batch at `path` into `batch/` there.

    The move is the last step, and a single operation within one file system. If the process is killed, the batch is
    still where it arrived, or it is in quarantine with its report. The sheet shows the images that failed, or the first
    images if no single image failed. A batch that cannot be read has no sheet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if images is not None:
        shown = (offenders(verdict) if verdict else {}) or {
            f"{BATCH}/{row}": reasons[0] for row in range(min(ON_THE_SHEET, len(images)))
        }
        split = {BATCH: Split(images, np.zeros(len(images), "uint8"), np.arange(len(images)))}
        save_figure(draw_contact_sheet(shown, split, verdict.profile if verdict else ""), folder / SHEET)
    validation = verdict.as_dict() if verdict else None
    write_json(folder / REPORT, {**about, "name": path.name, "reasons": reasons, "validation": validation})
    (folder / CONTENT).mkdir(exist_ok=True)
    move(path, folder / CONTENT / path.name)


def move(path: Path, target: Path) -> None:
    """Move a file or a folder in one step. In another file system, its copy has a hidden name until it is complete."""
    try:
        os.replace(path, target)
    except OSError:
        partial = target.with_name(f".{target.name}.partial")
        remove(partial)
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, partial, symlinks=True)
        else:
            shutil.copy2(path, partial, follow_symlinks=False)
        remove(target)
        os.replace(partial, target)
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif _exists(path):
        path.unlink()


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
