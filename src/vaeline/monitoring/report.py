"""The verdict on a window in plain values, and the page that a person reads."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from typing import Any

from matplotlib.figure import Figure

from vaeline.monitoring.decision import Judged, is_triggered, is_violated
from vaeline.monitoring.record import Past, plain_history, with_window
from vaeline.monitoring.tests import EFFECTS, TITLES
from vaeline.monitoring.window import ReferenceImages, Window
from vaeline.params import MonitorParams
from vaeline.registry.gate.entrants import Entrant

MONITOR_VERSION = 1
QUIET, VIOLATED, TRIGGERED = "quiet", "violated", "triggered"
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ccc; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } img { max-width: 100%; }
.quiet { color: #176c2b; } .violated { color: #a55400; } .triggered { color: #b00020; }
"""


def build_verdict(
    champion: Entrant,
    dataset: str,
    window: Window,
    reference: ReferenceImages,
    tests: Sequence[Judged],
    history: Sequence[Past],
    settings: MonitorParams,
    now: datetime,
) -> dict[str, Any]:
    """What `reports/monitor.json` says; `history` are the champion's windows so far, the oldest first."""
    violated, created = is_violated(tests), now.isoformat(timespec="seconds")
    seen = with_window(history, Past(window.sha256, window.source, created, violated))[-settings.n :]
    return {
        "vaeline.monitor_version": MONITOR_VERSION,
        "created": created,
        "dataset": dataset,
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
        "tests": [asdict(test) for test in tests],
        "violated": violated,
        "history": plain_history(seen),
        "triggered": is_triggered([past.violated for past in seen], settings.k, settings.n),
        "policy": settings.model_dump(),
    }


def outcome(verdict: Mapping[str, Any]) -> str:
    """The verdict in a word: quiet, violated or triggered; a trigger is one whatever this window is like."""
    return TRIGGERED if verdict["triggered"] else VIOLATED if verdict["violated"] else QUIET


def sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in a sentence."""
    policy, seen = verdict["policy"], verdict["history"]
    names = [TITLES[test["name"]] for test in verdict["tests"] if test["violated"]]
    this = f"this window differs from the reference ({', '.join(names)})" if names else "this window is as usual"
    count = sum(past["violated"] for past in seen)
    last = f"{count} of the last {len(seen)} windows of the champion violated, {policy['k']} of {policy['n']} trigger"
    return f"{this}; {last}"


def write_page(verdict: Mapping[str, Any], figures: Mapping[str, Figure]) -> str:
    """The verdict as one HTML file that needs no other; `figures` by what they show."""
    champion, window, reference = verdict["champion"], verdict["window"], verdict["reference"]
    word = outcome(verdict)
    labels = "labelled" if window["labelled"] else "without labels, so that class mix and labels were not tested"
    own = (
        ""
        if reference["champions_own"]
        else (" They are not those that the champion's run names, so that the split may have changed since.")
    )
    parts = [
        f'<h1>Drift: <span class="{word}">{word}</span></h1>',
        f"<p>{escape(sentence(verdict).capitalize())}.</p>",
        f"<p>Window: {escape(window['source'])}, {window['rows']:,} images ({window['tested_rows']:,} of them tested), "
        f"{labels}. Reference: {reference['rows']:,} validation images of {escape(verdict['dataset'])}, which the "
        f"champion, {escape(champion['name'])} v{champion['version']}, was not fitted to.{own} "
        f"{escape(verdict['created'])}.</p>",
        "<h2>Tests</h2>",
        f"<p>A violation takes a p-value below {verdict['policy']['alpha']:g}, corrected by Holm for all of these "
        "tests, and an effect that matters.</p>",
        _tests_table(verdict["tests"]),
        *(f"<h2>{escape(title)}</h2>\n{_inline(figure, title)}" for title, figure in figures.items()),
        "<h2>The champion's last windows</h2>",
        _history_table(verdict["history"], window["sha256"]),
        f"<p>Champion <code>{champion['digest'][:12]}</code>, window <code>{window['sha256'][:12]}</code>. How the "
        "monitor decides stands in docs/monitoring.md.</p>",
    ]
    head = f'<meta charset="utf-8"><title>Drift: {word}, {escape(window["source"])}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _tests_table(tests: Sequence[Mapping[str, Any]]) -> str:
    head = ["test", "p", "p (Holm)", "effect", "least effect", "violated", "the effect is"]
    rows = [
        f'<tr class="{VIOLATED if test["violated"] else ""}">'
        f"<td>{escape(TITLES[test['name']])}</td>"
        + "".join(f'<td class="number">{test[key]:.3g}</td>' for key in ("p", "p_adjusted", "effect", "least_effect"))
        + f"<td>{'yes' if test['violated'] else 'no'}</td><td>{escape(EFFECTS[test['name']])}</td></tr>"
        for test in tests
    ]
    return _table(head, rows)


def _history_table(history: Sequence[Mapping[str, Any]], present: str) -> str:
    rows = [
        f"<tr><td>{escape(past['created'])}</td><td>{escape(past['source'])}</td>"
        f"<td>{'yes' if past['violated'] else 'no'}</td>"
        f"<td>{'this window' if past['sha256'] == present else ''}</td></tr>"
        for past in history
    ]
    return _table(["when", "window", "violated", ""], rows)


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    cells = "".join(f"<th>{escape(word)}</th>" for word in head)
    return "<table>\n<tr>" + cells + "</tr>\n" + "\n".join(rows) + "\n</table>"


def _inline(figure: Figure, title: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return f'<img alt="{escape(title)}" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'
