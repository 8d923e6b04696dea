"""Accepted batches: their records in git, their rows in DVC, and how they join the splits of the source.

`data/accepted/<id>.json` describes a batch and names its rows by their digest. `data/batches/<id>.npz` holds the rows;
DVC tracks it by `<id>.npz.dvc`. Every clone has all records, so the records alone determine the prepared data.
"""

import hashlib
import json
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from vaeline.data.near_duplicates import Groups, find_duplicates
from vaeline.data.prepared import SourceRows
from vaeline.errors import VaelineError
from vaeline.images.digests import image_digests
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.lazy import ByteSource, LazyImages, first_rows, read_parts
from vaeline.images.stacks import as_stack
from vaeline.images.types import AnyImages, Labels
from vaeline.processes import run_redacted

ACCEPTED = Path("data/accepted")
BATCHES = Path("data/batches")


@dataclass(frozen=True)
class Rows:
    """Rows of a batch: images (count, height, width, channels) uint8, labels (count,) or None, and their numbers.

    Labels are uint8, or uint16 if there are more than 256 classes. `numbers` (count,) are the positions of the rows in
    the batch as it arrived.
    """

    images: AnyImages
    labels: Labels | None
    numbers: Integer[np.ndarray, " count"]


def rows_digest(images: AnyImages, labels: Labels | None) -> str:
    """SHA-256 of images (count, height, width, channels) with their labels, independent of their order.

    It depends on the dtype and the size of the images. The size of grey images has no channels, so that the digest
    equals those in records from before images had channels.
    """
    marks = [b""] * len(images) if labels is None else [_mark(label) for label in labels]
    rows = sorted(image + mark for image, mark in zip(image_digests(images), marks, strict=True))
    size = images.shape[1:3] if images.shape[3] == 1 else images.shape[1:]
    about = f"{images.dtype} {size} {'un' if labels is None else ''}labelled\n"
    return hashlib.sha256(about.encode() + b"".join(rows)).hexdigest()


def _mark(label: int) -> bytes:
    return bytes([label]) if label < 256 else int(label).to_bytes(2, "big")


def read_records(dataset: str) -> list[dict[str, Any]]:
    """The records of all accepted batches of a data set, by id.

    Raises:
        VaelineError: a record cannot be read.
    """
    records = []
    for file in sorted(ACCEPTED.glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["id"] != file.stem:
                raise ValueError(f"its id is {record['id']!r}")
        except (ValueError, KeyError, TypeError) as error:
            raise VaelineError(f"{file}: is no record of a batch ({error}); restore it with `git checkout`") from None
        if record["dataset"] == dataset:
            records.append(record)
    return records


def rows_file(batch: str) -> Path:
    """The file with the rows of a batch."""
    return BATCHES / f"{batch}.npz"


def write_rows(path: Path, rows: Rows) -> None:
    """Write rows as an .npz; equal rows give equal bytes."""
    arrays: dict[str, Any] = {"images": rows.images, "numbers": rows.numbers.astype("int64")}
    if rows.labels is not None:
        arrays["labels"] = rows.labels
    np.savez_compressed(path, **arrays)


def read_rows(record: Mapping[str, Any]) -> Rows:
    """The rows of an accepted batch, checked against the digest in its record.

    Raises:
        VaelineError: the file is missing or broken, or holds other rows.
    """
    path = rows_file(record["id"])
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rows = Rows(as_stack(arrays["images"]), arrays["labels"] if record["labelled"] else None, arrays["numbers"])
            found = rows_digest(rows.images, rows.labels)
    except FileNotFoundError:
        raise VaelineError(f"{path}: is missing; fetch it with `dvc pull {path}`") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, UnreadableImagesError) as error:
        raise VaelineError(f"{path}: is broken ({error}); remove it, then run `dvc pull {path}`") from None
    if found != record["kept_sha256"]:
        raise VaelineError(f"{path}: holds other rows than its record names; restore it with `dvc checkout {path}`")
    return rows


def unpack_rows(record: Mapping[str, Any], folder: Path) -> Rows:
    """As `read_rows`, but the images are a memory map of a file in `folder`: of many batches, one is in memory."""
    rows, file = read_rows(record), folder / f"{record['id']}.npy"
    np.save(file, rows.images)
    return replace(rows, images=np.load(file, mmap_mode="r"))


