"""Reference profiles: thresholds for image statistics, kept as reviewed YAML files in `data/profiles/`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import pandas as pd
from annotated_types import Len
from pydantic import Field, model_validator
from ruamel.yaml import YAML

from vaeline.artifacts import atomic_file
from vaeline.data.statistics import FAMILIES, GRAIN, INK, Family
from vaeline.errors import VaelineError
from vaeline.images.spec import BLACK, HEX_COLOUR, Fit, ImageSpec
from vaeline.params.base import Section, check, load

PROFILES = Path("data/profiles")
NAME = re.compile(r"\w[\w.-]*")
HEADER = """\
Thresholds that images must meet before a model is trained on them. `vaeline profile` writes this file; review it.
The thresholds are fixed from then on; they are never computed from the data that they check.
Bands are [lowest, highest], both included. src/vaeline/data/statistics.py explains the statistics.
"""

SHARE_ROOM, SHARE_ERRORS = 0.15, 3  # of a share, and in standard errors
MOST_CLASS_BANDS = 100
"""With more classes, a profile has no bands of single classes: too many expectations, and too few images for each."""

Band = Annotated[list[float], Len(2, 2)]
CountBand = Annotated[list[int], Len(2, 2)]
LEVELS = ("min", "max", "mean", "border", "contrast", "mean_red", "mean_green", "mean_blue")
CEILINGS = {**dict.fromkeys(LEVELS, 255.0), "ink": 1.0, "saturation": 1.0, "entropy": 8.0}


class Profile(Section):
    """Thresholds for one kind of images.

    The names in `every_image` say which family of statistics is asked for: those of ink, of grey or of colour pictures.
    `alike` and `alike_leaks` are shares of images like `duplicates` and `leaks`, for images that only look alike.
    `split_classes` are the numbers of classes in each split, `class_shares` bands of single classes, `dead` is the
    number of dead pixels, and `doubts` are shares of doubtful labels by the number of judged ones.

    What a profile leaves out is not checked: bands of the pictures' own sizes and of specks, and these last fields,
    which older profiles lack. Only those of pictures need `alike` and `alike_leaks`.
    """

    name: str
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    channels: Literal[1, 3] = 1
    fit: Fit = "pad"
    background: str = Field(BLACK, pattern=HEX_COLOUR)
    dtype: str
    rows: dict[str, CountBand]
    classes: int = Field(ge=1)
    split_classes: dict[str, int] | None = None
    class_share: Band
    class_shares: dict[int, Band] | None = None
    duplicates: float = Field(ge=0, le=1)
    leaks: float = Field(ge=0, le=1)
    alike: float | None = Field(None, ge=0, le=1)
    alike_leaks: float | None = Field(None, ge=0, le=1)
    dead: int | None = Field(None, ge=0)
    doubts: dict[int, Annotated[float, Field(ge=0, le=1)]] | None = Field(None, min_length=1)
    every_image: dict[str, Band]
    average: dict[str, Band]
    class_average: dict[str, dict[int, Band]]
    deviation: dict[str, float]

    @property
    def image(self) -> ImageSpec:
        """The size of the images, and how pictures are fitted into it."""
        size = {"height": self.height, "width": self.width, "channels": self.channels}
        fitted = {"fit": self.fit, "background": self.background, "ink": None if self.family == INK else False}
        return ImageSpec.model_validate({**size, **fitted})

    @property
    def family(self) -> Family:
        """The statistics that the profile asks for."""
        free = set(GRAIN)
        fitting = (
            family
            for family in FAMILIES
            if set(self.every_image) - set(family.of_source) - free == set(family.every_image)
        )
        return next(fitting, INK)

    @model_validator(mode="after")
    def _complete(self) -> "Profile":
        family = self.family
        by_class, free = (family.by_class, ()) if self.classes <= MOST_CLASS_BANDS else ((), family.by_class)
        for given, wanted, others in (
            (self.every_image, family.every_image, (*family.of_source, *GRAIN)),
            (self.average, family.average, GRAIN),
            (self.class_average, by_class, free),
            (self.deviation, self.average, ()),
        ):
            if set(given) - set(others) != set(wanted):
                raise ValueError(f"bands of {', '.join(wanted)} are required, found {', '.join(given)}")
        left_out = {self.alike is None, self.alike_leaks is None}
        if len(left_out) > 1 or (family.pictures and left_out == {True}):
            raise ValueError("the shares alike and alike_leaks are required")
        by_class = {f"class_average.{column}": bands for column, bands in self.class_average.items()}
        for name, bands in (by_class | {"class_shares": self.class_shares}).items():
            if bands is not None and set(bands) != set(range(self.classes)):
                raise ValueError(f"{name} needs one band for each of {self.classes} classes")
        return self


def profile_path(profile: str, dataset: str) -> Path:
    """The file of a profile, given as a path, as a name in `data/profiles/`, or as `auto` for the data set's name."""
    if profile.endswith((".yaml", ".yml")):
        return Path(profile)
    return PROFILES / f"{dataset if profile == 'auto' else profile}.yaml"


