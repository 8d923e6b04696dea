"""Batches that were refused: each in a folder of its own, as it came, with the reasons and a picture of them."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vaeline.artifacts import write_json
from vaeline.data.prepared import Split
from vaeline.figures.canvas import save_figure
from vaeline.validation.batch import BATCH
from vaeline.validation.checkpoint import Verdict
from vaeline.validation.report import ON_THE_SHEET, draw_contact_sheet, offenders

QUARANTINE = Path("data/quarantine")
REPORT, SHEET, DOCS, AS_IT_CAME = "report.json", "contact_sheet.png", "docs", "batch"
DIGITS = 8


def refused(source_sha256: str) -> Path | None:
    """The folder in which a batch with this digest lies already."""
    for report in sorted(QUARANTINE.glob(f"*/{REPORT}")):
        about = json.loads(report.read_text(encoding="utf-8"))
        if about["source_sha256"] == source_sha256 and _exists(report.parent / AS_IT_CAME / about["name"]):
            return report.parent
    return None


def folder_for(name: str, source_sha256: str) -> Path:
    """Where a batch is put: `data/quarantine/<name>`, or with digits of its digest if another has that name."""
    report = QUARANTINE / name / REPORT
    if not report.is_file() or json.loads(report.read_text(encoding="utf-8"))["source_sha256"] == source_sha256:
        return QUARANTINE / name
    return QUARANTINE / f"{name}-{source_sha256[:DIGITS]}"


def put(
    path: Path,
    folder: Path,
    about: Mapping[str, Any],
    reasons: list[str],
    verdict: Verdict | None = None,
    images: np.ndarray | None = None,
) -> None:
    """Write the report and the contact sheet into `folder`, then move the batch at `path` into `batch/` there.

    The move comes last and is one step on one file system: a process that is killed leaves the batch where it arrived,
    or in quarantine with its report. A batch whose failures no single image shows is drawn from its beginning; one that
    could not be read has no sheet.
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
    (folder / AS_IT_CAME).mkdir(exist_ok=True)
    _move(path, folder / AS_IT_CAME / path.name)


def _move(path: Path, target: Path) -> None:
    try:
        os.replace(path, target)
    except OSError:  # another file system: whole under another name first, so that half a copy is never taken for it
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
