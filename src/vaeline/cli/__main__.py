"""`python -m vaeline.cli`."""

from vaeline.cli import app

app()
