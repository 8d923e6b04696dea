"""Checkpoints. They hold what a stopped training needs to continue with the same bits.

These are the model, the optimizer, the history and the best weights.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from vaeline.archive import BROKEN
from vaeline.artifacts import atomic_directory
from vaeline.errors import disk_fault
from vaeline.redaction import one_line

Epoch = dict[str, float]
History = list[Epoch]


@dataclass
class Progress:
    """The state of a training after `len(history)` epochs."""

    model: keras.Model
    history: History = field(default_factory=list)
    best_weights: list[np.ndarray] = field(default_factory=list)


def save_checkpoint(progress: Progress, directory: Path) -> None:
    """Write the state to `directory`, replacing an earlier one in one step."""
    with atomic_directory(directory) as temporary:
        progress.model.save(temporary / "model.keras")
        np.savez(temporary / "best_weights.npz", *progress.best_weights)
        (temporary / "history.json").write_text(json.dumps(progress.history))


def load_checkpoint(directory: Path) -> Progress | None:
    """The state in `directory`, with its compiled optimizer; None if there is no checkpoint.

    After a power cut, the disk may have lost a part of the last checkpoint. It is then removed, and this is printed.
    """
    if not directory.is_dir():
        return None
    try:
        with np.load(directory / "best_weights.npz", allow_pickle=False) as archive:
            best_weights = [archive[name] for name in archive.files]
        return Progress(
            model=keras.saving.load_model(directory / "model.keras", safe_mode=True),
            history=json.loads((directory / "history.json").read_text()),
            best_weights=best_weights,
        )
    except (*BROKEN, EOFError) as error:
        if disk_fault(error):
            raise
        print(f"train: the checkpoint is damaged ({one_line(error, 150)}); the training begins again", flush=True)
        drop_checkpoint(directory)
        return None


def drop_checkpoint(directory: Path) -> None:
    """Remove a checkpoint that is no longer needed."""
    shutil.rmtree(directory, ignore_errors=True)
