"""The root of the command `vaeline`, and how an error meant for the user leaves it."""

from collections.abc import Generator
from contextlib import contextmanager

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A VAE pipeline: trained, checked, versioned.")


@contextmanager
def sentences() -> Generator[None]:
    """An error meant for the user becomes one sentence and exit status 1."""
    from vaeline.errors import VaelineError

    try:
        yield
    except VaelineError as error:
        typer.echo(f"vaeline: {error}", err=True)
        raise typer.Exit(1) from None
