"""What one run of pytest makes once for all its workers, in a folder that they share.

The first worker that needs a thing makes it. `conftest.py` makes and removes the folder. Workers are children of its
process and find the folder in the environment.
"""

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

FOLDER, OWNER = "VAELINE_TESTS_FOLDER", "VAELINE_TESTS_PID"


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` has filled, in this worker or in another. It is not to be changed.

    Raises:
        AssertionError: `make` has failed in another worker, which has said why.
    """
    folder = Path(os.environ[FOLDER]) / name
    made = folder.with_name(f"{name}.made")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not folder.exists():
            folder.mkdir()
            make(folder)
            made.touch()
    assert made.exists(), f"another test saw the making of {name} fail"
    return folder
