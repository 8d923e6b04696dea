"""Simulated batches: images that no model was fitted to, unchanged or with a drift.

Images are uint8 (count, height, width, channels), light ink on black; labels (count,) are integers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Integer
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from sklearn.datasets import load_sample_images

from vaeline.errors import VaelineError
from vaeline.images.arrays import round_levels
from vaeline.images.lazy import ByteSource
from vaeline.images.pictures import MODES
from vaeline.images.types import ByteImages, Labels

FAVOURED = 0.3
DIRECTIONS = 16
LETTERS = "ABDEFHJKMNPRTWXY"
CANVAS = 96
INK_SHARE = 20 / 28
LARGEST_CROP = 300


class Simulated(NamedTuple):
    """A drawn batch: images, labels, their rows in the pool, and whether each was altered, all (count, …)."""

    images: ByteImages
    labels: Labels
    rows: Integer[np.ndarray, " count"]
    altered: Bool[np.ndarray, " count"]


@dataclass(frozen=True)
class Drift:
    """A kind of drift: the unit of its strength, the default and the highest strength, and how images are changed.

    change: takes images, labels, strength and a random generator, and returns changed images and labels.
    """

    unit: str
    strength: float
    most: float
    change: Callable[[ByteImages, Labels, float, np.random.Generator], tuple[ByteImages, Labels]]


def simulate(
    kind: str,
    images: ByteSource,
    labels: Labels,
    rows: int,
    seed: int,
    strength: float | None = None,
    offset: int = 0,
) -> Simulated:
    """Draw `rows` images of the pool without replacement, and change them by `kind`, which is one of `KINDS`.

    strength: in the unit of the kind; None for its default. offset: the first position in the seed's order of the pool,
    so that batches with one seed can have different rows. All kinds but `class_mix` draw the same rows with one seed,
    at any strength.

    Raises:
        VaelineError: the kind is unknown, the strength is out of range, or the pool has too few images.
    """
    if kind not in KINDS:
        raise VaelineError(f"{kind!r} is no kind of simulated batch; the kinds are {', '.join(KINDS)}")
    drift = KINDS[kind]
    strength = drift.strength if strength is None else strength
    if not 0 <= strength <= drift.most:
        raise VaelineError(f"{kind}: the strength must be 0 to {drift.most:g} ({drift.unit}), not {strength:g}")
    order = np.random.default_rng([seed, 0]).permutation(len(images))[offset:]
    if not 0 < rows <= len(order):
        raise VaelineError(f"cannot draw {rows} images from position {offset} on; the pool has {len(images)} images")
    if kind == "class_mix":
        pool = np.sort(order)
        chosen = pool[_draw_mixed(labels[pool], rows, strength, np.random.default_rng([seed, 0]))]
    else:
        chosen = order[:rows]
    change = np.random.default_rng([seed, 1, offset])
    own_images, own_labels = np.asarray(images[chosen]), np.asarray(labels[chosen])
    new_images, new_labels = drift.change(own_images, own_labels, strength, change)
    altered = (new_images != own_images).any(axis=(1, 2, 3)) | (new_labels != own_labels)
    return Simulated(new_images, new_labels, chosen, altered)


def rotated(images: ByteImages, degrees: float) -> ByteImages:
    """Images rotated anticlockwise about their centre, by linear interpolation on a black background."""
    turned = ndimage.rotate(images.astype("float32"), degrees, axes=(1, 2), reshape=False, order=1)
    return round_levels(turned)


def thicker(images: ByteImages, pixels: float) -> ByteImages:
    """Images with strokes that are `pixels` wider on each side: the maximum of an image and shifted copies of it."""
    levels = images.astype("float32")
    brightest = levels.copy()
    for angle in 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        offset = (0, pixels * np.sin(angle), pixels * np.cos(angle))
        for channel in range(levels.shape[-1]):
            shifted = ndimage.shift(levels[..., channel], offset, order=1)
            np.maximum(brightest[..., channel], shifted, out=brightest[..., channel])
    return round_levels(brightest)


def noisy(images: ByteImages, deviation: float, rng: np.random.Generator) -> ByteImages:
    """Images with normal noise of this standard deviation (for pixels in [0, 1]), clipped at black and white."""
    noise = rng.standard_normal(images.shape, dtype="float32")
    return round_levels(images + np.float32(255 * deviation) * noise)


def poisoned(images: ByteImages, labels: Labels, share: float, rng: np.random.Generator) -> tuple[ByteImages, Labels]:
    """A batch in which a share of the rows is bad: half of these have a wrong label, half are foreign pictures."""
    bad = rng.permutation(len(images))[: round(share * len(images))]
    mislabelled, replaced = bad[::2], bad[1::2]
    images, labels = images.copy(), labels.copy()
    present = np.unique(labels)
    if len(present) > 1:
        steps = rng.integers(1, len(present), len(mislabelled))
        labels[mislabelled] = present[(np.searchsorted(present, labels[mislabelled]) + steps) % len(present)]
    if len(replaced):
        images[replaced] = foreign_pictures(len(replaced), images.shape[1:], rng)
    return images, labels


def foreign_pictures(count: int, shape: tuple[int, int, int], rng: np.random.Generator) -> ByteImages:
    """Pictures of other things, uint8 (count, height, width, channels): capital letters and parts of photographs.

    shape: (height, width, channels). Letters are grey and as large as digits.
    """
    size, mode = shape[:2], MODES[shape[2]]
    photos = [Image.fromarray(photo).convert(mode) for photo in load_sample_images().images]
    makers = [lambda: _letter(size, rng), lambda: _crop(photos[rng.integers(len(photos))], size, rng)]
    drawn = [makers[number % 2]().convert(mode) for number in range(count)]
    return np.stack([np.asarray(picture).reshape(shape) for picture in drawn])


def _unchanged(
    images: ByteImages, labels: Labels, strength: float, rng: np.random.Generator
) -> tuple[ByteImages, Labels]:
    return images, labels


KINDS: dict[str, Drift] = {
    "clean": Drift("no unit", 0.0, 0.0, _unchanged),
    "rotated": Drift("degrees", 20.0, 180.0, lambda images, labels, angle, rng: (rotated(images, angle), labels)),
    "thicker": Drift("pixels", 0.7, 4.0, lambda images, labels, width, rng: (thicker(images, width), labels)),
    "class_mix": Drift("total variation", 0.3, 1.0, _unchanged),  # only the choice of rows changes
    "noisy": Drift("greys, 0 to 1", 0.2, 1.0, lambda images, labels, sigma, rng: (noisy(images, sigma, rng), labels)),
    "poisoned": Drift("share of the rows", 0.3, 1.0, poisoned),
}


def _draw_mixed(labels: Labels, rows: int, distance: float, rng: np.random.Generator) -> Integer[np.ndarray, " {rows}"]:
    """Rows of the pool with another class mix; its expected total variation distance from the pool's is `distance`.

    Some random classes become more frequent, and all others less frequent in proportion.
    """
    present, counts = np.unique(labels, return_counts=True)
    own = counts / counts.sum()
    favoured = np.zeros(len(present))
    few = rng.permutation(len(present))[: max(1, round(FAVOURED * len(present)))]
    favoured[few] = own[few]
    if distance > (most := 1 - favoured.sum()):
        raise VaelineError(f"class_mix: the strength must be at most {most:.2f}, where only favoured classes are left")
    weight = distance / most if most else 0.0
    wanted = rng.multinomial(rows, (1 - weight) * own + weight * favoured / favoured.sum())
    if (wanted > counts).any():
        short = int(np.argmax(wanted - counts))
        raise VaelineError(
            f"class_mix: {wanted[short]} images of class {present[short]} are needed, the pool has {counts[short]}"
        )
    drawn = [
        rng.permutation(np.flatnonzero(labels == label))[:count] for label, count in zip(present, wanted, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))


def _letter(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A capital letter with random slant and weight, centred; its ink is as large as that of a digit."""
    picture = Image.new("L", (CANVAS, CANVAS))
    font = ImageFont.load_default(size=CANVAS / 2)
    letter = LETTERS[rng.integers(len(LETTERS))]
    middle, weight = (CANVAS / 2, CANVAS / 2), int(rng.integers(1, 4))
    ImageDraw.Draw(picture).text(middle, letter, fill=255, font=font, anchor="mm", stroke_width=weight)
    picture = picture.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC)
    ink = picture.crop(picture.getbbox())
    ratio = INK_SHARE * min(size[0] / ink.height, size[1] / ink.width)
    ink = ink.resize((max(1, round(ratio * ink.width)), max(1, round(ratio * ink.height))), Image.Resampling.LANCZOS)
    page = Image.new("L", size[::-1])
    page.paste(ink, ((page.width - ink.width) // 2, (page.height - ink.height) // 2))
    return page


def _crop(photo: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A random square part of a photograph."""
    side = int(rng.integers(max(size), LARGEST_CROP))
    left, top = (int(rng.integers(length - side)) for length in photo.size)
    return photo.crop((left, top, left + side, top + side)).resize(size[::-1], Image.Resampling.LANCZOS)
