"""Prepared data: three splits of memory-mapped uint8 images with labels, source indices and a manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Integer, Shaped, UInt8

from vaeline.artifacts import atomic_directory, digest, write_json
from vaeline.errors import VaelineError
from vaeline.images.digests import npy_digest
from vaeline.images.lazy import ByteSource, LazyImages, read_parts
from vaeline.images.spec import ImageSpec, parse_spec
from vaeline.images.types import AnyImages, ByteImages, Labels, Masks

SPLITS = ("train", "validation", "test")
ROWS_AT_A_TIME = 8192
SourceRows = tuple[Shaped[np.ndarray | LazyImages, "_ _ _ _"], Integer[np.ndarray, " _"], Integer[np.ndarray, " _"]]
"""Images and labels of a source, and the rows to take of them."""
TEST_MASKS = "test_masks.npy"
SOURCE_SIZES, PICTURES = "source_sizes.npy", "pictures.npy"
AGAIN = "`dvc repro prepare` makes it again"


@dataclass(frozen=True)
class Split:
    """Images (count, height, width, channels), uint8 in prepared data, their labels (count,) and source rows (count,).

    `indices` are rows of the source's training images; for `test`, rows of its test images if it has a test set.
    `source_sizes` (count, 2) are height and width of the pictures that were read, 0 where they are unknown; None if all
    are unknown. `pictures` (count,) are the numbers of the pictures whose tiles the images are, −1 where they are
    whole images; None if no picture is cut into tiles.
    """

    images: AnyImages
    labels: Labels
    indices: Integer[np.ndarray, " count"]
    source_sizes: Integer[np.ndarray, "count 2"] | None = None
    pictures: Integer[np.ndarray, " count"] | None = None


@dataclass(frozen=True)
class Prepared:
    """The three splits, the size of their images, and the manifest that describes them.

    `test_masks` (count, height, width, 1) are 255 where a test image is defective; None if the source has no masks.
    """

    manifest: dict[str, Any]
    image: ImageSpec
    splits: dict[str, Split]
    test_masks: Masks | None = None

    @property
    def title(self) -> str:
        """The data set's name as figures and tables show it."""
        return self.manifest["title"]

    @property
    def classes(self) -> list[str]:
        """Names of the labels."""
        return self.manifest["classes"]


def mean_image(images: ByteImages) -> Float64[np.ndarray, "height width channels"]:
    """The mean image (height, width, channels) in [0, 1] of uint8 images, which are read in parts."""
    starts = range(0, len(images), ROWS_AT_A_TIME)
    total = sum(images[start : start + ROWS_AT_A_TIME].sum(axis=0, dtype="float64") for start in starts)
    return total / (255 * len(images))


def write_prepared(
    directory: Path,
    sources: dict[str, SourceRows],
    about: dict,
    test_masks: ByteSource | None = None,
    annotations: Mapping[str, Mapping[str, Integer[np.ndarray, "..."]] | None] | None = None,
) -> None:
    """Write splits given as (source images, source labels, rows to take), and `manifest.json`, in one step.

    `test_masks` (count, height, width, 1) are those of the test images. `annotations` are the `source_sizes` and the
    `pictures` of each split, by SOURCE_SIZES and PICTURES.

    Images are (count, height, width, channels) uint8 of one size, which the manifest names as `image`. They are copied
    in parts, so that memory does not grow with the data. `images_sha256` is the `npy_digest` of a split's images.

    Raises:
        VaelineError: the sources have images of different sizes.
    """
    shapes = {images.shape[1:] for images, _, _ in sources.values()}
    if len(shapes) > 1:
        raise VaelineError(f"{directory}: the images have different sizes, {' and '.join(map(str, sorted(shapes)))}")
    image = parse_spec(about.get("image") or ImageSpec.of_shape(shapes.pop()).model_dump(), str(directory))
    label_type = "uint8" if len(about["classes"]) <= 256 else "uint16"
    with atomic_directory(directory) as temporary:
        counts = {}
        for name, (images, labels, rows) in sources.items():
            written = _write_images(temporary / f"{name}_images.npy", images, rows)
            np.save(temporary / f"{name}_labels.npy", labels[rows].astype(label_type))
            np.save(temporary / f"{name}_indices.npy", rows.astype("int64"))
            counts[name] = {
                "rows": len(rows),
                "rows_per_class": np.bincount(labels[rows], minlength=len(about["classes"])).tolist(),
                "images_sha256": npy_digest(written),
                "labels_sha256": digest(temporary / f"{name}_labels.npy"),
            }
        if test_masks is not None:
            _write_images(temporary / TEST_MASKS, test_masks, np.arange(len(test_masks)))
        for file, by_split in (annotations or {}).items():
            for name, values in (by_split or {}).items():
                np.save(temporary / f"{name}_{file}", values)
        write_json(temporary / "manifest.json", {**about, "image": image.model_dump(), "splits": counts})


def read_prepared(directory: Path) -> Prepared:
    """Open prepared data; images are memory maps.

    Raises:
        VaelineError: a file is missing, or an array does not agree with the manifest.
    """
    manifest_file = directory / "manifest.json"
    if not manifest_file.is_file():
        raise VaelineError(f"{directory}: no manifest.json; `dvc repro prepare` makes prepared data")
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    image = parse_spec(manifest.get("image"), f"{manifest_file} ({AGAIN})")
    splits = {name: _read_split(directory, name, manifest["splits"][name]["rows"]) for name in manifest["splits"]}
    for name, split in splits.items():
        if split.images.shape[1:] != image.shape or split.images.dtype != np.uint8:
            found = f"{split.images.dtype} images of shape {split.images.shape[1:]}"
            raise VaelineError(f"{directory}: {name} has {found}, the manifest says uint8 of {image.shape}; {AGAIN}")
    masks = directory / TEST_MASKS
    return Prepared(manifest, image, splits, np.load(masks, mmap_mode="r") if masks.is_file() else None)


def _write_images(
    path: Path, images: ByteSource, rows: Integer[np.ndarray, " rows"]
) -> UInt8[np.ndarray, "rows height width channels"]:
    """Write some rows of images as an .npy file, a part at a time. Returns them as a memory map."""
    written = np.lib.format.open_memmap(path, mode="w+", dtype="uint8", shape=(len(rows), *images.shape[1:]))
    first = 0
    for part in read_parts(images, rows):
        written[first : first + len(part)] = part
        first += len(part)
    written.flush()
    return written


def _read_split(directory: Path, name: str, rows: int) -> Split:
    arrays = []
    for part in ("images", "labels", "indices"):
        file = directory / f"{name}_{part}.npy"
        try:
            arrays.append(np.load(file, mmap_mode="r" if part == "images" else None, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise VaelineError(f"{file}: cannot be read ({error}); {AGAIN}") from None
        if len(arrays[-1]) != rows:
            raise VaelineError(f"{file}: {len(arrays[-1])} rows, the manifest counts {rows}; {AGAIN}")
    more = [directory / f"{name}_{file}" for file in (SOURCE_SIZES, PICTURES)]
    return Split(*arrays, *[np.load(file) if file.is_file() else None for file in more])
