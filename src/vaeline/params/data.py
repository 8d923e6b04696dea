"""Section `data` of `params.yaml`: where images come from and how they are split."""

import re
from pathlib import Path

from pydantic import Field

from vaeline.params.base import Section


class DataParams(Section):
    """Where images come from and how they are split."""

    dataset: str = Field(min_length=1)
    validation_one_in: int = Field(ge=2)
    test_one_in: int = Field(ge=2)
    seed: int = Field(ge=0)
    hold_back: int = Field(ge=0)
    anomalies: list[str]

    @property
    def name(self) -> str:
        """The data set's short name."""
        return dataset_name(self.dataset)


def dataset_name(dataset: str) -> str:
    """A data set's short name: for a path, its last part without an ending, in letters, digits, _ and -."""
    return re.sub(r"[^a-z0-9_-]+", "-", Path(dataset).stem.lower())
