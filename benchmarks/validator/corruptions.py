"""The corruptions of the benchmark: each changes clean splits in place, or replaces them, with a strength."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from vaeline.data.prepared import Split
from vaeline.images.arrays import drawable

Rng = np.random.Generator
Splits = dict[str, Split]
Change = Callable[[np.ndarray, Rng], np.ndarray]
SHARES = (0.001, 0.01, 0.1, 1.0)
COUNTS = (1, 10, 100)


@dataclass(frozen=True)
class Corruption:
    """A corruption with its strengths, the weakest first, and what they count. `plant` gets splits that are copies."""

    name: str
    unit: str
    strengths: Sequence[float]
    plant: Callable[[Splits, float, Rng, np.ndarray], None]
    colour: bool | None = None

    def fits(self, channels: int) -> bool:
        """Whether it is made for images with so many channels."""
        return self.colour is None or self.colour == (channels == 3)


def affine(images: np.ndarray, matrix: np.ndarray, offset: Sequence[float] = (0.0, 0.0)) -> np.ndarray:
    """Images (count, height, width, channels) after a linear map around their middle; the margin is repeated."""
    middle = (np.array(images.shape[1:3]) - 1) / 2
    full, shift = np.eye(4), np.zeros(4)
    full[1:3, 1:3] = matrix
    shift[1:3] = middle - matrix @ middle + np.asarray(offset)
    return ndimage.affine_transform(images, full, shift, order=1, mode="nearest")


def rotated(degrees: float) -> Change:
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return lambda images, rng: affine(images, matrix)


def zoomed(factor: float) -> Change:
    return lambda images, rng: affine(images, np.eye(2) / factor)


def sheared(amount: float) -> Change:
    return lambda images, rng: affine(images, np.array([[1, 0], [amount, 1]]))


def moved(pixels: int) -> Change:
    return lambda images, rng: affine(images, np.eye(2), (0, -pixels))


def levels(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """A change of levels as floats."""
    return lambda images, rng: np.clip(np.rint(change(images.astype("float64"))), 0, 255).astype("uint8")


def blurred(sigma: float) -> Change:
    return levels(lambda images: ndimage.gaussian_filter(images, (0, sigma, sigma, 0)))


def noisy(sigma: float) -> Change:
    return lambda images, rng: levels(lambda given: given + rng.normal(0, sigma, given.shape))(images, rng)


def salted(share: float) -> Change:
    def change(images: np.ndarray, rng: Rng) -> np.ndarray:
        hit = rng.random(images.shape) < share
        return np.where(hit, 255 * rng.integers(0, 2, images.shape), images).astype("uint8")

    return change


def flipped(share: float) -> Change:
    def change(images: np.ndarray, rng: Rng) -> np.ndarray:
        flat = images.reshape(-1).copy()
        bits = rng.choice(8 * flat.size, max(1, round(share * 8 * flat.size)), replace=False)
        np.bitwise_xor.at(flat, bits // 8, (1 << bits % 8).astype("uint8"))
        return flat.reshape(images.shape)

    return change


def saved_as_jpeg(quality: int) -> Change:
    def once(image: np.ndarray) -> np.ndarray:
        stream = io.BytesIO()
        Image.fromarray(drawable(image)).save(stream, "JPEG", quality=quality)
        return np.asarray(Image.open(stream)).reshape(image.shape)

    return lambda images, rng: np.stack([once(image) for image in images])


def resampled(factor: float) -> Change:
    def once(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        small = Image.fromarray(drawable(image)).resize((round(width * factor), round(height * factor)))
        return np.asarray(small.resize((width, height))).reshape(image.shape)

    return lambda images, rng: np.stack([once(image) for image in images])


def stripes(images: np.ndarray, rng: Rng) -> np.ndarray:
    images[:, ::4] = 0
    return images


def framed(images: np.ndarray, rng: Rng) -> np.ndarray:
    images[:, [0, -1]], images[:, :, [0, -1]] = 255, 255
    return images


def half_hidden(images: np.ndarray, rng: Rng) -> np.ndarray:
    images[:, images.shape[1] // 2 :] = 0
    return images


def watermark(images: np.ndarray, rng: Rng) -> np.ndarray:
    images[:, 1:5, 1:7] = 200
    return images


def shuffled_pixels(images: np.ndarray, rng: Rng) -> np.ndarray:
    return rng.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape)


def torn(images: np.ndarray, rng: Rng) -> np.ndarray:
    images[:, images.shape[1] // 2 :] = np.roll(images[:, images.shape[1] // 2 :], 5, axis=2)
    return images


def half_of_another(images: np.ndarray, rng: Rng) -> np.ndarray:
    images[:, images.shape[1] // 2 :] = np.roll(images[:, images.shape[1] // 2 :], 1, axis=0)
    return images


def mixed_with_another(images: np.ndarray, rng: Rng) -> np.ndarray:
    return (images // 2 + np.roll(images, 1, axis=0) // 2).astype("uint8")


OF_SOME: dict[str, Change] = {
    "inverted": lambda images, rng: 255 - images,
    "blank": lambda images, rng: 0 * images,
    "saturated": lambda images, rng: 0 * images + 255,
    "noise alone": lambda images, rng: rng.integers(0, 256, images.shape, "uint8"),
    "faded to a third": levels(lambda images: images / 3),
    "moved by 5 pixels": moved(5),
    "mirrored": lambda images, rng: images[:, :, ::-1],
    "upside down": lambda images, rng: images[:, ::-1],
    "transposed": lambda images, rng: images.transpose(0, 2, 1, 3),
    "turned by 90 degrees": lambda images, rng: np.rot90(images, axes=(1, 2)),
    "turned by 20 degrees": rotated(20),
    "blurred, σ 2": blurred(2.0),
    "black and white": levels(lambda images: 255.0 * (images > 127)),
    "salt and pepper on 5 %": salted(0.05),
    "noise of σ 25": noisy(25),
    "lower half hidden": half_hidden,
    "enlarged by 1.3": zoomed(1.3),
    "shrunk to 0.7": zoomed(0.7),
    "every fourth line lost": stripes,
    "a white frame": framed,
    "pixels shuffled": shuffled_pixels,
    "lower half of the next image": half_of_another,
    "mixed with the next image": mixed_with_another,
    "lower half slipped": torn,
    "bytes slipped": lambda images, rng: np.roll(images.reshape(len(images), -1), 100, 1).reshape(images.shape),
    "four levels": levels(lambda images: np.round(images / 85) * 85),
    "JPEG of quality 10": saved_as_jpeg(10),
    "a watermark": watermark,
    "gamma 3": levels(lambda images: 255 * (images / 255) ** 3),
    "half the contrast": levels(lambda images: images / 2 + 64),
    "wider strokes": lambda images, rng: ndimage.grey_dilation(images, (1, 3, 3, 1)),
    "thinner strokes": lambda images, rng: ndimage.grey_erosion(images, (1, 3, 3, 1)),
}
OF_ALL: dict[str, tuple[str, Sequence[float], Callable[[float], Change]]] = {
    "turned": ("degrees", (2, 5, 10, 20), rotated),
    "moved": ("pixels", (1, 2, 4), moved),
    "enlarged": ("times", (1.02, 1.05, 1.1, 1.2), zoomed),
    "sheared": ("pixels a line", (0.05, 0.1, 0.2), sheared),
    "blurred": ("σ in pixels", (0.3, 0.5, 1, 2), blurred),
    "resampled": ("of the side", (0.9, 0.75, 0.5), resampled),
    "noise": ("σ in levels", (2, 5, 10, 25), noisy),
    "salt and pepper": ("of the pixels", (0.0001, 0.001, 0.01), salted),
    "bits flipped": ("of the bits", (0.00001, 0.0001, 0.001), flipped),
    "brighter": ("levels", (2, 5, 10, 40), lambda by: levels(lambda images: images + by)),
    "darker": ("levels", (2, 5, 10, 40), lambda by: levels(lambda images: images - by)),
    "less contrast": ("times", (0.98, 0.95, 0.9, 0.8), lambda by: levels(lambda images: images * by)),
    "gamma": ("exponent", (1.05, 1.1, 1.25, 1.5), lambda by: levels(lambda images: 255 * (images / 255) ** by)),
    "fewer levels": ("levels", (64, 16, 4), lambda by: levels(lambda images: images // (256 / by) * (256 / by))),
    "cut off above": ("levels", (250, 230, 200), lambda most: levels(lambda images: np.minimum(images, most))),
    "raised black": ("levels", (1, 5, 20), lambda least: levels(lambda images: np.maximum(images, least))),
    "JPEG": ("quality", (90, 75, 30, 10), lambda quality: saved_as_jpeg(int(quality))),
}


def on_some(change: Change) -> Callable[[Splits, float, Rng, np.ndarray], None]:
    def plant(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
        images = splits["train"].images
        rows = rng.choice(len(images), max(1, round(share * len(images))), replace=False)
        images[rows] = change(images[rows], rng)

    return plant


def on_all(of_strength: Callable[[float], Change]) -> Callable[[Splits, float, Rng, np.ndarray], None]:
    def plant(splits: Splits, strength: float, rng: Rng, foreign: np.ndarray) -> None:
        for split in splits.values():
            split.images[:] = of_strength(strength)(split.images.copy(), rng)

    return plant


def dead_pixels(splits: Splits, count: float, rng: Rng, level: int) -> None:
    height, width = splits["train"].images.shape[1:3]
    middle = [
        (row, column) for row in range(height // 3, 2 * height // 3) for column in range(width // 3, 2 * width // 3)
    ]
    places = [(height // 2, width // 2)] + [middle[at] for at in rng.choice(len(middle), int(count) - 1, replace=False)]
    for split in splits.values():
        for row, column in places:
            split.images[:, row, column] = level


def stuck_in_some(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
    for split in splits.values():
        rows = rng.random(len(split.images)) < share
        split.images[rows, split.images.shape[1] // 2, split.images.shape[2] // 2] = 0


def dead_columns(splits: Splits, count: float, rng: Rng, foreign: np.ndarray) -> None:
    for split in splits.values():
        middle = split.images.shape[2] // 2
        split.images[:, :, middle : middle + int(count)] = 0


def wrong_labels(*names: str) -> Callable[[Splits, float, Rng, np.ndarray], None]:
    def plant(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
        for name in names:
            labels = splits[name].labels
            rows = rng.choice(len(labels), max(1, round(share * len(labels))), replace=False)
            number = int(labels.max()) + 1
            labels[rows] = (labels[rows] + rng.integers(1, number, len(rows))) % number

    return plant


def some_of_class(labels: np.ndarray, label: int, share: float, rng: Rng) -> np.ndarray:
    rows = np.flatnonzero(labels == label)
    return rng.choice(rows, max(1, round(share * len(rows))), replace=False)


def class_as_another(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
    for split in splits.values():
        split.labels[some_of_class(split.labels, 3, share, rng)] = 5


def classes_exchanged(*names: str) -> Callable[[Splits, float, Rng, np.ndarray], None]:
    def plant(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
        for name in names:
            labels = splits[name].labels
            one, other = some_of_class(labels, 2, share, rng), some_of_class(labels, 7, share, rng)
            labels[one], labels[other] = 7, 2

    return plant


def labels_slipped(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
    labels = splits["train"].labels
    tail = len(labels) - round(share * len(labels))
    labels[tail:] = np.roll(labels[tail:], 1)


def unknown_labels(splits: Splits, count: float, rng: Rng, foreign: np.ndarray) -> None:
    labels = splits["train"].labels
    labels[rng.choice(len(labels), int(count), replace=False)] = labels.max() + 1


def take(splits: Splits, name: str, rows: np.ndarray) -> None:
    split = splits[name]
    splits[name] = replace(split, images=split.images[rows], labels=split.labels[rows], indices=split.indices[rows])


def class_thinned(name: str) -> Callable[[Splits, float, Rng, np.ndarray], None]:
    """A share of the images of a class is left out."""

    def plant(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
        split = splits[name]
        lost = some_of_class(split.labels, 4, share, rng)
        kept = np.setdiff1d(np.arange(len(split.labels)), lost)
        take(splits, name, kept)

    return plant


def rows_lost(splits: Splits, count: float, rng: Rng, foreign: np.ndarray) -> None:
    take(splits, "train", np.arange(len(splits["train"].labels) - int(count)))


def rows_twice(splits: Splits, count: float, rng: Rng, foreign: np.ndarray) -> None:
    rows = np.arange(len(splits["train"].labels))
    take(splits, "train", np.concatenate([rows, rows[: int(count)]]))


def copies(source: str, change: Change | None) -> Callable[[Splits, float, Rng, np.ndarray], None]:
    """Rows of train become copies of rows of a split, with their labels."""

    def plant(splits: Splits, count: float, rng: Rng, foreign: np.ndarray) -> None:
        train, given = splits["train"], splits[source]
        number = min(int(count), len(given.labels) // 2, len(train.labels) // 2)
        own, other = np.arange(number), len(given.labels) - 1 - np.arange(number)
        images = given.images[other].copy()
        train.images[own] = images if change is None else change(images, rng)
        train.labels[own] = given.labels[other]

    return plant


def one_level(images: np.ndarray, rng: Rng) -> np.ndarray:
    images[:, images.shape[1] // 2, images.shape[2] // 2] ^= 1
    return images


def foreign_images(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
    images = splits["train"].images
    rows = rng.choice(len(images), max(1, round(share * len(images))), replace=False)
    images[rows] = foreign[rng.integers(0, len(foreign), len(rows))]


def as_floats(splits: Splits, share: float, rng: Rng, foreign: np.ndarray) -> None:
    for name, split in splits.items():
        splits[name] = replace(split, images=(split.images / 255).astype("float32"))


def nan_pixels(splits: Splits, count: float, rng: Rng, foreign: np.ndarray) -> None:
    as_floats(splits, 1, rng, foreign)
    flat = splits["train"].images.reshape(-1)
    flat[rng.choice(flat.size, int(count), replace=False)] = np.nan


def cropped(splits: Splits, pixels: float, rng: Rng, foreign: np.ndarray) -> None:
    for name, split in splits.items():
        splits[name] = replace(split, images=split.images[:, : -int(pixels)])


def colour_cast(by: float) -> Change:
    return levels(lambda images: images + np.array([by, 0, 0]))


NEAR = "rows"
CORRUPTIONS: tuple[Corruption, ...] = (
    *(Corruption(f"{name}", "of train", SHARES, on_some(change)) for name, change in OF_SOME.items()),
    *(Corruption(f"all {name}", unit, found, on_all(change)) for name, (unit, found, change) in OF_ALL.items()),
    Corruption("dead pixels, black", "pixels", (1, 3, 10), lambda s, n, rng, _: dead_pixels(s, n, rng, 0)),
    Corruption("dead pixels, white", "pixels", (1, 3, 10), lambda s, n, rng, _: dead_pixels(s, n, rng, 255)),
    Corruption("a pixel black in some images", "of all", (0.01, 0.1, 0.5), stuck_in_some),
    Corruption("dead columns", "columns", (1, 2, 3), dead_columns),
    Corruption("wrong labels in train", "of train", (0.01, 0.02, 0.05, 0.1), wrong_labels("train")),
    Corruption("wrong labels in test", "of test", (0.01, 0.02, 0.05, 0.1, 0.2), wrong_labels("test")),
    Corruption(
        "wrong labels everywhere", "of all", (0.01, 0.02, 0.05, 0.1), wrong_labels("train", "validation", "test")
    ),
    Corruption("a class labelled as another", "of the class", (0.05, 0.1, 0.2, 0.5), class_as_another),
    Corruption(
        "two classes exchanged", "of both", (0.05, 0.1, 0.2, 0.5), classes_exchanged("train", "validation", "test")
    ),
    Corruption("two classes exchanged in test", "of both", (0.1, 0.2, 0.5, 1.0), classes_exchanged("test")),
    Corruption("labels slipped by a row", "of train", (0.01, 0.05, 0.1, 0.5), labels_slipped),
    Corruption("unknown labels", "rows", COUNTS, unknown_labels),
    Corruption("a class lost from train", "of the class", (0.25, 0.5, 0.75, 1.0), class_thinned("train")),
    Corruption("a class lost from validation", "of the class", (0.25, 0.5, 0.75, 1.0), class_thinned("validation")),
    Corruption("a class lost from test", "of the class", (0.25, 0.5, 0.75, 1.0), class_thinned("test")),
    Corruption("rows lost", "rows", COUNTS, rows_lost),
    Corruption("rows twice", "rows", COUNTS, rows_twice),
    Corruption("copies in train", NEAR, COUNTS, copies("train", None)),
    Corruption("test images in train", NEAR, COUNTS, copies("test", None)),
    Corruption("validation images in train", NEAR, COUNTS, copies("validation", None)),
    Corruption("copies in train, a pixel ± 1", NEAR, COUNTS, copies("train", one_level)),
    Corruption("test images in train, a pixel ± 1", NEAR, COUNTS, copies("test", one_level)),
    Corruption("test images in train, noise of σ 4", NEAR, COUNTS, copies("test", noisy(4))),
    Corruption("test images in train, 5 % darker", NEAR, COUNTS, copies("test", levels(lambda found: 0.95 * found))),
    Corruption("test images in train, JPEG of quality 90", NEAR, COUNTS, copies("test", saved_as_jpeg(90))),
    Corruption("test images in train, moved by a pixel", NEAR, COUNTS, copies("test", moved(1))),
    Corruption("images of another kind", "of train", SHARES, foreign_images),
    Corruption("floats from 0 to 1", "of all", (1.0,), as_floats),
    Corruption("NaN", "pixels", COUNTS, nan_pixels),
    Corruption("lines cut off", "lines", (1, 4), cropped),
    Corruption("red and blue exchanged", "of train", SHARES, on_some(lambda given, rng: given[..., ::-1]), colour=True),
    Corruption(
        "colour lost",
        "of train",
        SHARES,
        on_some(lambda given, rng: given.mean(axis=3, keepdims=True).repeat(3, axis=3).astype("uint8")),
        colour=True,
    ),
    Corruption("all redder", "levels", (1, 2, 5, 20), on_all(colour_cast), colour=True),
)
