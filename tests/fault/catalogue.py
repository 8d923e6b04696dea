"""How often each fault is tried, and the record of each try: `make faults` tries all, `make test` each kind once."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from vaeline.artifacts import write_json

RECORDS = "VAELINE_FAULTS"  # the folder of the records; without it, each fault is tried once


@dataclass
class Try:
    """A fault that was tried with a seed: what came of it, and what was lost."""

    fault: str
    seed: int
    outcome: str = "failed"
    lost: str = "nothing"


def times(count: int) -> pytest.MarkDecorator:
    """Run a test with the seeds 1 to `count` for the catalogue, else with one of them."""
    return pytest.mark.parametrize("seed", range(1, count + 1) if os.environ.get(RECORDS) else [1])


def several(name: str, first: object, *others: object) -> pytest.MarkDecorator:
    """Run a test with all these values for the catalogue, else with the first."""
    return pytest.mark.parametrize(name, [first, *others] if os.environ.get(RECORDS) else [first])


@contextmanager
def tried(fault: str, seed: int, outcome: str) -> Generator[Try]:
    """Record a try. If the block ends without an error, its outcome is `outcome`."""
    this = Try(fault, seed)
    try:
        yield this
        this.outcome = outcome
    finally:
        if folder := os.environ.get(RECORDS):
            write_json(Path(folder) / f"{fault.replace('/', ' ')}-{seed}.json", asdict(this))
