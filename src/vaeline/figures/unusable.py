"""Files that cannot be used: a table of all, and a contact sheet that shows of each what can still be decoded."""

import csv
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image, ImageFile, ImageOps

from vaeline.artifacts import atomic_file
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import Limit
from vaeline.images.parallel import Unusable
from vaeline.images.pictures import open_picture

ON_THE_SHEET = 40
COLUMNS = 8
SIDE = 96
SHOWN_PIXELS = Limit(4_000_000, "for the sheet")


def write_table(unusable: Sequence[Unusable], path: Path) -> None:
    """Write a CSV of files and reasons, atomically."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "reason"))
        writer.writerows((item.file, item.reason) for item in unusable)


def draw_unusable(unusable: Sequence[Unusable]) -> Figure:
    """Up to 40 files, each under its name and its reason."""
    shown = unusable[:ON_THE_SHEET]
    columns = max(3, min(len(shown), COLUMNS))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(1.9 * columns, 2.4 * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, item in zip(axes.flat, shown, strict=False):
        picture = _what_decodes(item.file)
        if picture is not None:
            axis.imshow(picture)
        else:
            axis.text(0.5, 0.5, "no pixels", ha="center", va="center", color="grey")
        reason = textwrap.shorten(item.reason, 66)
        axis.set_title(f"{textwrap.shorten(item.file.name, 28)}\n{textwrap.fill(reason, 34)}", fontsize=6)
    figure.suptitle(f"Files that cannot be used ({len(shown)} of {len(unusable):,} shown)")
    return figure


def _what_decodes(file: Path) -> Image.Image | None:
    """What can be seen of a picture that is cut off; None where nothing can, or where the picture is too large."""
    usual = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        ImageFile.LOAD_TRUNCATED_IMAGES = True  # ty: ignore[invalid-assignment]
        with open_picture(file, SHOWN_PIXELS) as picture:
            return ImageOps.contain(picture.convert("RGB"), (SIDE, SIDE))
    except UnreadableImagesError:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = usual
