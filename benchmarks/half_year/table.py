"""The half year as a Markdown table: consecutive weeks with the same result are one row."""

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from half_year.year import Night

from vaeline.artifacts import atomic_file

HEAD = """\
Half a year on the real MNIST, from the commit `{commit}`. Each week, `vaeline monitor` gets a window of 500 served
images, `vaeline ingest` runs if a batch has arrived, and then `vaeline retrain --if-due`. The first week has
25,000 training images; `retrain.promote` is true, and the classifier trains for 4 epochs. Brackets hold the largest
effect, in units of the least effect that matters: below 1 is no violation. Made by `python benchmarks/half_year`
in {minutes:.0f} minutes on {cpus} CPUs.

| week | what happens | monitor | new data | `vaeline retrain --if-due` | champion |
|---|---|---|---|---|---|
"""


def write_table(file: Path, nights: Sequence[Night], beginning: float, commit: str) -> None:
    """Write all weeks to `file`; `beginning` is the seconds before the first."""
    minutes = (beginning + sum(night.seconds for night in nights)) / 60
    head = HEAD.format(commit=commit, minutes=minutes, cpus=os.cpu_count())
    with atomic_file(file) as temporary:
        temporary.write_text(head + "\n".join(rows(nights)) + "\n", encoding="utf-8")


def rows(nights: Sequence[Night]) -> Iterator[str]:
    """The rows; consecutive weeks with the same result are one row."""
    for (told, word, ingested, answer, champion), stretch in groupby(nights, key=_course):
        together = list(stretch)
        first, last = together[0], together[-1]
        if first is last:
            weeks, monitored = str(first.number), first.monitored
        else:
            weeks = f"{first.number}–{last.number}"
            monitored = f"{word} ({max(night.loudest[1] for night in together):.1f} at most)"
        yield f"| {' | '.join((weeks, told or 'clean', monitored, ingested or '–', answer, champion))} |"


def _course(night: Night) -> tuple[str, str, str, str, str]:
    """The result of a week, in words."""
    return night.week.told, night.word, night.ingested, _answer(night), night.champion


def _answer(night: Night) -> str:
    if not night.retrain["due"]:
        return "not due"
    reasons = ", ".join(dict.fromkeys(reason["kind"] for reason in night.retrain["reasons"]))
    return f"due ({reasons}): {night.retrain['sentence']}"
