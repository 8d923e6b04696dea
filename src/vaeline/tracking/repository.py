"""Find the root of the repository."""

import os
from pathlib import Path

from vaeline.stages import DVC_FILE
from vaeline.tracking.git import git


def repository_root() -> Path:
    """The main checkout. It is the same from a git worktree and from a temporary `dvc exp run` workspace.

    `DVC_ROOT`, which DVC sets for its stages, comes first; then the main checkout, which git knows. A copy without git
    is its own root.
    """
    start = Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()
    common = git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=start)
    if common and (Path(common).parent / DVC_FILE).is_file():
        return Path(common).parent
    return next((folder for folder in (start, *start.parents) if (folder / DVC_FILE).is_file()), start)
