"""The pictures of a folder or a table, with the labels and splits that their places give."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaeline.errors import VaelineError
from vaeline.images import pictures
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import OWN, Limit
from vaeline.images.reader import visible_files

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
MASK_FOLDERS = frozenset({"ground_truth", "masks"})
PATH_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS = ("path", "file", "filename", "image"), ("label", "class"), ("split",)


@dataclass(frozen=True)
class PictureFiles:
    """Files of pictures; the label, split, mask and group of each, where there are any; other files, by ending."""

    files: tuple[Path, ...]
    labels: tuple[str, ...] | None
    splits: tuple[str, ...] | None
    ignored: Mapping[str, int]
    masks: tuple[Path | None, ...] | None = None
    groups: tuple[str, ...] | None = None

    def without(self, files: set[Path]) -> "PictureFiles":
        """The same without some files."""
        kept = [row for row, file in enumerate(self.files) if file not in files]
        return PictureFiles(
            tuple(self.files[row] for row in kept),
            self.labels and tuple(self.labels[row] for row in kept),
            self.splits and tuple(self.splits[row] for row in kept),
            self.ignored,
            self.masks and tuple(self.masks[row] for row in kept),
            self.groups and tuple(self.groups[row] for row in kept),
        )


def find_picture_files(folder: Path, groups: str = "", most_files: Limit = OWN.files) -> PictureFiles:
    """The pictures below a folder, by their names.

    Folders that all pictures share say nothing. Below them, folders named train, validation and test are splits, and
    the next folder is the label. Pictures that lie in no such folder have no label. Folders named masks and
    ground_truth hold masks of defects. A mask belongs to the picture of its name, with or without `_mask`, in a folder
    of the same name.

    groups: a regular expression with one group, which finds the name of each picture's group in its path below the
        folder; empty if there are no groups.

    Raises:
        VaelineError: there is no picture, some pictures have a label or a split and others have none, there are too
            many files, or `groups` is no such expression.
    """
    files, mask_files, ignored = [], [], Counter()
    for file in visible_files(folder, most_files):
        if file.suffix.lower() not in pictures.ENDINGS:
            ignored[file.suffix.lower() or "no ending"] += 1
        elif any(part.lower() in MASK_FOLDERS for part in file.relative_to(folder).parent.parts):
            mask_files.append(file)
        else:
            files.append(file)
    if not files:
        others = f"; it holds {said_of(ignored)}" if ignored else ""
        raise VaelineError(f"{folder}: no pictures ({pictures.NAMES_OF_FORMATS}){others}; see data/own/README.md")
    places = [file.relative_to(folder).parent.parts for file in files]
    shared = _shared(places)
    places = [place[shared:] for place in places]
    splits = _splits(files, places)
    if splits:
        places = [place[1:] for place in places]
    labels = [place[0] if place else "" for place in places]
    if any(labels) and "" in labels:
        loose = files[labels.index("")]
        raise VaelineError(f"{loose}: lies beside labelled sub-folders; put every picture into a sub-folder, or none")
    return PictureFiles(
        tuple(files),
        tuple(labels) if any(labels) else None,
        splits,
        ignored,
        _masks(folder, files, mask_files),
        _groups_of_names(folder, groups, [file.relative_to(folder).as_posix() for file in files]) if groups else None,
    )


def read_picture_table(path: Path, groups: str = "") -> PictureFiles:
    """The pictures that a table names: CSV or Parquet with a column path, and label and split where it has them.

    Paths are relative to the table's folder.

    groups: the name of the column of groups, or an expression for paths as in `find_picture_files`.

    Raises:
        UnreadableImagesError: it is no such table, a file is not there, or a value is missing.
        VaelineError: `groups` is neither a column nor such an expression.
    """
    table = _read_table(path)
    columns = {str(name).strip().lower(): name for name in table.columns}
    found = [
        next((columns[name] for name in names if name in columns), None)
        for names in (PATH_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS)
    ]
    if found[0] is None:
        raise UnreadableImagesError(f"columns {', '.join(columns)}; expected path, and label if there are labels", path)
    group = columns.get(groups.strip().lower()) if groups else None
    if table.empty or table[[name for name in (*found, group) if name]].isna().any(axis=None):
        raise UnreadableImagesError("has no rows, or rows without a path, a label, a split or a group", path)
    files = tuple(path.parent / name for name in table[found[0]])
    if missing := [row for row, file in enumerate(files) if not file.is_file()]:
        raise UnreadableImagesError(f"row {missing[0] + 1}: {files[missing[0]]} is no file", path)
    labels = None if found[1] is None else tuple(table[found[1]])
    splits = None if found[2] is None else tuple(_split_of(path, name) for name in table[found[2]])
    if group is not None:
        names = tuple(table[group])
    else:
        names = _groups_of_names(path, groups, table[found[0]].tolist(), tuple(columns)) if groups else None
    return PictureFiles(files, labels, splits, {}, groups=names)


def is_picture_table(path: Path) -> bool:
    """Whether a file is a table of paths, by its name and its columns."""
    if path.suffix.lower() == ".csv":
        return True
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return False  # the reader of Parquet images says what is wrong
    names = [name for name in schema.names if name.lower() in PATH_COLUMNS]
    kinds = [schema.field(name).type for name in names]
    return any(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in kinds)


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts `class 10` behind `class 9`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def said_of(counts: Mapping[str, int]) -> str:
    """Counts by ending as a message shows them: `3 of .txt, 1 of .md`."""
    return ", ".join(f"{count:,} of {ending}" for ending, count in sorted(counts.items()))


def _shared(places: Sequence[tuple[str, ...]]) -> int:
    """How many leading folders all places share. The last one is kept where nothing else would be left."""
    shared = 0
    while all(len(place) > shared and place[shared] == places[0][shared] for place in places):
        shared += 1
    return shared - 1 if shared and all(len(place) == shared for place in places) else shared


def _splits(files: Sequence[Path], places: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    names = [place[0].lower() if place else "" for place in places]
    found = {SPLIT_NAMES.get(name) for name in names}
    if "train" not in found or not found & {"validation", "test"}:
        return None
    if others := [row for row, name in enumerate(names) if name not in SPLIT_NAMES]:
        raise VaelineError(f"{files[others[0]]}: lies beside the folders of the splits, in none of them")
    return tuple(SPLIT_NAMES[name] for name in names)


def _masks(folder: Path, files: Sequence[Path], mask_files: Sequence[Path]) -> tuple[Path | None, ...] | None:
    """The mask of each picture, or None where it has none; None for all if there are no masks.

    Raises:
        VaelineError: a mask belongs to no picture.
    """
    if not mask_files:
        return None
    masks = {(file.parent.name, file.stem.removesuffix("_mask")): file for file in mask_files}
    found = tuple(masks.pop((file.parent.name, file.stem), None) for file in files)
    if masks:
        first = next(iter(masks.values()))
        raise VaelineError(f"{first}: a mask of no picture ({len(masks):,} such in {folder}); name it like its picture")
    return found


def _groups_of_names(path: Path, pattern: str, names: Sequence[str], columns: Sequence[str] = ()) -> tuple[str, ...]:
    """The part of each name that the pattern's only group matches.

    Raises:
        VaelineError: the pattern is no regular expression with one group, or does not fit a name.
    """
    where = f"{path}: data.groups {pattern!r} is"
    no_column = f" no column ({', '.join(columns)}) and" if columns else ""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise VaelineError(f"{where}{no_column} no regular expression ({error})") from None
    if expression.groups != 1:
        raise VaelineError(f"{where}{no_column} no regular expression with one group, such as '^([^_]+)_'")
    found = [expression.search(name) for name in names]
    if misfit := next((name for name, match in zip(names, found, strict=True) if not match or not match[1]), None):
        raise VaelineError(f"{path}: data.groups {pattern!r} finds no group in the name {misfit!r}")
    return tuple(match[1] for match in found if match)


def _split_of(path: Path, name: str) -> str:
    if name.strip().lower() not in SPLIT_NAMES:
        raise UnreadableImagesError(f"split {name!r}; expected train, validation or test", path)
    return SPLIT_NAMES[name.strip().lower()]


def _read_table(path: Path) -> pd.DataFrame:
    try:
        table = (
            pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
            if path.suffix.lower() == ".csv"
            else pd.read_parquet(path)
        )
    except (OSError, ValueError) as error:
        raise UnreadableImagesError(f"not a readable table ({' '.join(str(error).split())[:200]})", path) from None
    return table.astype("string")
