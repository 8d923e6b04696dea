"""The command `vaeline`. Commands import what they need when they run, so that `--help` is quick."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A VAE pipeline: trained, checked, versioned.")
track = typer.Typer(no_args_is_help=True, help="The MLflow store.")
app.add_typer(track, name="track")


@contextmanager
def sentences() -> Iterator[None]:
    """An error meant for the user becomes one sentence and exit status 1."""
    from vaeline.errors import VaelineError

    try:
        yield
    except VaelineError as error:
        typer.echo(f"vaeline: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def run(preset: Annotated[str, typer.Option(help="Write this preset into params.yaml first.")] = "") -> None:
    """Run the whole pipeline, as `dvc repro` does, and show its figures."""
    from vaeline.repro import apply_preset, run_pipeline

    with sentences():
        if preset:
            apply_preset(preset)
        if not run_pipeline():
            summary()


@app.command()
def summary() -> None:
    """Show the figures of the model on disk and its registered version."""
    import json

    from vaeline.errors import VaelineError
    from vaeline.registry.candidates import find_version
    from vaeline.report import print_summary
    from vaeline.repro import REGISTRATION
    from vaeline.tracking.store import STORE_ERRORS, open_store, unreachable
    from vaeline.tracking.sync import sync_run

    with sentences():
        if not REGISTRATION.is_file():
            raise VaelineError(f"no {REGISTRATION}: nothing was registered here yet; run `dvc repro`")
        registration = json.loads(REGISTRATION.read_text(encoding="utf-8"))
        try:
            client = open_store()
            found = sync_run(client)
            version = find_version(client, registration["name"], registration["model_sha256"])
        except STORE_ERRORS as error:
            raise unreachable(error) from error
        print_summary(found, registration["name"], version.version if version else "?")


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="Prepared arrays, IDX files, an .npz or a folder of pictures.")],
    profile: Annotated[str, typer.Option(help="A name in data/profiles/, or a file.")] = "auto",
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("validation-report"),
) -> None:
    """Check images against a reference profile; exit status 1 if they do not meet it."""
    from vaeline.data.statistics import image_statistics
    from vaeline.params import read_params
    from vaeline.validation.gate import validate as check
    from vaeline.validation.profile import profile_path, read_profile
    from vaeline.validation.report import write_report
    from vaeline.validation.splits import read_splits

    with sentences():
        dataset = read_params().data.name if profile == "auto" else ""
        thresholds = read_profile(profile_path(profile, dataset))
        splits = read_splits(path)
        verdict = check(image_statistics(splits), thresholds, out / "docs")
        write_report(verdict, splits, out / "validation.json", out / "contact_sheet.png")
    for failure in verdict.failures:
        typer.echo(failure.line())
    outcome = "meets" if verdict.passed else f"fails {len(verdict.failures)} of"
    typer.echo(f"{path} {outcome} {verdict.expectations} expectations of the profile {thresholds.name!r}; see {out}")
    raise typer.Exit(0 if verdict.passed else 1)


@app.command()
def profile(
    path: Annotated[Path, typer.Argument(help="Images you trust, best data/prepared of your own data set.")],
    name: Annotated[str, typer.Option(help="The profile's name: data/profiles/NAME.yaml.")],
    force: Annotated[bool, typer.Option(help="Overwrite a profile of that name.")] = False,
) -> None:
    """Write thresholds from images you trust; review and commit them like code."""
    from vaeline.data.statistics import image_statistics
    from vaeline.errors import VaelineError
    from vaeline.validation.profile import PROFILES, make_profile, write_profile
    from vaeline.validation.splits import read_splits

    with sentences():
        target = PROFILES / f"{name}.yaml"
        if target.exists() and not force:
            raise VaelineError(f"{target} exists; --force overwrites it")
        write_profile(make_profile(image_statistics(read_splits(path)), name), target)
    typer.echo(f"{target} is written. Read its bands, tighten what you know better, and commit it.")


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

    from vaeline.tracking.store import open_store, tracking_uri

    open_store()
    typer.echo(f"MLflow on http://127.0.0.1:{port}; Ctrl-C ends it")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    settings = {"MLFLOW_BACKEND_STORE_URI": tracking_uri(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    raise typer.Exit(subprocess.run(command, env=os.environ | settings, check=False).returncode)


if __name__ == "__main__":
    app()
