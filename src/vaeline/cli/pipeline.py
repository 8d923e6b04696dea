"""Commands that run the pipeline and check its data."""

from pathlib import Path
from typing import Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import writing


@app.command()
def run(preset: Annotated[str, typer.Option(help="Write this preset into params.yaml first.")] = "") -> None:
    """Run the whole pipeline, as `dvc repro` does, and print its metrics.

    If the MLflow store has lost the model on disk, the model is registered again.

    Reads params.yaml and the inputs of the stages. Writes the outputs of the stages.

    Example: vaeline run --preset mlp-20d
    """
    from vaeline.dvc_repro import apply_preset, run_dvc, run_pipeline
    from vaeline.outputs import REGISTRATION
    from vaeline.registry.candidates import is_registered
    from vaeline.registry.versions import reachable

    with sentences():
        if preset:
            apply_preset(preset)
        if run_pipeline():
            return
        with reachable():
            registered = is_registered(Path(REGISTRATION))
        if registered:
            summary()
        else:
            typer.echo("vaeline: the store has lost this model. It is registered again")
            run_dvc("repro", "--single-item", "--force", "register")


@app.command()
def preset(name: Annotated[str, typer.Argument(help="A file in presets/, without its ending.")]) -> None:
    """Write a preset into params.yaml, without running anything.

    Reads presets/. Writes params.yaml.

    Example: vaeline preset mlp-20d
    """
    from vaeline.dvc_repro import apply_preset

    with sentences():
        apply_preset(name)


@app.command()
def summary() -> None:
    """Print the metrics of the model on disk and its registered version.

    Reads reports/ and the MLflow store. Adds what the model's run lacks.

    Example: vaeline summary
    """
    from vaeline.closing_table import print_summary
    from vaeline.errors import VaelineError
    from vaeline.outputs import REGISTRATION
    from vaeline.own_files import read_json
    from vaeline.registry.candidates import find_version
    from vaeline.tracking.store import STORE_ERRORS, open_store, unreachable
    from vaeline.tracking.sync import sync_run

    with sentences():
        written = Path(REGISTRATION)
        if not written.is_file():
            raise VaelineError(f"no {written}: nothing was registered here yet; run `dvc repro`")
        registration = read_json(written)
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
    out: Annotated[Path, typer.Option(help="The folder of the report.")] = Path("validation-report"),
) -> None:
    """Check images against a reference profile. The exit status is 1 if they fail.

    Reads the images and the profile. Writes a report to --out.

    Example: vaeline validate scans/ --profile mnist
    """
    from vaeline.data.statistics import image_statistics
    from vaeline.params.data import own_limits
    from vaeline.params.whole import read_params
    from vaeline.validation.batch import split_expectations
    from vaeline.validation.checkpoint import validate as check
    from vaeline.validation.contact_sheet import write_result
    from vaeline.validation.profile import profile_path, read_profile, rows_added, with_rows
    from vaeline.validation.splits import read_splits

    with sentences():
        dataset = read_params().data.name if profile == "auto" else ""
        thresholds = read_profile(profile_path(profile, dataset))
        found = read_splits(path, lambda: thresholds.image, own_limits())
        thresholds = with_rows(thresholds, rows_added(found.manifest))
        expected = split_expectations(thresholds, found.rows, found.rows_of_class)
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
            verdict = check(image_statistics(found.splits, thresholds.family), thresholds, out / "docs", expected)
            write_result(verdict, found.splits, out / "validation.json", out / "contact_sheet.png")
    if not found.labelled:
        typer.echo(f"{path} has no labels, so labels, classes and their shares were not checked")
    for failure in verdict.failures:
        typer.echo(failure.line())
    outcome = "meets" if verdict.passed else f"fails {len(verdict.failures)} of"
    typer.echo(f"{path} {outcome} {verdict.expectations} expectations of the profile {thresholds.name!r}; see {out}")
    raise typer.Exit(0 if verdict.passed else 1)


@app.command()
def profile(
    path: Annotated[Path, typer.Argument(help="Images you trust, best data/prepared of your own data set.")],
    name: Annotated[str, typer.Option(help="The profile's name: data/profiles/NAME.yaml.")],
    force: Annotated[bool, typer.Option(help="Overwrite an existing profile of this name.")] = False,
) -> None:
    """Write thresholds from images that you trust. Review and commit them.

    Reads the images. Writes data/profiles/NAME.yaml.

    Example: vaeline profile data/prepared --name shapes
    """
    from vaeline.data.label_noise import doubtful_shares
    from vaeline.data.own_images import Reading, source_spec
    from vaeline.data.statistics import family_of, image_statistics
    from vaeline.errors import VaelineError
    from vaeline.params.whole import read_params
    from vaeline.validation.profile import NAME, PROFILES, make_profile, rows_added, with_rows, write_profile
    from vaeline.validation.splits import read_splits

    with sentences():
        target = PROFILES / f"{name}.yaml"
        if not NAME.fullmatch(name):
            raise VaelineError(f"--name {name!r}: a name has letters, digits, _, - and ., a letter, digit or _ first")
        if target.exists() and not force:
            raise VaelineError(f"{target} exists; --force overwrites it")
        data = read_params().data
        reading = Reading(data.image, data.good, data.unreadable, data.limits.named("data.limits"))
        found = read_splits(path, lambda: source_spec(path, reading), reading.limits)
        added = {split: -count for split, count in rows_added(found.manifest).items()}
        family = family_of(found.image)
        splits = found.splits.values()
        doubtful = doubtful_shares([split.images for split in splits], [split.labels for split in splits])
        made = make_profile(image_statistics(found.splits, family), name, found.image, family, doubtful)
        write_profile(with_rows(made, added), target)
    typer.echo(f"{target} is written. Check its limits, correct them if needed, and commit it.")
