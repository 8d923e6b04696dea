"""Read files that vaeline wrote. One that was damaged since gets a sentence with its name."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from vaeline.errors import VaelineError

AGAIN = "delete it, and `vaeline run` makes it again"


def read_json(path: Path, remedy: str = AGAIN) -> Any:
    """The content of a JSON file. Raises VaelineError if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise _damaged(path, error, remedy) from None


def read_table(path: Path) -> pd.DataFrame:
    """The table in a CSV or Parquet file. Raises VaelineError if it is missing or damaged."""
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (FileNotFoundError, ValueError) as error:  # pandas' and Arrow's errors about content are ValueErrors
        raise _damaged(path, error, AGAIN) from None


def _damaged(path: Path, error: Exception, remedy: str) -> VaelineError:
    if isinstance(error, FileNotFoundError):
        return VaelineError(f"{path} is missing; `vaeline run` makes it")
    return VaelineError(f"{path} is damaged ({error}); {remedy}")