def read_profile(path: Path) -> Profile:
    """Read and check a profile. Raises VaelineError if it is missing or a threshold is missing or malformed."""
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml"))) or "none"
        raise VaelineError(
            f"{path}: no such profile (there are: {known}); make one from data you trust with "
            f"`vaeline profile PATH --name {path.stem}`, review it and commit it"
        )
    return check(Profile, load(path), str(path))


def make_profile(
    table: pd.DataFrame,
    name: str,
    fitted: ImageSpec | None = None,
    family: Family = INK,
    doubtful: Mapping[int, float] | None = None,
) -> Profile:
    """Thresholds from the statistics of trusted data.

    A band for every image is the range found, widened by a tenth on each side. A band for the average of all images is
    the mean ± 0.1 standard deviations, for the average of a class ± 0.25. `deviation`
    holds the standard deviations of single images, by which `validation.batch` widens the bands for few images.
    `fitted` is how pictures were fitted; the size is the one that most images have. `family` is that of the table.
    `doubtful` are the shares of `doubtful_shares`; the limits have room of 15 %.
    """
    of_source = [column for column in family.of_source if table[column].notna().any()]
    classes = int(table["label"].max()) + 1
    by_class = table.groupby("label")
    image = ImageSpec.of_shape(tuple(table[["height", "width", "channels"]].mode().iloc[0]))
    return Profile(
        name=name,
        height=image.height,
        width=image.width,
        channels=image.channels,
        fit=fitted.fit if fitted else "pad",
        background=fitted.background if fitted else BLACK,
        dtype=str(table["dtype"].mode()[0]),
        rows=_row_bands(table),
        classes=classes,
        split_classes=_split_classes(table),
        class_share=share_band(table),
        class_shares=_class_shares(table) if 1 < classes <= MOST_CLASS_BANDS else None,
        duplicates=_round_up((table["copies"] > 1).mean()),
        leaks=_round_up((table["leaks"] > 0).mean()),
        alike=_alike_share(table["alike"]),
        alike_leaks=_round_up((table["alike_leaks"] > 0).mean()),
        dead=int(table["dead"].max()),
        doubts={number: _round_up((1 + SHARE_ROOM) * share) for number, share in (doubtful or {}).items()} or None,
        every_image={
            column: _range_band(table[column], CEILINGS.get(column))
            for column in (*family.every_image, *GRAIN, *of_source)
        },
        average={column: _mean_band(table[column], 0.1) for column in (*family.average, *GRAIN)},
        class_average={
            column: {
                int(cast(int, label)): _mean_band(cast(pd.Series, values), 0.25) for label, values in by_class[column]
            }
            for column in (family.by_class if classes <= MOST_CLASS_BANDS else ())
        },
        deviation={column: _round_up(table[column].std(ddof=0)) for column in (*family.average, *GRAIN)},
    )


