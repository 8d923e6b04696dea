"""Shared parts of the commands that use a model: options, reading pictures and writing results."""

import math
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.errors import VaelineError

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from vaeline.images.named import NamedImages
    from vaeline.registry.resolve import LoadedModel

PANEL = "Use a model"
PICTURE, ARRAY = ".png", ".npy"
MOST_DRAWN = 400
COLUMNS = 10


def finite(value: float | None) -> float | None:
    """Refuse NaN and infinity, which the range of an option does not exclude."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("must be a finite number")
    return value


ModelOption = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="A .keras file, a run's name or id, models:/name/version or models:/name@alias."
    ),
]
PathsArgument = Annotated[
    list[Path],
    typer.Argument(help="PNG, JPEG, .npy, .npz, .parquet or IDX files, or folders of pictures and .npy files."),
]
InvertOption = Annotated[
    bool, typer.Option("--invert", help="Invert the pictures, if they show dark ink on light paper.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="The random seed. The same seed gives the same images.")]
TemperatureOption = Annotated[
    float,
    typer.Option(min=0, max=10, callback=finite, help="The factor on the noise: 0 is no noise, 1 is the model's own."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier folder of pictures.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="A .png picture, or an .npy file with the numbers.")]


def open_model(reference: str) -> "LoadedModel":
    """Load the model of a command. Raises VaelineError."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from vaeline.registry.resolve import resolve_model

    return resolve_model(reference)


def titled(what: str, found: "LoadedModel") -> str:
    """A figure's title: what it shows, and the kind of model that made it."""
    return f"{what} ({found.model.title})"


def require_posterior(command: str, found: "LoadedModel") -> None:
    """Raise VaelineError if the model has no posterior over latents."""
    if not found.model.noise_dim:
        raise VaelineError(f"{command}: this model ({found.model.title}) has no posterior over latents, which it needs")


def counted(number: int, noun: str) -> str:
    """The number with its noun: 1 image, 2,000 images."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short_name(name: str, most: int = 24) -> str:
    """The name of a file without its folder; only the end of a long name."""
    own = Path(name).name
    return own if len(own) <= most else f"…{own[1 - most :]}"


@contextmanager
def pictures(paths: Sequence[Path], found: "LoadedModel", invert: bool) -> Generator["NamedImages"]:
    """The pictures at `paths`. Unreadable files are named on stderr, and the command then ends with exit status 1."""
    from vaeline.images.named import read_named_images
    from vaeline.params.data import own_limits

    read = read_named_images(paths, found.model.image, invert, own_limits())
    for path, reason in read.skipped:
        typer.echo(f"vaeline: skipped {path}: {reason}", err=True)
    yield read
    if read.skipped:
        raise typer.Exit(1)


def check_out(out: Path, *endings: str) -> None:
    """Check the name of the output before any work. Raises VaelineError."""
    if out.suffix not in endings:
        raise VaelineError(f"--out {out}: its name must end in {' or '.join(endings)}")
    if out.is_dir():
        raise VaelineError(f"--out {out}: is a folder; choose a file")


@contextmanager
def writing(out: Path) -> Generator[None]:
    """Raise VaelineError instead of OSError if the output cannot be written."""
    try:
        yield
    except OSError as error:
        raise VaelineError(f"{out}: cannot be written ({error.strerror or error})") from error


def write_images(out: Path, images: "np.ndarray", draw: Callable[[], "Figure"]) -> None:
    """Write the images to an .npy, or the figure of `draw` to a .png."""
    if out.suffix == ARRAY:
        write_array(out, images)
    else:
        write_picture(out, draw())


def write_picture(out: Path, figure: "Figure") -> None:
    """Write a figure as a .png."""
    from vaeline.figures.canvas import save_figure

    with writing(out):
        save_figure(figure, out)


def write_array(out: Path, images: "np.ndarray") -> None:
    """Write images as an .npy of float32."""
    import numpy as np

    from vaeline.artifacts import atomic_file

    with writing(out), atomic_file(out) as temporary:
        np.save(temporary, images.astype("float32"))


def drawn(count: int, most: int, out: Path) -> int:
    """The number of images that a figure shows. Prints a note if these are not all `count` images."""
    if out.suffix == PICTURE and count > most:
        typer.echo(f"{out} shows the first {most} of {count}; an .npy holds them all")
    return min(count, most)


def columns_for(count: int) -> int:
    """The columns of a sheet of `count` images: ten, or a square sheet for more than a hundred images."""
    return min(count, max(COLUMNS, round(count**0.5)))


def check_target(out: Path, force: bool, *endings: str) -> None:
    """Apply `check_out` to a name with one of the endings, and `check_folder` to any other. Raises VaelineError."""
    if out.suffix in endings:
        check_out(out, *endings)
    else:
        check_folder(out, force)


def check_folder(out: Path, force: bool) -> None:
    """Check, before any work, that only an earlier folder of pictures is replaced. Raises VaelineError."""
    if out.exists() and not out.is_dir():
        raise VaelineError(f"--out {out}: is a file; choose a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not force:
        raise VaelineError(f"--out {out}: exists and is not empty; --force replaces it")
    foreign = next((file for file in out.rglob("*") if file.is_file() and file.suffix != PICTURE), None)
    if foreign or out.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise VaelineError(f"--out {out}: holds more than pictures ({foreign or out.resolve()}); choose another folder")


def write_folder(out: Path, images: dict[str, "np.ndarray"]) -> None:
    """Write PNGs of images (height, width, channels) in [0, 1] by their names below `out`, all of them or none."""
    from vaeline.artifacts import atomic_directory
    from vaeline.images.png import save_picture

    with writing(out), atomic_directory(out) as temporary:
        for name, image in images.items():
            file = temporary / name
            file.parent.mkdir(parents=True, exist_ok=True)
            save_picture(image, file)
