"""The results of the trials as a page, and whether the monitor keeps its promise."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from drift.bank import CLEAN
from drift.trials import Cell, TrialOutcome, loudest, triggered_share, violated_share
from scipy import stats

from vaeline.artifacts import atomic_file
from vaeline.ingestion.simulation import KINDS
from vaeline.monitoring.two_sample_tests import TITLES
from vaeline.params.monitor import MonitorParams

MOST_FALSE, LEAST_TRUE = 0.05, 0.95
SHOWN = 2
HEAD = """\
`vaeline monitor` on windows that are drawn from the validation images. The reference is {reference:,} other validation
images, drawn again for each stretch of {n} windows. A window is violated if a test has a corrected p-value below
{alpha:g} and an effect that matters; {k} of {n} violated windows trigger. Made by `python benchmarks/drift`.

## Clean windows

Each violation is a false alarm. Brackets hold the 95 % interval of the share (Clopper and Pearson).

| window, images | labels | windows violated | stretches of {n} that trigger | tests that erred |
|---|---|---|---|---|
"""
POWER = """

## Drifted windows

For each window size: the share of windows that are violated, and of stretches of {n} drifted windows that trigger, in
percent, over {windows} windows in {stretches} stretches each. A star marks the default strength of `vaeline simulate`.

| drift | strength | {sizes} | loudest tests |
|---|---|{rules}|---|
"""
Results = Mapping[Cell, Sequence[TrialOutcome]]


def write_table(
    file: Path, results: Results, sizes: Sequence[int], drifts: Sequence[tuple[str, float]], settings: MonitorParams
) -> None:
    """Write the false alarms, and the detections by strength and size."""
    head = HEAD.format(reference=settings.reference_rows, **settings.model_dump(include={"k", "n", "alpha"}))
    clean = [_clean_row(cell, found) for cell, found in results.items() if cell.kind == CLEAN]
    first = next(found for cell, found in results.items() if cell.kind != CLEAN)
    power = POWER.format(
        n=settings.n,
        windows=violated_share(first)[1],
        stretches=len(first),
        sizes=" | ".join(f"{size:,} images: windows, trigger" for size in sizes),
        rules="|".join("---" for _ in sizes),
    )
    rows = [
        _power_row(kind, strength, [results[Cell(kind, strength, size)] for size in sizes]) for kind, strength in drifts
    ]
    with atomic_file(file) as temporary:
        temporary.write_text(head + "\n".join(clean) + power + "\n".join(rows) + "\n", encoding="utf-8")


def keeps_its_promise(results: Results, settings: MonitorParams) -> bool:
    """Whether clean windows of each size trigger seldom, and full windows with default drifts nearly always."""
    false = [triggered_share(found) for cell, found in results.items() if cell.kind == CLEAN]
    true = [
        triggered_share(results[Cell(kind, drift.strength, settings.window_rows)])
        for kind, drift in KINDS.items()
        if kind != CLEAN
    ]
    return all(count <= MOST_FALSE * of for count, of in false) and all(count >= LEAST_TRUE * of for count, of in true)


def _clean_row(cell: Cell, outcomes: Sequence[TrialOutcome]) -> str:
    erred = ", ".join(TITLES[name] for name in loudest(outcomes)) or "none"
    shares = " | ".join(_share(*counted) for counted in (violated_share(outcomes), triggered_share(outcomes)))
    return f"| {cell.rows:,} | {'yes' if cell.labelled else 'no'} | {shares} | {erred} |"


def _power_row(kind: str, strength: float, by_size: Sequence[Sequence[TrialOutcome]]) -> str:
    cells = [
        ", ".join(f"{100 * count / of:.0f}" for count, of in (violated_share(found), triggered_share(found)))
        for found in by_size
    ]
    names = ", ".join(TITLES[name] for name in loudest(by_size[-1])[:SHOWN]) or "none"
    star = " *" if strength == KINDS[kind].strength else ""
    return f"| {kind} | {strength:g} {KINDS[kind].unit}{star} | {' | '.join(cells)} | {names} |"


def _share(count: int, of: int) -> str:
    low, high = stats.binomtest(count, of).proportion_ci(method="exact")
    return f"{100 * count / of:.1f} % of {of} [{100 * low:.1f}, {100 * high:.1f}]"
