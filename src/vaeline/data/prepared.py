"""Prepared data: three splits of uint8 images with labels, source indices and a manifest.

The images of a split are in shards, .npy files of a bounded size that are memory-mapped: `train_images-00000.npy`, ….
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Integer, Shaped

from vaeline.artifacts import atomic_directory, digest, write_json
from vaeline.errors import VaelineError
from vaeline.images.digests import npy_digest
from vaeline.images.lazy import AnySource, ByteSource, LazyImages, read_parts
from vaeline.images.spec import ImageSpec, parse_spec
from vaeline.images.types import Labels
from vaeline.own_files import read_json

SPLITS = ("train", "validation", "test")
SHARD_BYTES = 2**28
"""The most bytes of a shard. A process that reads shards keeps each of them open, and may have 1,024 files open."""
SourceRows = tuple[Shaped[np.ndarray | LazyImages, "_ _ _ _"], Integer[np.ndarray, " _"], Integer[np.ndarray, " _"]]
"""Images and labels of a source, and the rows to take of them."""
IMAGES, TEST_MASKS = "images", "test_masks"
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

    images: AnySource
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
    test_masks: ByteSource | None = None

    @property
    def title(self) -> str:
        """The data set's name as figures and tables show it."""
        return self.manifest["title"]

    @property
    def classes(self) -> list[str]:
        """Names of the labels."""
        return self.manifest["classes"]


def mean_image(images: ByteSource) -> Float64[np.ndarray, "height width channels"]:
    """The mean image (height, width, channels) in [0, 1] of uint8 images, which are read in parts."""
    total = sum(part.sum(axis=0, dtype="float64") for part in read_parts(images, np.arange(len(images))))
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
    in parts, so that memory does not grow with the data. `images_sha256` is the `npy_digest` of a split's images, which
    does not depend on the size of shards. `shards` has the rows and the SHA-256 of each shard.

    Raises:
        VaelineError: the sources have images of different sizes.
    """
    shapes = {images.shape[1:] for images, _, _ in sources.values()}
    if len(shapes) > 1:
        raise VaelineError(f"{directory}: the images have different sizes, {' and '.join(map(str, sorted(shapes)))}")
    image = parse_spec(about.get("image") or ImageSpec.of_shape(shapes.pop()).model_dump(), str(directory))
    label_type = "uint8" if len(about["classes"]) <= 256 else "uint16"
    with atomic_directory(directory) as temporary:
        counts, shards = {}, {}
        for name, (images, labels, rows) in sources.items():
            shards[f"{name}_{IMAGES}"] = _write_shards(temporary, f"{name}_{IMAGES}", images, rows)
            np.save(temporary / f"{name}_labels.npy", labels[rows].astype(label_type))
            np.save(temporary / f"{name}_indices.npy", rows.astype("int64"))
            counts[name] = {
                "rows": len(rows),
                "rows_per_class": np.bincount(labels[rows], minlength=len(about["classes"])).tolist(),
                "images_sha256": npy_digest(_read_shards(temporary, f"{name}_{IMAGES}", shards, image.shape)),
                "labels_sha256": digest(temporary / f"{name}_labels.npy"),
            }
        if test_masks is not None:
            shards[TEST_MASKS] = _write_shards(temporary, TEST_MASKS, test_masks, np.arange(len(test_masks)))
        for file, by_split in (annotations or {}).items():
            for name, values in (by_split or {}).items():
                np.save(temporary / f"{name}_{file}", values)
        manifest = {**about, "image": image.model_dump(), "splits": counts, "shards": shards}
        write_json(temporary / "manifest.json", manifest)


def read_prepared(directory: Path) -> Prepared:
    """Open prepared data; images are read from memory maps.

    Raises:
        VaelineError: a file is missing, or an array does not agree with the manifest.
    """
    manifest_file = directory / "manifest.json"
    if not manifest_file.is_file():
        raise VaelineError(f"{directory}: no manifest.json; `dvc repro prepare` makes prepared data")
    manifest = read_json(manifest_file)
    image = parse_spec(manifest.get("image"), f"{manifest_file} ({AGAIN})")
    if "shards" not in manifest:
        raise VaelineError(f"{manifest_file}: names no shards, as before images were written in shards; {AGAIN}")
    splits = {name: _read_split(directory, name, manifest, image) for name in manifest["splits"]}
    masks = None
    if TEST_MASKS in manifest["shards"]:
        masks = _read_shards(directory, TEST_MASKS, manifest["shards"], (*image.shape[:2], 1))
    return Prepared(manifest, image, splits, masks)


def _write_shards(
    directory: Path, name: str, images: ByteSource, rows: Integer[np.ndarray, " rows"]
) -> list[dict[str, Any]]:
    """Write some rows of images as shards, a part at a time. Returns the number of rows and the SHA-256 of each."""
    most, shards = max(1, SHARD_BYTES // math.prod(images.shape[1:])), []
    for start in range(0, len(rows), most):
        file, taken = _shard(directory, name, len(shards)), rows[start : start + most]
        written = np.lib.format.open_memmap(file, mode="w+", dtype="uint8", shape=(len(taken), *images.shape[1:]))
        first = 0
        for part in read_parts(images, taken):
            written[first : first + len(part)] = part
            first += len(part)
        written.flush()
        shards.append({"rows": len(taken), "sha256": digest(file)})
    return shards


def _read_shards(
    directory: Path, name: str, shards: Mapping[str, Sequence[Mapping[str, Any]]], shape: tuple[int, int, int]
) -> LazyImages:
    """The images of this shape in the shards of this name, as one."""
    arrays = []
    for number, about in enumerate(shards[name]):
        file = _shard(directory, name, number)
        array = _load(file, about["rows"], mmap_mode="r")
        if array.shape[1:] != shape or array.dtype != np.uint8:
            found = f"{array.dtype} images of shape {array.shape[1:]}"
            raise VaelineError(f"{file}: has {found}, the manifest says uint8 of {shape}; {AGAIN}")
        arrays.append(np.asarray(array))  # rows of np.memmap take longer to read
    return LazyImages.stored(arrays)


def _shard(directory: Path, name: str, number: int) -> Path:
    return directory / f"{name}-{number:05}.npy"


def _read_split(directory: Path, name: str, manifest: Mapping[str, Any], image: ImageSpec) -> Split:
    rows = manifest["splits"][name]["rows"]
    images = _read_shards(directory, f"{name}_{IMAGES}", manifest["shards"], image.shape)
    arrays = [_load(directory / f"{name}_{part}.npy", rows) for part in ("labels", "indices")]
    more = [directory / f"{name}_{file}" for file in (SOURCE_SIZES, PICTURES)]
    return Split(images, *arrays, *[np.load(file) if file.is_file() else None for file in more])


def _load(file: Path, rows: int, mmap_mode: Literal["r"] | None = None) -> Shaped[np.ndarray, "rows ..."]:
    """The array in a file. Raises VaelineError if it cannot be read, or has another number of rows."""
    try:
        array = np.load(file, mmap_mode=mmap_mode, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise VaelineError(f"{file}: cannot be read ({error}); {AGAIN}") from None
    if len(array) != rows:
        raise VaelineError(f"{file}: {len(array)} rows, the manifest counts {rows}; {AGAIN}")
    return array
