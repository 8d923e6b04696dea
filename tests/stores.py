"""MLflow stores for tests: an empty one to copy, and copies that keep their artifacts themselves."""

import sqlite3
from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service import utils
from shared import made_once

PATHS = {
    "experiments": ["artifact_location"],
    "runs": ["artifact_uri"],
    "model_versions": ["source", "storage_location"],
}


def empty_store() -> Path:
    """A database with MLflow's tables and no rows, to copy: making the tables takes longer than most tests."""

    def make(folder: Path) -> None:
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return made_once("empty-store", make) / "mlflow.db"


def move_artifacts(database: Path, source: Path, target: Path) -> None:
    """Change the paths below `source` in a copied database to paths below `target`: MLflow stores absolute paths."""
    pairs = {(str(source), str(target)), (quote(str(source)), quote(str(target)))}
    with closing(sqlite3.connect(database)) as store, store:
        for table, columns in PATHS.items():
            for column in columns:
                for old, new in pairs:
                    store.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))


def forget_artifacts(patch: pytest.MonkeyPatch) -> None:
    """Empty MLflow's cache of artifact folders: it is keyed by run id, and all copies of a store have the same ids."""
    patch.setattr(utils, "_artifact_repos_cache", OrderedDict())
