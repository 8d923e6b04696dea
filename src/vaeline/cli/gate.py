"""The command that decides whether a candidate may replace the champion."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vaeline.cli.app import app, sentences
from vaeline.outputs import PREPARED

REPORTS = Path("reports")
COLORS = {"pass": "green", "inconclusive": "yellow", "fail": "red", "not run": "bright_black"}


@app.command()
def gate(
    candidates: Annotated[
        list[str],
        typer.Argument(
            metavar="CANDIDATE [SEED SEED...]",
            help="The candidate: a version's number, models:/name/version, a run, or . for the model on disk. Two or "
            "more other seeds of the same configuration may follow.",
        ),
    ],
) -> None:
    """Judge a candidate against the champion.

    Both models are scored on the same test rows. Several seeds are judged by
    their mean. The gate promotes nothing.

    Reads params.yaml, data/prepared, models/classifier.keras and the registry.
    Writes reports/gate.md, reports/gate.json and pictures, and adds them to the
    candidate's run in MLflow.

    Exit status: 0 pass, 1 error, 3 inconclusive, 4 fail.

    Example: vaeline gate 7
    """
    import os
    import signal
    import sys

    # sys.exit unwinds the blocks, so that the trial of the service ends its server
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from vaeline.gate.policy import EXIT_STATUS, require_thresholds
    from vaeline.params.whole import read_params
    from vaeline.thresholds.stored import with_gate_thresholds

    with sentences():
        params = read_params()
        params = with_gate_thresholds(params, params.data.name)
        require_thresholds(params.gate)
        from vaeline.compute import use_device
        from vaeline.data.prepared import read_prepared
        from vaeline.gate.contest import Contest, require_contest
        from vaeline.gate.decision import decide
        from vaeline.gate.figures import draw_figures
        from vaeline.gate.publish import publish
        from vaeline.gate.report import build_report
        from vaeline.gate.scores import require_ood_kind
        from vaeline.registry.lookup import find_candidate, find_champion
        from vaeline.registry.versions import present_store

        prepared = read_prepared(Path(PREPARED))
        require_ood_kind(params.gate, prepared.image)
        dataset = prepared.manifest["name"]
        with present_store() as client:
            found = [find_candidate(client, text, dataset) for text in candidates]
            champion = find_champion(client, dataset)
            require_contest(found, champion)
            use_device(params.compute)
            decision = decide(Contest(params, Path(PREPARED), found, champion))
            report = build_report(decision)
            files = publish(found[0].stored, report, draw_figures(decision), REPORTS)
    _show(report, files)
    raise typer.Exit(EXIT_STATUS[report["verdict"]])


def _show(report: dict[str, Any], files: list[Path]) -> None:
    """The checks as a table, the verdict in a line, and where the page is."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 140)
    table = Table(title=f"gate of {_title(report['candidate'])}", title_justify="left")
    for column in ("check", "verdict", "in words"):
        table.add_column(column)
    for check in report["checks"]:
        word = check["verdict"]
        table.add_row(check["name"], f"[{COLORS[word]}]{word}[/]", check["sentence"])
    console.print(table)
    against = f"against {_title(report['champion'])}" if report["champion"] else "with no champion"
    console.print(f"{report['verdict']}: {_title(report['candidate'])} {against}", highlight=False)
    pages = [str(file) for file in files if file.suffix in (".md", ".json")]
    console.print(f"Files: {', '.join(pages)}    In MLflow: gate/ of the candidate's run", highlight=False)


def _title(entrant: dict[str, str]) -> str:
    return f"{entrant['name']} v{entrant['version']}"
