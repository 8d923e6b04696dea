"""Checks: each a name, a verdict, the value that was found, the limit that it is held to, and a sentence."""

import math
from dataclasses import dataclass

from vaeline.gate.statistics import FAIL, PASS

NOT_RUN = "not run"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; verdict: pass, inconclusive, fail, or `not run`, which nothing passes with."""

    name: str
    verdict: str
    value: float | str | None
    limit: float | str | None
    sentence: str


def holds(name: str, reasons: list[str], otherwise: str) -> Check:
    """A check of facts: `fail` for any reason, else `pass`; both as sentences."""
    return Check(name, FAIL if reasons else PASS, None, None, "; ".join(reasons) or otherwise)


def at_least(name: str, what: str, value: float | None, floor: float) -> Check:
    """Whether a figure reaches its floor; one that cannot be had, or is no number, reaches 0 alone."""
    if value is None or math.isnan(value):
        return Check(name, FAIL if floor else PASS, None, floor, f"there is no {what}, at least {floor:g} is asked for")
    verdict = PASS if value >= floor else FAIL
    return Check(name, verdict, float(value), floor, f"{what} is {value:.4g}, at least {floor:g} is asked for")


def at_most(name: str, what: str, value: float, ceiling: float) -> Check:
    """Whether a figure stays within its budget."""
    verdict = PASS if value <= ceiling else FAIL
    return Check(name, verdict, float(value), ceiling, f"{what} is {value:.4g}, at most {ceiling:g} is allowed")


def not_run(name: str, reason: str) -> Check:
    """A check that was left out, and why."""
    return Check(name, NOT_RUN, None, None, reason)
