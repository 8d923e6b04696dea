"""Commands for new data: ingest batches of images, and simulate batches."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import finite

PANEL = "New data"


class Kind(enum.StrEnum):
    """The change that is made to the images of a simulated batch."""

    clean = "clean"
    rotated = "rotated"
    thicker = "thicker"
    class_mix = "class_mix"
    noisy = "noisy"
    poisoned = "poisoned"


@app.command(rich_help_panel=PANEL)
def ingest(
    source: Annotated[
        str, typer.Argument(help="A folder of batches, one batch, or a URI. Default: ingest.source.")
    ] = "",
) -> None:
    """Validate batches of new images; accept or quarantine each.

    Reads the batches. Writes data/accepted, data/batches, data/quarantine and reports/ingest.json. Accepted batches are
    used by the next training.

    Example: vaeline ingest data/incoming
    """
    from vaeline.artifacts import write_json
    from vaeline.images.limits import Limit
    from vaeline.ingestion.arrivals import FETCHED, arrivals
    from vaeline.ingestion.ingest import alone
    from vaeline.ingestion.ingest import ingest as take_in
    from vaeline.ingestion.run import as_report, open_rules
    from vaeline.params.whole import read_params
    from vaeline.redaction import public_uri
    from vaeline.reports import INGEST

    with sentences():
        params = read_params()
        source = source or params.ingest.source
        with alone():
            rules = open_rules(params)
            fetched = Limit(params.ingest.limits.fetched, FETCHED.key)
            outcomes = []
            for arrival in arrivals(source, fetched, rules.limits.files):
                outcomes.append(take_in(arrival, rules))
                typer.echo(f"{outcomes[-1].status:<12} {arrival.name}: {outcomes[-1].why}")
            write_json(INGEST, as_report(source, outcomes))
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in ("accepted", "quarantined")}
    judged = f"{counts['accepted']} accepted, {counts['quarantined']} quarantined"
    typer.echo(f"{public_uri(source)}: {len(outcomes)} batches, {judged}")
    if counts["accepted"]:
        typer.echo("Next: git add data/accepted data/batches, dvc push, dvc repro")


@app.command(rich_help_panel=PANEL)
def simulate(
    kind: Annotated[Kind, typer.Argument(help="The change to the images.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="An .npz, a .parquet, or a folder of PNGs.")],
    rows: Annotated[int, typer.Option(min=1, help="The number of images.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="The random seed of the choice of images and of the noise.")] = 1,
    offset: Annotated[int, typer.Option(min=0, help="The number of images to skip in the order of this seed.")] = 0,
    strength: Annotated[
        float | None, typer.Option(callback=finite, help="The strength of the change, in the unit of its kind.")
    ] = None,
    labels: Annotated[bool, typer.Option(help="Whether the batch has labels.")] = True,
) -> None:
    """Write a batch of images that data.hold_back kept out of training.

    Reads the source images. Writes the batch to --out.

    Example: vaeline simulate rotated --rows 500 --out week-2.npz
    """
    from vaeline.ingestion.batches import write_batch
    from vaeline.ingestion.held_back import held_back
    from vaeline.ingestion.simulation import simulate as draw
    from vaeline.params.whole import read_params

    with sentences():
        images, known, classes = held_back(read_params())
        batch = draw(kind.value, images, known, rows, seed, strength, offset)
        write_batch(out, batch.images, batch.labels if labels else None, classes)
    typer.echo(f"{out}: {rows} images, {kind.value}, seed {seed}, {batch.altered.sum()} of them changed")
