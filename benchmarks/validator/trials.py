"""The least strength of each corruption that is caught, and the alarms of clean images."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm
from validator.corruptions import Corruption
from validator.judge import failed
from validator.sets import DataSet, Splits, copy_of

from vaeline.data.prepared import Split
from vaeline.validation.profile import Profile

ROWS_OF = {"rows in train", "rows in validation", "rows in test"}


@dataclass(frozen=True)
class Outcome:
    """The least strength that is caught, None if none is; the expectations that then fail."""

    strength: float | None
    expectations: list[str]


def corrupt(data: DataSet, corruption: Corruption, strength: float, seed: int = 0) -> Splits:
    """The splits of a data set after a corruption; equal seeds give equal splits."""
    splits = copy_of(data.splits)
    corruption.plant(splits, strength, np.random.default_rng(seed), data.foreign)
    return splits


def least_caught(data: DataSet, corruption: Corruption) -> Outcome:
    """Strengths are tried from the weakest to the first that fails an expectation.

    The number of rows is not asked for where a corruption leaves rows out, because users can have any number.
    """
    for strength in corruption.strengths:
        names = failed(corrupt(data, corruption, strength), data.profile)
        if "class lost" in corruption.name:
            names = [name for name in names if name not in ROWS_OF]
        if names:
            return Outcome(strength, names)
    return Outcome(None, [])


def run_trials(sets: list[DataSet], corruptions: Iterable[Corruption]) -> dict[tuple[str, str], Outcome]:
    """The outcome of each corruption and data set, by their names."""
    cases = [
        (data, corruption)
        for corruption in corruptions
        for data in sets
        if corruption.fits(data.splits["train"].images.shape[3])
    ]
    return {
        (corruption.name, data.name): least_caught(data, corruption) for data, corruption in tqdm(cases, disable=None)
    }


def alarms(images: np.ndarray, labels: np.ndarray, profile: Profile, rows: int, tries: int) -> list[str]:
    """The expectations that random parts of clean images fail, one for each alarm."""
    found = []
    for seed in range(tries):
        chosen = np.random.default_rng([seed, rows]).choice(len(images), rows, replace=False)
        found += failed({"all": Split(images[chosen], labels[chosen], chosen)}, profile)[:1]
    return found
