"""The checkpoints of a training stay until DVC has recorded it, so that a kill in between trains nothing again."""

import shutil
from pathlib import Path

from vaeline.tracking.lineage import train_key
from vaeline.tracking.locks import is_current

CHECKPOINTS = Path(".vaeline/checkpoints")


def drop_recorded_checkpoints() -> None:
    """Remove the checkpoints of the training whose outputs `dvc.lock` records and are on disk."""
    if CHECKPOINTS.is_dir() and is_current("train"):
        for folder in CHECKPOINTS.glob(f"{train_key()[:16]}-*"):
            shutil.rmtree(folder)
