"""Commands that retrain when it is due, and that raise the alarm when no retraining has succeeded for too long."""

from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from vaeline.params.whole import Params
    from vaeline.retraining.due import Due, DueFacts
    from vaeline.retraining.report import Report

PANEL = "Keep it fresh"


@app.command(rich_help_panel=PANEL)
def retrain(
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Retrain only if it is due; otherwise print why it is not.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print whether a retraining is due, and why.")
    ] = False,
) -> None:
    """Run the pipeline, and judge its model by the gate.

    A retraining is due if accepted data, code, parameters or dependencies
    changed since the champion's training, if monitoring has triggered, or if
    the champion is too old. The new candidate is promoted only if the gate
    passes it as superior and retrain.promote is true.

    Reads what the pipeline reads, the registry and the experiment `monitoring`.
    Writes what the pipeline writes, a registered candidate, reports/retrain.md
    and reports/retrain.json.

    Example: vaeline retrain --if-due
    """
    with sentences():
        from vaeline.params.whole import read_params
        from vaeline.registry.versions import reachable
        from vaeline.retraining.work import alone
        from vaeline.tracking.store import open_store

        params = read_params()
        with reachable(), alone() as free:
            if not free:
                typer.echo("another retraining is running in this repository; this one ends without doing anything")
                return
            _retrain(open_store(), params, if_due, dry_run)


@app.command(rich_help_panel=PANEL)
def overdue() -> None:
    """Check that a retraining succeeded lately.

    Reads the registry; writes nothing. Exit status 1: the last success was more
    than retrain.quiet_days ago.

    Example: vaeline overdue
    """
    with sentences():
        from vaeline.errors import VaelineError
        from vaeline.params.whole import read_params
        from vaeline.registry.versions import present_store
        from vaeline.retraining.due import DAY, read_facts

        params = read_params()
        with present_store() as client:
            facts = read_facts(client, params)
        if facts.confirmed is None:
            raise VaelineError("no retraining has succeeded yet, and there is no champion")
        quiet = (facts.now - facts.confirmed) / DAY
        sentence = f"the last successful training was {quiet:.1f} days ago; retrain.quiet_days is"
        if quiet > params.retrain.quiet_days:
            raise VaelineError(f"{sentence} {params.retrain.quiet_days:g}: check the schedule and the failed runs")
        typer.echo(f"{sentence} {params.retrain.quiet_days:g}")


@app.command(rich_help_panel=PANEL)
def push() -> None:
    """Push data, models and the run cache to the DVC remote.

    Another clone can then pull the results instead of computing them. Reads
    DVC's cache; writes to the remote.

    Example: vaeline push
    """
    from vaeline.dvc_repro import push as push_all

    with sentences():
        push_all()


def _retrain(client: "MlflowClient", params: "Params", if_due: bool, dry_run: bool) -> None:
    from vaeline.errors import VaelineError
    from vaeline.retraining import report as reports
    from vaeline.retraining import work
    from vaeline.retraining.due import judge, read_facts

    facts = read_facts(client, params)
    due = judge(facts)
    _say(due)
    if dry_run:
        typer.echo(f"dry run: {'the pipeline and the gate would run' if due or not if_due else 'nothing would run'}")
        return
    champion = facts.champion.version if facts.champion else ""
    report = reports.Report(bool(due), due.reasons, due.otherwise, champion, reports.now())
    try:
        if due or not if_due:
            report.outcome, report.sentence = reports.FAILED, "it was interrupted"
            outcome = work.retrain(client, params, facts.champion, due.reasons, typer.echo)
            report.outcome, report.sentence = outcome.word, outcome.sentence
            report.candidate, report.verdict = outcome.candidate, outcome.verdict
            _remember(client, params, facts, report)
    except VaelineError as error:
        report.sentence = str(error)
        raise
    finally:
        report.ended = reports.now()
        reports.write_report(report)
    typer.echo(f"{report.sentence}; see {reports.PAGE}")


def _remember(client: "MlflowClient", params: "Params", facts: "DueFacts", report: "Report") -> None:
    """Record the retraining, so that the next call knows that these inputs were tried."""
    from datetime import UTC, datetime

    from vaeline.retraining.record import Retraining, write_last

    done = Retraining(
        at=datetime.now(UTC),
        inputs=facts.inputs.digest,
        champion=report.champion,
        candidate=report.candidate,
        outcome=report.outcome,
        verdict=report.verdict,
    )
    write_last(client, params.data.name, done)


def _say(due: "Due") -> None:
    for reason in due.reasons:
        typer.echo(f"due: {reason.sentence}")
    for sentence in [] if due else due.otherwise:
        typer.echo(f"not due: {sentence}")
