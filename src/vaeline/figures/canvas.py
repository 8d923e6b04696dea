"""Write figures without a screen; equal content gives equal bytes."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from vaeline.artifacts import atomic_file


def figure_png(figure: Figure) -> bytes:
    """A figure as PNG, without the name of the software or a date."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120, metadata={"Software": None})
    return stream.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(figure_png(figure))
