"""What holds of every figure."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from vaeline.figures.canvas import save_figure


def check_title_and_bytes(draw: Callable[[], Figure], folder: Path) -> None:
    """The figure has the title "A title", and the same bytes when it is drawn twice."""
    figure = draw()
    titles = [axes.get_title() for axes in figure.axes] + [figure.get_suptitle()]
    assert "A title" in titles
    save_figure(figure, folder / "a.png")
    save_figure(draw(), folder / "b.png")
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()


def check_axes(figure: Figure) -> None:
    """Every axis has a name."""
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()


def check_figure(draw: Callable[[], Figure], folder: Path) -> None:
    """Both checks, for a figure of charts."""
    check_title_and_bytes(draw, folder)
    check_axes(draw())
