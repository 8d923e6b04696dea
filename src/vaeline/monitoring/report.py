"""The verdict on a window: plain values for machines, a word, a sentence, and a page for people."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from vaeline.figures.canvas import figure_png
from vaeline.monitoring.checks import DriftCheck, is_triggered, is_violated
from vaeline.monitoring.facts import WindowFacts
from vaeline.monitoring.record import PastWindow, plain_history, with_window
from vaeline.monitoring.two_sample_tests import EFFECTS, TITLES
from vaeline.pages import Block, Code, Gallery, Heading, Mark, Picture, Sentence, Table, write_html
from vaeline.params.monitor import MonitorParams

MONITOR_VERSION = 1
QUIET, VIOLATED, TRIGGERED = "quiet", "violated", "triggered"
MARKS: dict[str, Mark] = {QUIET: "good", VIOLATED: "warning", TRIGGERED: "bad"}
OTHERS = " They are not the images that the champion's run names, so the split may have changed since."


def build_verdict(
    facts: WindowFacts, checks: Sequence[DriftCheck], settings: MonitorParams, now: datetime
) -> dict[str, Any]:
    """The content of `reports/monitor.json`."""
    champion, window, reference = facts.champion, facts.window, facts.reference
    violated, created = is_violated(checks), now.isoformat(timespec="seconds")
    seen = with_window(facts.history, PastWindow(window.sha256, window.source, created, violated))[-settings.n :]
    return {
        "vaeline.monitor_version": MONITOR_VERSION,
        "created": created,
        "dataset": facts.dataset,
        "champion": {
            "name": champion.name,
            "version": champion.number,
            "digest": champion.stored.model_sha256,
        },
        "window": {
            "source": window.source,
            "rows": len(window.images),
            "tested_rows": min(len(window.images), settings.window_rows),
            "sha256": window.sha256,
            "labelled": window.labels is not None,
        },
        "reference": {
            "rows": min(len(reference.images), settings.reference_rows),
            "champions_own": reference.own,
        },
        "tests": [asdict(check) for check in checks],
        "violated": violated,
        "history": plain_history(seen),
        "triggered": is_triggered([past.violated for past in seen], settings.k, settings.n),
        "policy": settings.model_dump(),
    }


def outcome(verdict: Mapping[str, Any]) -> str:
    """The verdict in a word: triggered (by the last windows together), else violated or quiet."""
    return TRIGGERED if verdict["triggered"] else VIOLATED if verdict["violated"] else QUIET


def sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in a sentence."""
    policy, seen = verdict["policy"], verdict["history"]
    names = [TITLES[test["name"]] for test in verdict["tests"] if test["violated"]]
    this = (
        f"this window differs from the reference ({', '.join(names)})" if names else "this window shows no difference"
    )
    count = sum(past["violated"] for past in seen)
    last = f"{count} of the last {len(seen)} windows of the champion violated, {policy['k']} of {policy['n']} trigger"
    return f"{this}; {last}"


def write_page(verdict: Mapping[str, Any], figures: Mapping[str, Figure]) -> str:
    """The verdict as one HTML file; `figures` by what they show."""
    title = f"Drift: {outcome(verdict)}"
    return write_html(_page_blocks(verdict, figures), f"{title}, {verdict['window']['source']}")


def _page_blocks(verdict: Mapping[str, Any], figures: Mapping[str, Figure]) -> list[Block]:
    champion, window, reference = verdict["champion"], verdict["window"], verdict["reference"]
    word, said = outcome(verdict), sentence(verdict)
    labels = "labelled" if window["labelled"] else "without labels, so class mix and labels were not tested"
    own = "" if reference["champions_own"] else OTHERS
    drawn = [
        [Heading(title), Gallery([Picture(title, title, figure_png(figure))])] for title, figure in figures.items()
    ]
    return [
        Heading(f"Drift: {word}", 1, MARKS[word]),
        Sentence(f"{said[:1].upper() + said[1:]}."),
        Sentence(
            f"Window: {window['source']}, {window['rows']:,} images ({window['tested_rows']:,} of them tested), "
            f"{labels}. Reference: {reference['rows']:,} validation images of {verdict['dataset']}, which the "
            f"champion, {champion['name']} v{champion['version']}, was not trained on.{own} {verdict['created']}."
        ),
        Heading("Tests"),
        Sentence(
            f"A violation has a p-value below {verdict['policy']['alpha']:g} after Holm's correction for "
            "all of these tests, and at least the least effect."
        ),
        _tests_table(verdict["tests"]),
        *(block for blocks in drawn for block in blocks),
        Heading("The champion's last windows"),
        _history_table(verdict["history"], window["sha256"]),
        Sentence(
            [
                "Champion ",
                Code(champion["digest"][:12]),
                ", window ",
                Code(window["sha256"][:12]),
                ". docs/monitoring.md says how the monitor decides.",
            ]
        ),
    ]


def _tests_table(tests: Sequence[Mapping[str, Any]]) -> Table:
    numbers = {"p": "p", "p_adjusted": "p (Holm)", "effect": "effect", "least_effect": "least effect"}
    rows = [
        {
            "test": TITLES[test["name"]],
            **{column: f"{test[key]:.3g}" for key, column in numbers.items()},
            "violated": _yes(test["violated"]),
            "the effect is": EFFECTS[test["name"]],
        }
        for test in tests
    ]
    return Table(pd.DataFrame(rows), set(numbers.values()), ["warning" if test["violated"] else "" for test in tests])


def _history_table(history: Sequence[Mapping[str, Any]], present: str) -> Table:
    rows = [
        {
            "when": past["created"],
            "window": past["source"],
            "violated": _yes(past["violated"]),
            "": "this window" if past["sha256"] == present else "",
        }
        for past in history
    ]
    return Table(pd.DataFrame(rows))


def _yes(value: bool) -> str:
    return "yes" if value else "no"
