"""The folder of an export, checked before any work."""

from pathlib import Path

from vaeline.errors import VaelineError

DESCRIPTION = "vaeline.json"


def check_folder(out: Path, force: bool) -> None:
    """Check that the folder is new or empty, or with `force` that it holds an earlier export.

    Raises:
        VaelineError: it is a file, holds something else, or is not to be replaced.
    """
    if out.exists() and not out.is_dir():
        raise VaelineError(f"--out {out}: is a file; choose a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / DESCRIPTION).is_file():
        raise VaelineError(f"--out {out}: holds files, but no export of vaeline; choose another folder")
    if not force:
        raise VaelineError(f"--out {out}: holds an earlier export; --force replaces it")
