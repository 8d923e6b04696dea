"""Commands about the MLflow store."""

from typing import Annotated

import typer

from vaeline.cli.app import app, sentences

track = typer.Typer(no_args_is_help=True, help="The MLflow store.")
app.add_typer(track, name="track")


@track.command()
def sync() -> None:
    """Bring the MLflow store up to date with the files: a run it does not have is rebuilt."""
    from vaeline.tracking.store import STORE_ERRORS, open_store, unreachable
    from vaeline.tracking.sync import sync_run

    with sentences():
        try:
            run = sync_run(open_store())
        except STORE_ERRORS as error:
            raise unreachable(error) from error
    typer.echo(f"the run {run.info.run_name} ({run.info.run_id}) is up to date")


@track.command()
def ui(port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 5000) -> None:
    """Serve the MLflow UI on the project's store."""
    import os
    import subprocess
    import sys

    from vaeline.tracking.store import open_store, run_pages, tracking_uri

    address = f"http://127.0.0.1:{port}"
    typer.echo(f"MLflow on {address}; Ctrl-C ends it")
    for name, page in run_pages(open_store(), address).items():
        typer.echo(f"runs of {name}: {page}")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    settings = {"MLFLOW_BACKEND_STORE_URI": tracking_uri(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    raise typer.Exit(subprocess.run(command, env=os.environ | settings, check=False).returncode)