def with_rows(profile: Profile, more: Mapping[str, int]) -> Profile:
    """The profile for splits with more rows than their source has: `more` rows by split, negative for fewer."""
    bands = {split: [count + more.get(split, 0) for count in band] for split, band in profile.rows.items()}
    bands["all"] = [bands["all"][0], bands["all"][1] + max(0, sum(more.values()))]
    return profile.model_copy(update={"rows": bands})


def rows_added(manifest: Mapping[str, Any]) -> dict[str, int]:
    """How many rows a split of prepared data has more than its source: rows of batches minus held-back rows."""
    batches = manifest.get("batches", [])
    more = {split: sum(batch[split] for batch in batches) for split in ("train", "validation")}
    return {**more, "train": more["train"] - manifest.get("held_back", 0)}


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile as YAML with bands on one line, atomically."""
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 120
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(f"# {line}\n" for line in HEADER.splitlines())
        yaml.dump(profile.model_dump(exclude_none=True), stream)


def class_shares(table: pd.DataFrame) -> pd.Series:
    """For each row, the share of its label among the rows of its split."""
    same = table.groupby(["split", "label"])["label"].transform("size")
    return same / table.groupby("split")["split"].transform("size")


def _alike_share(alike: pd.Series) -> float:
    """The share of images that look like another one in their split, with room as in `share_band`; 0 stays 0."""
    share = float((alike > 1).mean())
    return min(1.0, _round_up(share + SHARE_ROOM * share + SHARE_ERRORS * np.sqrt(share * (1 - share) / len(alike))))


def share_band(table: pd.DataFrame) -> Band:
    """From the lowest to the highest share of a class in a split, with room of 15 % and three standard errors.

    A small split gets other shares by chance when new data joins it.
    """
    low, high = _share_limits(table)
    return _rounded(low.min(), high.max())


def _share_limits(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """For each row, the share of its label in its split, with room below and above."""
    shares = class_shares(table)
    rows = table.groupby("split")["split"].transform("size")
    room = SHARE_ROOM * shares + SHARE_ERRORS * np.sqrt(shares * (1 - shares) / rows)
    return (shares - room).clip(lower=0), (shares + room).clip(upper=1)


def _class_shares(table: pd.DataFrame) -> dict[int, Band]:
    """As `share_band`, from the lowest to the highest share of each class. A split may lack a class."""
    low, high = (limits.groupby(table["label"]) for limits in _share_limits(table))
    return {int(cast(int, label)): _rounded(lowest, high.max()[label]) for label, lowest in low.min().items()}


def _split_classes(table: pd.DataFrame) -> dict[str, int]:
    """The number of classes in each split, and in both that come from the source."""
    labels = {str(split): set(part["label"]) for split, part in table.groupby("split")}
    if {"train", "validation"} <= set(labels):
        labels["source"] = labels["train"] | labels["validation"]
    return {split: len(found) for split, found in sorted(labels.items())}


def _row_bands(table: pd.DataFrame) -> dict[str, CountBand]:
    counts = {str(split): int(count) for split, count in table["split"].value_counts().items()}
    if {"train", "validation"} <= set(counts):
        counts["source"] = counts["train"] + counts["validation"]
    return {split: [count, count] for split, count in sorted(counts.items())} | {"all": [1, len(table)]}


def _range_band(values: pd.Series, ceiling: float | None) -> Band:
    spare = 0.1 * (values.max() - values.min())
    low, high = _rounded(values.min() - spare, values.max() + spare)
    return [max(low, 0.0) if values.min() >= 0 else low, high if ceiling is None else min(high, ceiling)]


def _mean_band(values: pd.Series, deviations: float) -> Band:
    spare = deviations * (values.std() if len(values) > 1 else abs(values.mean()))
    return _rounded(values.mean() - spare, values.mean() + spare)


def _rounded(low: float, high: float) -> Band:
    return [float(np.floor(low * 1000) / 1000), float(np.ceil(high * 1000) / 1000)]


def _round_up(share: float) -> float:
    return float(np.ceil(share * 1000) / 1000)
