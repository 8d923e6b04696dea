"""The verdict on a window as a page that a person reads: one HTML file that needs no other."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure

from vaeline.monitoring.report import VIOLATED, outcome, sentence
from vaeline.monitoring.two_sample_tests import EFFECTS, TITLES

OTHERS = " They are not those that the champion's run names, so that the split may have changed since."
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } th, td { padding: .25rem .7rem; border-bottom: 1px solid #ccc; text-align: left; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; } img { max-width: 100%; }
.quiet { color: #176c2b; } .violated { color: #a55400; } .triggered { color: #b00020; }
"""


def write_page(verdict: Mapping[str, Any], figures: Mapping[str, Figure]) -> str:
    """The page; `figures` by what they show."""
    champion, window, reference = verdict["champion"], verdict["window"], verdict["reference"]
    word, said = outcome(verdict), sentence(verdict)
    labels = "labelled" if window["labelled"] else "without labels, so that class mix and labels were not tested"
    own = "" if reference["champions_own"] else OTHERS
    parts = [
        f'<h1>Drift: <span class="{word}">{word}</span></h1>',
        f"<p>{escape(said[:1].upper() + said[1:])}.</p>",
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
