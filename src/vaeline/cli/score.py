"""The command that scores many images."""

from typing import Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import PANEL, InvertOption, ModelOption, SeedOption, counted, finite, open_model
from vaeline.cli.scoring import PictureScore
from vaeline.outputs import MODEL
from vaeline.scores import HEAT_MAP


@app.command(rich_help_panel=PANEL)
def score(
    source: Annotated[
        str, typer.Argument(help="A folder of pictures, .npy and .parquet files, one such file, or a URI of one.")
    ],
    target: Annotated[str, typer.Argument(help="An empty folder for the tables, or a URI such as s3://bucket/scores.")],
    score: Annotated[PictureScore, typer.Option(help="The score to judge by.")] = PictureScore["one_class"],
    threshold: Annotated[
        float | None, typer.Option(callback=finite, help="Images above this score are anomalous.")
    ] = None,
    latents: Annotated[bool, typer.Option(help="Write the latents z_mean.")] = True,
    rows: Annotated[int, typer.Option(min=1, help="The number of images in one table.")] = 2000,
    workers: Annotated[int, typer.Option(min=1, help="The number of processes, each with compute.threads.")] = 1,
    address: Annotated[
        str, typer.Option(help="A Ray cluster, such as ray://host:10001 or auto. Default: this machine alone.")
    ] = "",
    seed: SeedOption = 1,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
) -> None:
    """Score any number of images, in several processes or on several machines.

    Every image has one row: its scores, its latents, and the verdict. A file
    that cannot be read has the reason instead. If the command is killed, the
    same command does what is missing. The threshold is that of the model's good
    validation images, unless it is given.

    Reads the images, the model, its latent reference and its reference of heat
    maps. Writes tables (.parquet) and _summary.json into the target.

    Example: vaeline score scans/ scores/ --workers 2
    """
    import os
    from importlib.util import find_spec

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with sentences():
        from vaeline.errors import VaelineError

        if not find_spec("ray"):
            raise VaelineError("score needs Ray; `make setup SCALE=1` installs it")
        if score == HEAT_MAP:
            raise VaelineError("score makes no heat maps; `vaeline anomaly --score heat_map` makes them")
        from vaeline.params.base import read_section
        from vaeline.params.compute import ComputeParams
        from vaeline.params.data import own_limits
        from vaeline.scoring.inputs import find_inputs

        compute = read_section("compute", ComputeParams)
        inputs = find_inputs(source, own_limits().pixels)
        from vaeline.compute import drive

        compute = compute.model_copy(update={"device": "gpu" if drive(compute.device) else "cpu"})
        found = open_model(model)
        from vaeline.redaction import public_uri
        from vaeline.scoring.outputs import Outputs
        from vaeline.scoring.run import Places, score_source
        from vaeline.scoring.score import Rules, Scorer

        heat = found.read_heat_maps()
        if threshold is None and heat is not None:
            threshold = heat.threshold(score, heat.false_alarms)
        rules = Rules(found.read_reference().densities, str(score), threshold, seed, invert, latents)
        scorer = Scorer(found.model, rules)
        if score not in scorer.names:
            raise VaelineError(f"this model ({found.model.title}) has no {score}; use {', '.join(scorer.names)}")
        about = {"model": found.name, "model_sha256": found.model_sha256}
        summary = score_source(scorer, inputs, Outputs(target), rows, Places(workers, compute, address), about)
    anomalous = "" if threshold is None else f", {summary['anomalous']:,} anomalous ({score} above {threshold:.4g})"
    typer.echo(
        f"{public_uri(target)}: {counted(summary['written'], 'image')}{anomalous}, {summary['unreadable']:,} unreadable"
    )
