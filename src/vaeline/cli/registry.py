"""Commands about champions: promotion, rollback, history, and the health of the registry."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import counted, writing

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from vaeline.params.whole import Params

PANEL = "Promote and roll back"
NONE = "none"
registry = typer.Typer(no_args_is_help=True, help="Check, clean up and sign the registered models.")
app.add_typer(registry, name="registry")

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only print what would happen.")]


@app.command(rich_help_panel=PANEL)
def promote(
    candidate: Annotated[
        str, typer.Argument(help="A version's number, models:/name/version, a run, or . for the model on disk.")
    ],
    replaces: Annotated[
        str, typer.Option(help="Promote only if this version is champion now; `none`: only if there is no champion.")
    ] = "",
    reason: Annotated[str, typer.Option(help="The reason for the ledger. Default: the result of the gate.")] = "",
    dry_run: DryRunOption = False,
) -> None:
    """Make a candidate that passed the gate the champion.

    Reads the candidate's gate report in MLflow, and refuses one that is too old
    or was made with other thresholds. Writes a copy of the version to the
    served model, an entry in the ledger, and the alias @champion.

    Example: vaeline promote 7 --replaces 2
    """
    with sentences(), _registry() as (client, params):
        from datetime import timedelta

        from vaeline.gate.policy import policy
        from vaeline.registry.lookup import find_candidate
        from vaeline.registry.names import champion_uri, served_name
        from vaeline.registry.promotion import plan_promotion, promote
        from vaeline.registry.terms import Terms
        from vaeline.thresholds.stored import with_gate_thresholds

        found = find_candidate(client, candidate, params.data.name).version
        must_replace = {"": None, NONE: ""}.get(replaces, replaces)
        used = policy(with_gate_thresholds(params, params.data.name))
        terms = Terms(timedelta(days=params.registry.report_days), used, must_replace)
        name = served_name(params.data.name)
        if dry_run:
            _would(plan_promotion(client, found, name, terms, reason).steps())
        elif entry := promote(client, found, name, terms, reason, typer.echo):
            typer.echo(f"version {entry['to']} of {name} is champion: {champion_uri(params.data.name)}")


@app.command(rich_help_panel=PANEL)
def rollback(
    reason: Annotated[str, typer.Option(help="The reason for the ledger.")],
    to: Annotated[
        str,
        typer.Option(help="The version of an earlier champion. Default: the champion before the present one."),
    ] = "",
    dry_run: DryRunOption = False,
) -> None:
    """Make an earlier champion the champion again.

    Loads the version first, and compares its answers with its golden outputs.
    Writes an entry in the ledger and the alias @champion.

    Example: vaeline rollback --reason "blurred sevens"
    """
    with sentences(), _registry() as (client, params):
        from vaeline.registry.names import champion_uri, served_name
        from vaeline.registry.rollback import plan_rollback, roll_back

        name = served_name(params.data.name)
        if dry_run:
            _would(plan_rollback(client, name, to or None).steps())
        else:
            entry = roll_back(client, name, reason, to or None, typer.echo)
            typer.echo(f"version {entry['to']} of {name} is champion again: {champion_uri(params.data.name)}")


@app.command(rich_help_panel=PANEL)
def history(
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the entries to this file as JSON lines. If it has an earlier export, they must begin with it."
        ),
    ] = None,
) -> None:
    """Show every promotion and rollback.

    Reads the ledger in MLflow, and checks its chain of digests. Exit status 1:
    the chain is broken.

    Example: vaeline history --export reports/ledger.jsonl
    """
    with sentences(), _registry() as (client, params):
        from vaeline.errors import VaelineError
        from vaeline.registry.chain import broken_links, export_ledger
        from vaeline.registry.ledger import done_digest, read_ledger
        from vaeline.registry.names import served_name

        name = served_name(params.data.name)
        entries = read_ledger(client, name)
        _show_history(name, entries)
        if broken := broken_links(entries, done_digest(client, name, len(entries))):
            raise VaelineError(f"the ledger of {name} is broken: {'; '.join(broken)}")
        if export:
            with writing(export):
                export_ledger(entries, export)
            typer.echo(f"{export}: {len(entries)} lines")


@registry.command()
def check() -> None:
    """Look for faults in the registry.

    Reads aliases, files, digests, tags, the ledger and the age of candidates,
    and says for each fault what to do. Writes nothing. Exit status 1: there are
    errors.

    Example: vaeline registry check
    """
    with sentences(), _registry() as (client, params):
        from datetime import timedelta

        from vaeline.registry.health import ERROR, check_registry
        from vaeline.registry.names import candidate_name, served_name

        findings = check_registry(client, params.data.name, timedelta(days=params.registry.stale_days))
    for finding in findings:
        typer.echo(f"{finding.level}: {finding.where}: {finding.what}; what to do: {finding.remedy}")
    errors = sum(finding.level == ERROR for finding in findings)
    names = f"{served_name(params.data.name)} and {candidate_name(params.data.name)}"
    typer.echo(f"{names}: {counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}")
    raise typer.Exit(1 if errors else 0)


@registry.command()
def restore() -> None:
    """Bring back files of registered models that the store has lost.

    Reads the models from DVC's cache, and packages them with the code of today.
    Writes the files, and the tag with their digest. Exit status 1: a version
    still lacks its files.

    Example: vaeline registry restore
    """
    with sentences(), _registry() as (client, params):
        from vaeline.registry.lost_files import restore_files

        found = restore_files(client, params.data.name)
    for item in found:
        typer.echo(f"{item.uri}: {f'not restored: {item.problem}' if item.problem else 'its files are back'}")
    left = sum(bool(item.problem) for item in found)
    typer.echo(f"{counted(len(found) - left, 'version')} restored, {left} left")
    raise typer.Exit(1 if left else 0)


@registry.command()
def gc(dry_run: DryRunOption = False) -> None:
    """Delete versions that are no longer needed, with their files.

    Keeps versions that an alias, the ledger or a dvc.lock of any branch names,
    and those younger than registry.stale_days. Runs stay, without their model.

    Example: vaeline registry gc --dry-run
    """
    with sentences(), _registry() as (client, params):
        from datetime import timedelta

        from vaeline.registry.garbage import collect, judge_versions

        untouched_for = timedelta(days=params.registry.stale_days)
        if dry_run:
            judged = judge_versions(client, params.data.name, untouched_for)
            for item in judged:
                if item.kept_by:
                    typer.echo(f"keep {item.uri}: {item.kept_by}")
            items, verb = [item for item in judged if not item.kept_by], "would delete"
        else:
            items, verb = collect(client, params.data.name, untouched_for), "deleted"
        count = 0
        for item in items:
            count += 1
            typer.echo(f"{verb} {item.uri}{', and its files' if item.files else ''}")
        typer.echo(f"{verb} {counted(count, 'version')}")


@registry.command()
def sign(
    version: Annotated[str, typer.Argument(help="models:/name/version, or a number of the candidates.")],
) -> None:
    """Sign the files of a version.

    Reads the private key that VAELINE_SIGNING_KEY names. Writes the signature
    to the version. If the key is set, registration signs, too.

    Example: vaeline registry sign 7
    """
    with sentences(), _registry() as (_, params):
        from vaeline.errors import VaelineError
        from vaeline.registry.names import candidate_name, version_uri
        from vaeline.registry.signing import signing_key
        from vaeline.registry.stored import find_registered, sign_stored

        key = signing_key()
        if key is None:
            raise VaelineError("no key to sign with: VAELINE_SIGNING_KEY names a private key")
        uri = version_uri(candidate_name(params.data.name), version) if version.isdecimal() else version
        sign_stored(find_registered(uri), key)
        typer.echo(f"{uri} is signed")


@contextmanager
def _registry() -> Generator[tuple["MlflowClient", "Params"]]:
    """The store, which must be there, and the parameters."""
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from vaeline.params.whole import read_params
    from vaeline.registry.versions import present_store

    params = read_params()
    with present_store() as client:
        yield client, params


def _would(steps: list[str]) -> None:
    for step in steps:
        typer.echo(step)
    typer.echo("dry run: nothing was written")


def _show_history(name: str, entries: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 160)
    if not entries:
        console.print(f"{name} has no ledger yet: nothing was ever promoted")
        return
    table = Table(title=f"the champions of {name}", title_justify="left")
    for column in ("entry", "when (UTC)", "who", "what", "from", "to", "model", "reason", "commit"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        said = {key: str(entry.get(key, "?")) for key in ("at", "who", "action", "from", "to", "to_digest", "reason")}
        when, digest = said["at"][:19].replace("T", " "), said["to_digest"][:12]
        row = [said["who"], said["action"], said["from"], said["to"], digest, said["reason"]]
        table.add_row(str(entry["number"]), when, *row, str(entry.get("commit", "?"))[:7])
    console.print(table)
