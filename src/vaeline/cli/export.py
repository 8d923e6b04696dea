"""The command that writes a model as files for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import PANEL, ModelOption, open_model, writing
from vaeline.outputs import MODEL


class Form(StrEnum):
    """The forms of files, by the names that `--format` takes."""

    ONNX = "onnx"
    SAVEDMODEL = "savedmodel"


@app.command(rich_help_panel=PANEL)
def export(
    form: Annotated[
        Form, typer.Option("--format", "-f", help="onnx; savedmodel: TensorFlow's, a folder for each part.")
    ] = Form.ONNX,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder of an earlier export.")] = False,
    model: ModelOption = MODEL,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("exported"),
) -> None:
    """Write a model for ONNX Runtime or TensorFlow, which then need nothing of vaeline.

    Reads the model. Writes encoder, decoder and score into the folder --out, and
    vaeline.json, which describes the images that the model takes. Compares the
    answers of the files with those of the model, and prints the time of one image.

    Example: vaeline export --out exported
    """
    with sentences():
        from vaeline.export.folder import check_folder

        check_folder(out, force)
        found = open_model(model)
        from vaeline.export.files import export_model

        with writing(out):
            for part in export_model(found.model, found.model_sha256, out, form):
                typer.echo(f"{part.path}: {part.size / 1e6:.2f} MB, {1000 * part.seconds:.2f} ms an image")
