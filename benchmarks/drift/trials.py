"""Windows that are drawn from the bank, clean or drifted, and the monitor's verdicts on them.

A trial draws a reference and n windows from the validation rows. No row is in both, so that the windows are like new
images from the source of the reference. Each trial draws a new reference.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from drift.bank import CLEAN, FOREIGN, Bank, name_of
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from vaeline.data.sources import MNIST_IMAGE
from vaeline.ingestion.simulation import simulate
from vaeline.monitoring.checks import check_window, is_triggered
from vaeline.monitoring.scores import Observed
from vaeline.params.monitor import MonitorParams


@dataclass(frozen=True)
class Cell:
    """A kind of drift, its strength and the window size."""

    kind: str
    strength: float
    rows: int
    labelled: bool = True


@dataclass(frozen=True)
class TrialOutcome:
    """Which tests were violated in each of a trial's windows, and whether they triggered."""

    violated: tuple[tuple[str, ...], ...]
    triggered: bool


def run_cells(
    bank: Bank, cells: Sequence[tuple[Cell, int]], settings: MonitorParams, workers: int
) -> list[list[TrialOutcome]]:
    """The outcomes of each cell; the number beside a cell says how many trials it gets."""
    jobs = [(cell, trial) for cell, trials in cells for trial in range(trials)]
    fresh = get_context("spawn")  # a fork of TensorFlow's threads may hang
    with ProcessPoolExecutor(workers, fresh, initializer=threadpool_limits, initargs=(1,)) as pool:
        work = partial(run_trial, bank, settings)
        found = list(tqdm(pool.map(work, *zip(*jobs, strict=True), chunksize=10), total=len(jobs), desc="trials"))
    return [[each for (of, _), each in zip(jobs, found, strict=True) if of == cell] for cell, _ in cells]


def run_trial(bank: Bank, settings: MonitorParams, cell: Cell, trial: int) -> TrialOutcome:
    """Run one trial: one reference and n windows in a row."""
    rng = np.random.default_rng([settings.seed, trial, cell.rows])
    order = rng.permutation(len(bank[CLEAN]))
    reference = bank[CLEAN].take(order[: settings.reference_rows])
    rest = order[settings.reference_rows :]
    violated = []
    for number in range(settings.n):
        own = rest[number * cell.rows : (number + 1) * cell.rows]
        spare = rest if cell.kind == "class_mix" else own  # a changed class mix needs more rows to draw from
        window = draw_window(bank, spare, cell, int(rng.integers(2**31)))
        tests = check_window(reference, window, settings)
        violated.append(tuple(test.name for test in tests if test.violated))
    return TrialOutcome(tuple(violated), is_triggered([bool(names) for names in violated], settings.k, settings.n))


def draw_window(bank: Bank, rows: np.ndarray, cell: Cell, seed: int) -> Observed:
    """A window from the bank's `rows`, with the drift of the cell."""
    if cell.kind in ("class_mix", "poisoned"):
        window = _drawn_window(bank, rows, cell, seed)
    else:
        window = bank[CLEAN if cell.kind == CLEAN else name_of(cell.kind, cell.strength)].take(rows)
    return window if cell.labelled else Observed(window.scores, window.latents)


def _drawn_window(bank: Bank, rows: np.ndarray, cell: Cell, seed: int) -> Observed:
    """A window as `simulate` makes it: the drawn rows, their labels, and foreign pictures instead of some rows."""
    clean, blank = bank[CLEAN].take(rows), np.zeros((len(rows), *MNIST_IMAGE.shape), "uint8")
    drawn = simulate(cell.kind, blank, clean.labels, cell.rows, seed, cell.strength)
    foreign = drawn.altered & (drawn.labels == clean.labels[drawn.rows])
    usual, strange = clean.take(drawn.rows), bank[FOREIGN].take(rows).take(drawn.rows)
    scores = {name: np.where(foreign, strange.scores[name], usual.scores[name]) for name in usual.scores}
    return Observed(scores, np.where(foreign[:, None], strange.latents, usual.latents), drawn.labels)


def violated_share(outcomes: Sequence[TrialOutcome]) -> tuple[int, int]:
    """The number of violated windows, and of all windows."""
    windows = [bool(names) for each in outcomes for names in each.violated]
    return sum(windows), len(windows)


def triggered_share(outcomes: Sequence[TrialOutcome]) -> tuple[int, int]:
    """The number of trials that triggered, and of all trials."""
    return sum(each.triggered for each in outcomes), len(outcomes)


def loudest(outcomes: Sequence[TrialOutcome]) -> list[str]:
    """The tests that were violated in most windows, the most frequent first."""
    names = [name for each in outcomes for window in each.violated for name in window]
    return sorted(set(names), key=lambda name: (-names.count(name), name))
