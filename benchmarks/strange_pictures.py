"""Make a folder to try `vaeline anomaly` on: test digits, and twenty pictures of other things.

python benchmarks/strange_pictures.py FOLDER [SEED]      writes a new FOLDER, for `vaeline anomaly FOLDER`

The twenty are letters and shapes (scaled and centred as MNIST was), stripes, crops of photographs, noise and a blank
page; their names begin with odd-.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

from vaeline.artifacts import atomic_directory
from vaeline.data.prepared import read_prepared
from vaeline.images.arrays import drawable

DIGITS = 200
CANVAS = 160
STROKE = 14
CROP = 200


def main() -> None:
    folder, seed = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if folder.exists():
        sys.exit(f"{folder} exists; name a new folder")
    rng = np.random.default_rng(seed)
    test = read_prepared(Path("data/prepared")).splits["test"]
    with atomic_directory(folder) as temporary:
        for row in rng.choice(len(test.labels), DIGITS, replace=False):
            digit = Image.fromarray(drawable(test.images[row]))
            digit.save(temporary / f"digit-{test.labels[row]}-{row:05}.png")
        for name, picture in strange_pictures(rng).items():
            picture.save(temporary / f"odd-{name}.png")


def strange_pictures(rng: np.random.Generator) -> dict[str, Image.Image]:
    """Twenty pictures that are not digits, by name."""
    y, x = np.indices((28, 28))
    patterns = {
        "stripes-vertical": x // 3 % 2,
        "stripes-diagonal": (x + y) // 4 % 2,
        "checkerboard": (x // 7 + y // 7) % 2,
        "noise-salt": rng.random((28, 28)) < 0.08,
        "noise-grey": rng.random((28, 28)),
        "blank": np.zeros((28, 28)),
    }
    pictures = {name: Image.fromarray((255 * pattern).astype("uint8")) for name, pattern in patterns.items()}
    pictures |= {f"letter-{letter}": _letter(letter) for letter in "ARKWEH"}
    pictures |= {f"shape-{name}": picture for name, picture in _shapes().items()}
    for number, photo in enumerate(load_sample_images().images):
        for part in range(2):
            top, left = (rng.integers(side - CROP) for side in photo.shape[:2])
            pictures[f"photo-{number}-{part}"] = Image.fromarray(photo[top : top + CROP, left : left + CROP])
    return pictures


def _letter(letter: str) -> Image.Image:
    picture = Image.new("L", (CANVAS, CANVAS))
    font = ImageFont.load_default(size=96)
    ImageDraw.Draw(picture).text((30, 20), letter, fill=255, font=font, stroke_width=3)
    return like_mnist(picture)


def _shapes() -> dict[str, Image.Image]:
    shapes = {name: Image.new("L", (CANVAS, CANVAS)) for name in ("triangle", "square", "star", "cross")}
    pens = {name: ImageDraw.Draw(picture) for name, picture in shapes.items()}
    pens["triangle"].line([(80, 20), (140, 130), (20, 130), (80, 20)], fill=255, width=STROKE)
    pens["square"].rectangle((30, 30, 130, 130), outline=255, width=STROKE)
    pens["cross"].line([(30, 30), (130, 130)], fill=255, width=STROKE)
    pens["cross"].line([(130, 30), (30, 130)], fill=255, width=STROKE)
    turns, radii = np.pi * np.arange(10) / 5, np.tile([60, 25], 5)
    pens["star"].polygon([*zip(80 + radii * np.sin(turns), 80 - radii * np.cos(turns), strict=True)], fill=255)
    return {name: like_mnist(picture) for name, picture in shapes.items()}


def like_mnist(picture: Image.Image) -> Image.Image:
    """Scale the ink to 20×20 pixels and centre its mass in 28×28, as in MNIST."""
    ink = picture.crop(picture.getbbox())
    scale = 20 / max(ink.size)
    ink = ink.resize([max(1, round(side * scale)) for side in ink.size], Image.Resampling.LANCZOS)
    greys = np.asarray(ink, float)
    y, x = np.indices(greys.shape)
    corner = [round(13.5 - (greys * positions).sum() / greys.sum()) for positions in (x, y)]
    page = Image.new("L", (28, 28))
    page.paste(ink, corner)
    return page


if __name__ == "__main__":
    main()
