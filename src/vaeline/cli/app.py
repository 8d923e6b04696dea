"""The root of the command `vaeline`, and how it prints errors."""

from collections.abc import Generator
from contextlib import contextmanager

import typer

from vaeline.process_start import prepare_process

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Train, check, version and serve VAEs.")


app.callback()(prepare_process)


@contextmanager
def sentences() -> Generator[None]:
    """Print a `VaelineError` as one sentence and exit with status 1."""
    from vaeline.errors import VaelineError

    try:
        yield
    except VaelineError as error:
        typer.echo(f"vaeline: {error}", err=True)
        raise typer.Exit(1) from None
