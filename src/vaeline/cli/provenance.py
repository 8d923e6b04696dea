"""Commands that show where a model comes from, and check it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaeline.cli.app import app, sentences

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from rich.tree import Tree

    from vaeline.provenance.graph import Graph, Node
    from vaeline.provenance.verify import LineageCheck
    from vaeline.tracking.history import RecordedLock

DIGEST = re.compile(r"[0-9a-f]{32,64}(\.dir)?")
LONGEST = 40
SUBJECT = "models:/name/version, models:/name@alias, a version's number, a run, an md5 of DVC, or an image: test/17."


@app.command()
def lineage(
    subject: Annotated[str, typer.Argument(help=SUBJECT)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the graph as JSON.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the graph as a Mermaid flowchart.")] = False,
) -> None:
    """Show what a model was made from, or what a data set or an image was used
    for.

    Reads MLflow, dvc.lock in git's history, and DVC's cache; writes nothing.

    Example: vaeline lineage models:/vae-mnist@champion
    """
    import json

    from vaeline.errors import VaelineError
    from vaeline.provenance import lineage as lines
    from vaeline.provenance.graph import to_mermaid, to_plain
    from vaeline.provenance.subjects import find_subject
    from vaeline.registry.versions import present_store
    from vaeline.tracking.history import lock_on_disk, recorded_locks

    with sentences():
        if as_json and mermaid:
            raise VaelineError("--json and --mermaid cannot be combined; choose one")
        with present_store() as client:
            recorded = [*recorded_locks()[0], *lock_on_disk()]
            graph = lines.lineage(client, find_subject(client, subject, recorded), recorded)
    if as_json:
        typer.echo(json.dumps(to_plain(graph), indent=2, ensure_ascii=False))
    elif mermaid:
        typer.echo(to_mermaid(graph), nl=False)
    else:
        _show(graph)


@app.command()
def verify(
    version: Annotated[str, typer.Argument(help="models:/name/version, models:/name@alias, a number, or a run.")],
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also train the model again from its commit, and compare.")
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, help="With --retrain on another kind of machine: allowed difference of a test loss, as a share."
        ),
    ] = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check every digest that is recorded for a version.

    Reads MLflow, the store's files, git's history and DVC's cache, and computes
    the digests again; writes nothing. Exit status 1: a digest differs.

    Example: vaeline verify 7
    """
    import json
    from dataclasses import asdict

    from vaeline.errors import VaelineError
    from vaeline.provenance.subjects import find_trained
    from vaeline.provenance.verify import DIFFERS
    from vaeline.provenance.verify import verify as check
    from vaeline.registry.versions import present_store
    from vaeline.tracking.history import lock_on_disk, recorded_locks

    with sentences(), present_store() as client:
        recorded = [*recorded_locks()[0], *lock_on_disk()]
        found = find_trained(client, version)
        if found is None:
            raise VaelineError(f"no version and no run is called {version!r}; `make ui` shows them")
        checks = check(client, found, recorded)
        if retrain:
            checks += _retrain(client, found, recorded, tolerance)
    if as_json:
        typer.echo(json.dumps([asdict(item) for item in checks], indent=2, ensure_ascii=False))
    else:
        _show_checks(checks)
    raise typer.Exit(1 if any(item.verdict == DIFFERS for item in checks) else 0)


def _retrain(
    client: "MlflowClient", found: "ModelVersion | Run", recorded: "Sequence[RecordedLock]", tolerance: float
) -> "list[LineageCheck]":
    from vaeline.provenance import repeated_training as again
    from vaeline.provenance.evidence import lock_of, run_of

    run = run_of(client, found)
    lock = again.require_lock(run, lock_of(client, run, recorded))
    commit = again.commit_to_retrain(run, lock, recorded)
    typer.echo(f"training {run.info.run_name} again from the commit {commit[:12]}", err=True)
    if other := again.other_kind(run):
        typer.echo(f"this machine or environment differs, so only losses are compared: {other}", err=True)
    return list(again.compare_retrained(run, lock, commit, again.retrain(lock, commit), tolerance))


def _show_checks(checks: "Sequence[LineageCheck]") -> None:
    """Print the checks as a table, the ones that differ in full, and the counts."""
    from rich.console import Console
    from rich.table import Table

    from vaeline.provenance.verify import AGREES, DIFFERS, UNCHECKED

    console = Console(width=None if Console().is_terminal else 160, highlight=False, markup=False)
    table = Table("what", "verdict", "recorded", "found", "where, or why not")
    styles = {AGREES: "green", DIFFERS: "bold red", UNCHECKED: "yellow"}
    for item in checks:
        texts = (item.recorded, "the same" if item.verdict == AGREES else item.found)
        table.add_row(item.name, item.verdict, *map(_shortened, texts), item.note, style=styles[item.verdict])
    console.print(table)
    for item in checks:
        if item.verdict == DIFFERS:
            console.print(
                f"{item.name}: recorded {item.recorded or 'nothing'}; found {item.found or 'nothing'} ({item.note})"
            )
    counts = Counter(item.verdict for item in checks)
    console.print(f"{counts[AGREES]} agree, {counts[DIFFERS]} differ, {counts[UNCHECKED]} cannot be checked here")


def _shortened(text: str) -> str:
    """The first characters of a digest or of a long text."""
    return f"{text[:12]}…" if DIGEST.fullmatch(text) else text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _show(graph: "Graph") -> None:
    """Print a tree of what the subject was made from, and a tree of what was made from it."""
    from rich.console import Console
    from rich.tree import Tree

    console = Console(width=None if Console().is_terminal else 160, highlight=False, markup=False)
    shown: set[str] = set()
    tree = Tree(_title(graph.nodes[graph.subject]))
    _grow(tree, graph, graph.subject, shown, back=True)
    console.print(tree)
    if graph.uses(graph.subject):
        tree = Tree("What was made from it")
        _grow(tree, graph, graph.subject, shown, back=False)
        console.print(tree)


def _grow(tree: "Tree", graph: "Graph", node: str, shown: set[str], back: bool) -> None:
    """Add the facts of a node, and its sources or its uses. A node that was shown before is only named."""
    if node not in shown:
        shown.add(node)
        for line in _facts(graph.nodes[node].facts):
            tree.add(line, style="dim")
    elif back:
        return
    for edge in graph.sources(node) if back else graph.uses(node):
        other = edge.source if back else edge.target
        again = ", see above" if other in shown and back else ""
        branch = tree.add(f"{'←' if back else '→'} {_title(graph.nodes[other])} ({edge.label}{again})")
        _grow(branch, graph, other, shown, back)


def _title(node: "Node") -> str:
    return " ".join(part for part in (node.kind, node.label, node.digest) if part)


def _facts(facts: Mapping[str, Any]) -> list[str]:
    """A line for each fact. Tables within tables are only in the JSON output."""
    lines = []
    for name, value in facts.items():
        if not isinstance(value, Mapping):
            lines.append(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
        elif not any(isinstance(part, Mapping) for part in value.values()):
            lines.append(f"{name}: {', '.join(f'{key}={part}' for key, part in value.items())}")
    return lines
