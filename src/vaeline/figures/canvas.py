"""How figures are written: without a screen, and with the same bytes for the same content."""

from pathlib import Path

from matplotlib.figure import Figure

from vaeline.artifacts import atomic_file


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG without the writer's name or a date, atomically."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
