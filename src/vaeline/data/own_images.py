"""A user's own images, read into one array on disk: their size chosen, every unusable file named."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from vaeline.data.groups import group_images, search_distance
from vaeline.data.image_sets import find_images, is_picture_folder, name_classes, read_image_set
from vaeline.data.image_size import choose_spec, given_spec
from vaeline.data.near_duplicates import Groups
from vaeline.data.picture_files import PictureFiles, find_picture_files, is_picture_table, read_picture_table, said_of
from vaeline.errors import VaelineError
from vaeline.images.errors import UnreadableImagesError, named
from vaeline.images.fitting import fit_in_parts
from vaeline.images.lazy import ByteSource, LazyImages
from vaeline.images.limits import Limit, Limits
from vaeline.images.parallel import Unusable, read_all
from vaeline.images.parquet import has_flat_lists, read_groups, read_parquet_headers
from vaeline.images.picture_array import read_into
from vaeline.images.pictures import Header, read_header
from vaeline.images.spec import ImageSpec
from vaeline.images.tiles import count_tiles, read_tiles
from vaeline.images.types import Masks
from vaeline.params.data import AUTO, ImageParams, NearDuplicates

DVC_ROOT = "DVC_ROOT"  # DVC tells its stages the repository, also in the temporary folder of an experiment
TILED_AT_ONCE = 1  # pictures that a reading process holds, because they may be large
HALF = 127
USUAL_GOOD = "good"
GREY_SQUARE = ImageSpec(height=8, width=8, channels=1)  # a flat list of numbers without a size is a grey square
SAY_SIZE = "say height, width and channels in data.image"
SPLITS_OF_SOURCES = ("train", "validation", "test")


@dataclass(frozen=True)
class Reading:
    """How own images are read: the keys of `data` with these names."""

    image: ImageParams
    good: str
    unreadable: int
    limits: Limits
    groups: str = ""
    near_duplicates: NearDuplicates = AUTO


@dataclass(frozen=True)
class OwnImages:
    """Images (count, height, width, channels) uint8, labels (count,), and the rows of each split that the source has.

    `masks` (count, height, width, 1) are 255 where a picture is defective, or None if the source has no masks.

    `source_sizes` (count, 2) are height and width of the pictures in pixels, or None if the source has no pictures.

    Images with the same number in `groups` (count,) must stay in one split; None if there are no groups.

    `pictures` (count,) are the numbers of the pictures whose tiles the images are, or None if pictures are not cut.

    `notes` are sentences for the user: the chosen size, what was left out. `unusable` names the files left out.
    """

    images: ByteSource
    labels: np.ndarray
    classes: tuple[str, ...]
    rows: dict[str, np.ndarray]
    spec: ImageSpec
    notes: tuple[str, ...]
    about: dict[str, Any]
    unusable: tuple[Unusable, ...] = ()
    masks: Masks | None = None
    groups: Groups | None = None
    source_sizes: Integer[np.ndarray, "_ 2"] | None = None
    pictures: Integer[np.ndarray, " _"] | None = None


class UnusableFilesError(VaelineError):
    """More files cannot be used than `data.unreadable` allows; `unusable` names all of them."""

    def __init__(self, message: str, unusable: Sequence[Unusable]) -> None:
        super().__init__(message)
        self.unusable = tuple(unusable)


def read_own_images(path: Path, settings: Reading, cache: Path, spec: ImageSpec | None = None) -> OwnImages:
    """The images at `path`, in the size that `data.image` says, or in that of `spec`.

    Pictures are read in parallel, into an array below `cache`. A reading that was stopped goes on there.

    Raises:
        UnusableFilesError: more files cannot be used than settings.unreadable allows.
        VaelineError: there are no images, or labels do not fit them.
    """
    if not path.exists() and (Path(os.environ.get(DVC_ROOT, ".")) / path).exists():
        raise VaelineError(
            f"{path}: git ignores it, so DVC's temporary folder of an experiment lacks it; add `--copy-paths {path}` "
            "to `dvc exp run`"
        )
    found = _picture_files(path, settings)
    return _read_arrays(path, settings, spec) if found is None else _read_files(path, found, settings, cache, spec)


def source_spec(path: Path, settings: Reading) -> ImageSpec:
    """The size in which `read_own_images` would keep the images at `path`. Only headers of pictures are read.

    Raises:
        VaelineError: there are no images.
    """
    found = _picture_files(path, settings)
    if found is None:
        return _array_spec(path, settings)[0]
    return choose_spec(_read_headers(path, found, settings)[0], settings.image)[0]


def _picture_files(path: Path, settings: Reading) -> PictureFiles | None:
    """The files of pictures; None where the source is one file of images, or a folder of IDX files."""
    if path.is_dir() and is_picture_folder(path):
        return find_picture_files(path, settings.groups, settings.limits.files)
    return read_picture_table(path, settings.groups) if is_picture_table(path) else None


def _read_headers(path: Path, found: PictureFiles, settings: Reading) -> tuple[list[Header], list[Unusable]]:
    if len(found.files) > settings.limits.images.most:
        raise VaelineError(f"{path}: {len(found.files):,} pictures, {settings.limits.images}")
    read = partial(read_header, most_pixels=settings.limits.pixels)
    results = list(read_all(read, found.files, "headers"))
    headers = [result for result in results if isinstance(result, Header)]
    unusable = [result for result in results if isinstance(result, Unusable)]
    if not headers:
        raise _too_many(path, unusable, len(found.files), settings.unreadable)
    return headers, unusable


def _read_files(path: Path, found: PictureFiles, settings: Reading, cache: Path, spec: ImageSpec | None) -> OwnImages:
    headers, unusable = _read_headers(path, found, settings)
    chosen, sentence = choose_spec(headers, settings.image)
    spec = spec or chosen
    usable = found.without({item.file for item in unusable})
    counts = [count_tiles(header.height, header.width, spec) for header in headers]
    if sum(counts) > settings.limits.images.most:
        raise VaelineError(f"{path}: {sum(counts):,} tiles, {settings.limits.images}")
    images, broken = read_into(usable.files, spec, settings.limits.pixels, cache, counts)
    unusable += broken
    if len(unusable) > settings.unreadable or len(broken) == len(usable.files):
        raise _too_many(path, unusable, len(found.files), settings.unreadable)
    lost = {item.file for item in broken}
    owner = np.repeat(np.arange(len(usable.files)), counts)
    kept = np.array([row for row, picture in enumerate(owner) if usable.files[picture] not in lost])
    names = None if usable.labels is None else [usable.labels[picture] for picture in owner[kept]]
    labels, classes = name_classes(path, names, len(kept))
    places = np.array(usable.splits or ["train"] * len(usable.files))[owner[kept]]
    good = _good_class(path, classes, settings.good)
    if usable.splits and good is not None:
        places[labels != good] = "test"
    rows = {name: kept[taken] for name, taken in _rows_by_split(path, places).items()}
    distance = search_distance(settings.near_duplicates, is_own=not spec.tile)  # tiles of plain surfaces look alike
    groups, duplicates, said = group_images(images, rows, _groups_of(usable, owner, spec), distance)
    about = {"left_out": len(unusable), "ignored": dict(found.ignored)} | _about_good(classes, good) | duplicates
    notes = [sentence, *_notes(headers, found, unusable), *_note_of_good(classes, good), *said]
    label_of_row = np.zeros(len(owner), labels.dtype)
    label_of_row[kept] = labels
    sizes = np.array([(header.height, header.width) for header in headers], "int32")
    masks = None if usable.masks is None else read_masks(usable.masks, spec, settings.limits.pixels, sizes)
    facts = (tuple(notes), about, tuple(unusable), masks, groups, sizes[owner], owner if spec.tile else None)
    return OwnImages(images, label_of_row, classes, rows, spec, *facts)


def _groups_of(usable: PictureFiles, owner: Integer[np.ndarray, " count"], spec: ImageSpec) -> list[str] | None:
    """The name of each image's group: that of its picture, or the picture itself if it is cut into tiles."""
    if usable.groups is None and not spec.tile:
        return None
    names = usable.groups or [str(file) for file in usable.files]
    return [names[picture] for picture in owner]


