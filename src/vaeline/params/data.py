"""Section `data` of `params.yaml`: where images come from, their size and how they are split."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from vaeline.images.limits import OWN, Limits
from vaeline.params.base import PARAMS_FILE, Section, Seed, read_section
from vaeline.params.limits import LimitsParams

AUTO = "auto"
Auto = Literal["auto"]
NearDuplicates = bool | Auto | Annotated[int, Field(ge=0, le=16)]
Side = Annotated[int, Field(ge=8, le=256)]


class ImageParams(Section):
    """The size in which images are kept, and how pictures are fitted into it."""

    height: Side | Auto
    width: Side | Auto
    channels: Literal[1, 3] | Auto
    fit: Literal["pad", "crop", "stretch"]
    background: Annotated[str, Field(pattern=r"^(auto|#[0-9a-f]{6})$")]
    ink: bool | Auto
    tile: bool = False


class DataParams(Section):
    """Where images come from, their size and how they are split."""

    dataset: str = Field(min_length=1)
    image: ImageParams
    unreadable: int = Field(ge=0)
    limits: LimitsParams = LimitsParams.of(OWN)
    good: str
    groups: str
    near_duplicates: NearDuplicates
    validation_one_in: int = Field(ge=2)
    test_one_in: int = Field(ge=2)
    seed: Seed
    hold_back: int = Field(ge=0)
    anomalies: list[str]

    @field_validator("dataset")
    @classmethod
    def _is_no_address(cls, dataset: str) -> str:
        if "://" in dataset:
            raise ValueError("is an address, but images are read from this machine; copy them into data/own")
        return dataset

    @property
    def name(self) -> str:
        """The data set's short name."""
        return dataset_name(self.dataset)


def own_limits(path: Path = PARAMS_FILE) -> Limits:
    """The limits of files that a user names: `data.limits`, or the usual ones in a folder without params.yaml.

    Raises:
        VaelineError: the section `data` of the file is wrong.
    """
    return read_section("data", DataParams, path).limits.named("data.limits") if path.is_file() else OWN


def dataset_name(dataset: str) -> str:
    """A data set's short name: for a path, its last part without an ending, in letters, digits, _ and -."""
    return re.sub(r"[^a-z0-9_-]+", "-", Path(dataset).stem.lower())
