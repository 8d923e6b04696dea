"""The root of the command `vaeline`, and how it prints errors."""

from collections.abc import Generator
from contextlib import contextmanager

import typer

from vaeline.process_start import prepare_process

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Train, check, version and serve VAEs.")


app.callback()(prepare_process)


@contextmanager
def sentences() -> Generator[None]:
    """Print a `VaelineError`, or a disk that cannot be written, as one sentence and exit with status 1."""
    from vaeline.errors import in_a_sentence

    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        typer.echo(f"vaeline: {in_a_sentence(error)}", err=True)
        raise typer.Exit(1) from None