def _good_class(path: Path, classes: tuple[str, ...], name: str) -> int | None:
    """The number of the class that alone is trained on; None if all are.

    Raises:
        VaelineError: `name` is not the usual one, and there is no such class.
    """
    if name not in classes and name != USUAL_GOOD:
        raise VaelineError(f"{path}: no class {name!r} (data.good); the classes are {', '.join(classes)}")
    return classes.index(name) if name in classes else None


def _about_good(classes: tuple[str, ...], good: int | None) -> dict[str, Any]:
    return {} if good is None else {"good": classes[good]}


def _note_of_good(classes: tuple[str, ...], good: int | None) -> list[str]:
    if good is None:
        return []
    others = [name for number, name in enumerate(classes) if number != good]
    tested = f"; {', '.join(others)} only test" if others else ""
    return [f"only pictures of {classes[good]!r} are trained on{tested}"]


def _rows_by_split(path: Path, places: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of each split that there is. Raises VaelineError if no row is trained on."""
    rows = {name: np.flatnonzero(places == name) for name in SPLITS_OF_SOURCES if (places == name).any()}
    if "train" not in rows:
        raise VaelineError(f"{path}: no image to train on; all are in the splits {' and '.join(rows)}")
    return rows


def _too_many(path: Path, unusable: Sequence[Unusable], count: int, allowed: int) -> UnusableFilesError:
    said = f"{len(unusable):,} of {count:,} pictures cannot be used (data.unreadable allows {allowed:,})"
    return UnusableFilesError(f"{path}: {said}, such as {unusable[0].file}: {unusable[0].reason}", unusable)


def _array_spec(path: Path, settings: Reading) -> tuple[ImageSpec, str]:
    headers = read_parquet_headers(path, settings.limits) if path.suffix.lower() == ".parquet" else None
    if headers is not None:
        return choose_spec(headers, settings.image)
    given = given_spec(settings.image)
    is_open = path.suffix.lower() == ".parquet" and given is None and has_flat_lists(path)
    try:
        images = find_images(path, given or GREY_SQUARE, settings.limits).images
    except UnreadableImagesError as error:
        raise UnreadableImagesError(f"{error.reason}; {SAY_SIZE}" if is_open else error.reason, error.file) from None
    height, width, channels = images.shape[1:]
    spec, sentence = choose_spec([Header(height, width, channels == 3, 1)] * len(images), settings.image)
    taken = f"; lists of {height * width:,} numbers were taken for grey squares, if they are not, {SAY_SIZE}"
    return spec, sentence + (taken if is_open else "")


def _read_arrays(path: Path, settings: Reading, spec: ImageSpec | None) -> OwnImages:
    chosen, sentence = _array_spec(path, settings)
    spec = spec or chosen
    if spec.tile:
        raise VaelineError(f"{path}: holds arrays; only pictures are cut into tiles (data.image.tile)")
    with named(path):
        found = read_image_set(path, spec, settings.limits)
        parts, labels = [fit_in_parts(found.images, spec)], found.labels
        places = np.full(len(labels), "train")
        good = _good_class(path, found.classes, settings.good)
        if found.test_images is not None and found.test_labels is not None:
            parts.append(fit_in_parts(found.test_images, spec))
            labels = np.concatenate([labels, found.test_labels])
            places = np.concatenate([places, np.full(len(found.test_labels), "test")])
            if good is not None:
                places[labels != good] = "test"
    images, rows = LazyImages.stored(parts), _rows_by_split(path, places)
    names = read_groups(path, settings.groups) if settings.groups else None
    groups, duplicates, said = group_images(images, rows, names, search_distance(settings.near_duplicates, is_own=True))
    about = {"left_out": 0, "ignored": {}} | _about_good(found.classes, good) | duplicates
    notes = (sentence, *_note_of_good(found.classes, good), *said)
    return OwnImages(images, labels, found.classes, rows, spec, notes, about, groups=groups)


def read_masks(
    files: Sequence[Path | None], spec: ImageSpec, most_pixels: Limit, sizes: Integer[np.ndarray, "files 2"]
) -> Masks:
    """Masks (count, height, width, 1), 0 or 255, fitted or cut like their pictures; 0 where a picture has none.

    sizes: height and width of the pictures.

    Raises:
        UnreadableImagesError: a mask cannot be read, or a picture is cut into tiles and its mask has another size.
    """
    grey = ImageSpec(height=spec.height, width=spec.width, channels=1, fit=spec.fit, tile=spec.tile)
    counts = [count_tiles(*size, spec) for size in sizes]
    ends, masks = np.cumsum(counts), np.zeros((sum(counts), *grey.shape), "uint8")
    rows = [row for row, file in enumerate(files) if file is not None]
    read, given = partial(read_tiles, spec=grey, most_pixels=most_pixels), [file for file in files if file is not None]
    at_once = TILED_AT_ONCE if spec.tile else None
    for row, mask in zip(rows, read_all(read, given, "masks", at_once), strict=True):
        if isinstance(mask, Unusable):
            raise UnreadableImagesError(mask.reason, mask.file)
        if len(mask) != counts[row]:
            raise UnreadableImagesError("this mask and its picture have different sizes", files[row])
        masks[ends[row] - counts[row] : ends[row]] = np.where(mask > HALF, 255, 0)
    return masks


def drop_cache(cache: Path) -> None:
    """Remove what stopped readings have left, after one has succeeded."""
    shutil.rmtree(cache, ignore_errors=True)


def _notes(headers: Sequence[Header], found: PictureFiles, unusable: Sequence[Unusable]) -> list[str]:
    notes = []
    if animated := sum(header.frames > 1 for header in headers):
        notes.append(f"{animated:,} pictures have several frames; the first frame is read")
    if found.ignored:
        notes.append(f"files that are no pictures by their ending were passed over: {said_of(found.ignored)}")
    if unusable:
        notes.append(f"{len(unusable):,} of {len(found.files):,} pictures cannot be used and were left out")
    return notes
