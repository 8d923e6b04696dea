"""Commands for the MLflow store."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences

if TYPE_CHECKING:
    from vaeline.tracking.restore import Restoration

track = typer.Typer(no_args_is_help=True, help="The MLflow store.")
app.add_typer(track, name="track")


@track.command()
def sync() -> None:
    """Rebuild lost runs from git and DVC, and update the run of the model on disk.

    Reads git, dvc.lock and DVC's cache. Writes the missing runs and files to the MLflow store.

    Example: vaeline track sync
    """
    from vaeline.errors import VaelineError
    from vaeline.outputs import MODEL
    from vaeline.tracking.git import is_shallow
    from vaeline.tracking.restore import restore_runs
    from vaeline.tracking.store import STORE_ERRORS, open_store, unreachable
    from vaeline.tracking.sync import sync_run

    with sentences():
        try:
            client = open_store()
            found, unreadable = restore_runs(client)
            run = sync_run(client) if Path(MODEL).is_file() else None
        except STORE_ERRORS as error:
            raise unreachable(error) from error
        if not found and run is None:
            raise VaelineError(f"no commit's dvc.lock records a trained model, and there is none in {MODEL}")
    for item in found:
        if item.outcome != "known":
            _show(item)
    counts = Counter(item.outcome for item in found)
    typer.echo(
        f"{len(found)} models in the history of dvc.lock: {counts['rebuilt']} runs rebuilt, {counts['completed']} "
        f"completed, {counts['known']} already in the store, {counts['deleted']} deleted in the store and not rebuilt"
    )
    if is_shallow():
        typer.echo("this clone is shallow; `git fetch --unshallow` brings earlier commits")
    for commit in unreadable:
        typer.echo(f"dvc.lock of the commit {commit[:7]} cannot be read")
    if run is not None:
        typer.echo(f"the run {run.info.run_name} ({run.info.run_id}) is up to date")


@track.command()
def relocate() -> None:
    """Let the stored places of files follow a repository that was moved.

    vaeline does this whenever it opens the store. Run it before you use MLflow's own commands after a move. Reads and
    writes the MLflow store.

    Example: vaeline track relocate
    """
    from vaeline.tracking.store import STORE_ERRORS, repository_root, unreachable
    from vaeline.tracking.store import relocate as follow

    with sentences():
        try:
            moved = follow()
        except STORE_ERRORS as error:
            raise unreachable(error) from error
    typer.echo(f"{moved} stored places now lead to {repository_root()}" if moved else "the store is where it was made")


def _show(item: "Restoration") -> None:
    """Print a line about a run, and a line for each reason why files are missing."""
    with_what = f" with {', '.join(item.added)}" if item.added else ""
    typer.echo(f"{item.outcome}: {item.run_name} ({item.run_id}) of the commit {item.commit[:7]}{with_what}")
    for reason in dict.fromkeys(item.missing.values()):
        typer.echo(f"  without {', '.join(name for name, why in item.missing.items() if why == reason)}: {reason}")


@track.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="The port on 127.0.0.1.")] = 5000) -> None:
    """Serve the MLflow UI of the project's store.

    Reads the MLflow store. Runs until Ctrl-C.

    Example: vaeline track ui --port 5001
    """
    import os
    import subprocess
    import sys

    from vaeline.processes import require_free
    from vaeline.tracking.store import STORE_ERRORS, open_store, run_pages, tracking_uri, unreachable

    address = f"http://127.0.0.1:{port}"
    with sentences():
        require_free(port)
        try:
            pages = run_pages(open_store(), address)
        except STORE_ERRORS as error:
            raise unreachable(error) from error
    typer.echo(f"MLflow on {address}; Ctrl-C ends it")
    for name, page in pages.items():
        typer.echo(f"runs of {name}: {page}")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    settings = {"MLFLOW_BACKEND_STORE_URI": tracking_uri(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    raise typer.Exit(subprocess.run(command, env=os.environ | settings, check=False).returncode)