def fetch_rows(records: Iterable[Mapping[str, Any]]) -> None:
    """Fetch missing rows from DVC's cache or its remote.

    Raises:
        VaelineError: neither has them.
    """
    missing = [str(path) for record in records if not (path := rows_file(record["id"])).is_file()]
    if not missing:
        return
    failed = run_redacted([sys.executable, "-m", "dvc", "pull", *missing])
    if failed or not all(Path(path).is_file() for path in missing):
        raise VaelineError(
            f"{', '.join(missing)}: accepted, but neither here nor in DVC's remote; run `dvc push` in the repository "
            "that accepted it"
        )


def merge(
    splits: Mapping[str, SourceRows],
    batches: Sequence[tuple[str, Rows]],
    one_in: int,
    good: int | None = None,
    distance: int | None = None,
) -> tuple[dict[str, SourceRows], list[dict[str, Any]]]:
    """The splits of a source with labelled batches added to train and validation, and the numbers of rows they added.

    Images that a split or an earlier batch holds are dropped. One image in `one_in` goes to validation, the others to
    train. This depends on the pixels of the image alone, so no other row or batch can move it. Test does not change.
    If only images of the class `good` are trained on, rows of other classes are left out. Rows of batches are numbered
    after those of the source; `first` is the number of a batch's first row.

    With a `distance` (`find_duplicates`), images that look alike stay in one split: an image goes where its look-alikes
    are, and is dropped if one of them is in test.

    splits: train and validation, whose images are the same source, and test.
    """
    known = {image for images, _, rows in splits.values() for image in _digests_of(images, rows)}
    images, labels, _ = splits["train"]
    taken = {name: [splits[name][2]] for name in ("train", "validation")}
    groups, split_of = _look_alikes(splits, [rows for _, rows in batches], distance)
    about, first = [], len(labels)
    for (batch, rows), group in zip(batches, groups, strict=True):
        joining: dict[str, list[int]] = {name: [] for name in taken}
        for number, image in enumerate(image_digests(rows.images)):
            if image not in known and (good is None or rows.labels is None or rows.labels[number] == good):
                known.add(image)
                own = "validation" if validates(image, one_in) else "train"
                if (split := split_of.setdefault(group[number], own)) in joining:
                    joining[split].append(first + number)
        for name, numbers in joining.items():
            taken[name].append(np.array(numbers, "int64"))
        counts = {name: len(numbers) for name, numbers in joining.items()}
        about.append({"id": batch, "first": first, "rows": len(rows.images), **counts})
        first += len(rows.images)
    all_images = LazyImages.stored([images, *(rows.images for _, rows in batches)])
    all_labels = np.concatenate([labels, *(rows.labels for _, rows in batches)])
    return {
        **splits,
        **{name: (all_images, all_labels, np.concatenate(numbers)) for name, numbers in taken.items()},
    }, about


def validates(digest: bytes, one_in: int) -> bool:
    """Whether the image with this digest goes to validation, as one in `one_in` does."""
    return int.from_bytes(digest[:8], "big") % one_in == 0


def _look_alikes(
    splits: Mapping[str, SourceRows], batches: Sequence[Rows], distance: int | None
) -> tuple[list[Groups], dict[int, str]]:
    """The group of look-alikes of each row of each batch, and the split of each group that the source has.

    Without a distance, each row has a group of its own.
    """
    ends = np.cumsum([len(rows.images) for rows in batches])
    if distance is None:
        return np.split(np.arange(ends[-1]), ends[:-1]), {}
    parts = [*(images for images, _, _ in splits.values()), *(rows.images for rows in batches)]
    taken = [*(rows for _, _, rows in splits.values()), *(np.arange(len(rows.images)) for rows in batches)]
    rows = np.concatenate([a + b for a, b in zip(first_rows(parts), taken, strict=True)])
    alike = find_duplicates(parts, rows, distance).alike
    groups = np.split(alike, np.cumsum([len(rows) for rows in taken[:-1]]))
    of_split = dict(zip(splits, groups, strict=False))
    split_of = {group: name for name in ("train", "validation", "test") for group in of_split[name].tolist()}
    return groups[len(splits) :], split_of


def _digests_of(images: ByteSource, rows: Integer[np.ndarray, " rows"]) -> Iterable[bytes]:
    for part in read_parts(images, rows):
        yield from image_digests(part)
