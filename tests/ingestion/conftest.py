import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from vaeline.data.accepted import ACCEPTED
from vaeline.data.prepared import read_prepared, write_prepared
from vaeline.ingestion import accept
from vaeline.ingestion.arrivals import INCOMING
from vaeline.ingestion.ingest import Rules
from vaeline.validation.profile import read_profile

KNOWN = {"train": (0, 900), "validation": (900, 1000), "test": (1000, 1200)}


@pytest.fixture(scope="session")
def some_prepared(digits, tmp_path_factory) -> Path:
    """The first 1,200 digits as prepared data; the others are new."""
    directory = tmp_path_factory.mktemp("some") / "prepared"
    splits = {name: (digits.images, digits.labels, np.arange(*rows)) for name, rows in KNOWN.items()}
    about = {"dataset": "digits", "name": "digits", "title": "UCI digits", "classes": digits.classes}
    write_prepared(directory, splits, about)
    return directory


@pytest.fixture
def rules(some_prepared) -> Rules:
    """What batches of digits are held against."""
    profile = read_profile(ROOT / "data/profiles/digits.yaml")
    return Rules(read_prepared(some_prepared), profile, 0.01, "tester <tester@example.org>")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty place with the folders of the repository, where DVC is a note beside the file that it was given."""
    monkeypatch.chdir(tmp_path)
    for folder in (INCOMING, ACCEPTED):
        folder.mkdir(parents=True)
        shutil.copy(ROOT / folder / "README.md", folder)
    monkeypatch.setattr(accept, "track", lambda batch: accept.rows_file(batch).with_suffix(".npz.dvc").touch())
    return tmp_path
