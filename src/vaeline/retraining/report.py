"""The report of a retraining: `retrain.json` for programs, `retrain.md` for people, and outputs of a CI job."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from vaeline.artifacts import atomic_file, write_json
from vaeline.own_files import read_json
from vaeline.pages import Block, Heading, Listing, Sentence, Strong, Table, write_markdown
from vaeline.reports import GATE, INGEST
from vaeline.retraining.inputs import Change
from vaeline.retraining.work import CANDIDATE, PROMOTED, UNCHANGED
from vaeline.tracking.git import git

REPORT, PAGE = Path("reports/retrain.json"), Path("reports/retrain.md")
PROPOSED = Path(__file__).with_name("proposed.txt")  # the paths that a retraining may change in git, one a line
FRESH = timedelta(hours=1)
WORKED = (UNCHANGED, CANDIDATE, PROMOTED)
NOT_DUE, FAILED = "not_due", "failed"


@dataclass
class Report:
    """One call of `vaeline retrain`, filled in as it goes; times are UTC."""

    due: bool
    reasons: list[Change]
    otherwise: list[str]
    champion: str
    started: str
    outcome: str = NOT_DUE
    sentence: str = "nothing to do"
    candidate: str = ""
    verdict: str = ""
    ended: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values. `promoted` says whether the champion has changed."""
        return asdict(self) | {"promoted": self.outcome == PROMOTED}


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_report(report: Report, environment: Mapping[str, str] = os.environ) -> None:
    """Write both files, and set the outputs of a GitHub Actions job: the outcome, and whether files have changed."""
    content, page = report.as_dict(), write_page(report.as_dict(), _gate_of(report), _ingested(report))
    write_json(REPORT, content)
    with atomic_file(PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    changed = report.outcome in WORKED and _has_changes()
    outputs = {"outcome": report.outcome, "candidate": report.candidate, "changed": str(changed).lower()}
    _append(environment.get("GITHUB_OUTPUT"), "".join(f"{name}={value}\n" for name, value in outputs.items()))
    _append(environment.get("GITHUB_STEP_SUMMARY"), page)


def write_page(
    report: Mapping[str, Any], gate: Mapping[str, Any] | None = None, ingested: Mapping[str, Any] | None = None
) -> str:
    """The report in Markdown. `gate` is the gate's report on the candidate, `ingested` that of `vaeline ingest`."""
    reasons = [reason["sentence"] for reason in report["reasons"]] if report["due"] else report["otherwise"]
    blocks: list[Block] = [
        Heading(f"Retraining: {report['outcome'].replace('_', ' ')}", 1),
        Sentence(f"{_upper(report['sentence'])}."),
        Sentence("Due:" if report["due"] else "Not due:"),
        Listing(reasons),
    ]
    for status in ("accepted", "quarantined"):
        if batches := (ingested or {}).get(status):
            blocks.append(Sentence(f"New batches, {status}:"))
            blocks.append(Listing([f"{batch['name']}: {batch['why']}" for batch in batches]))
    if gate:
        checks = pd.DataFrame(gate["checks"])[["name", "verdict", "sentence"]]
        blocks.append(Sentence([f"Gate of candidate {report['candidate']}: ", Strong(gate["verdict"])]))
        blocks.append(Table(checks.rename(columns={"name": "check", "sentence": "in words"})))
    began = report["champion"] or "none"
    blocks.append(Sentence(f"Champion when it began: {began}. {report['started']} to {report['ended']}."))
    return write_markdown(blocks)


def _has_changes() -> bool:
    """Whether git sees a change of the paths in `proposed.txt`."""
    return bool(git("status", "--porcelain", "--", *PROPOSED.read_text(encoding="utf-8").split()))


def _gate_of(report: Report) -> dict[str, Any] | None:
    if not report.verdict or not GATE.is_file():
        return None
    gate = read_json(GATE)
    return gate if gate["candidate"]["version"] == report.candidate else None


def _ingested(report: Report) -> dict[str, Any] | None:
    """The report of the `vaeline ingest` just before this retraining; an older report is ignored."""
    if not INGEST.is_file():
        return None
    fresh = datetime.fromtimestamp(INGEST.stat().st_mtime, UTC) > datetime.fromisoformat(report.started) - FRESH
    return read_json(INGEST) if fresh else None


def _append(path: str | None, text: str) -> None:
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
