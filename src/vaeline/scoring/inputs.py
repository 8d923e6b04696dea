"""The images of a large source: which files there are, how many images each has, and how some of them are read.

A source is a folder of pictures, .npy and .parquet files, or one such file; on this machine, or at a URI that fsspec
knows. Rows are numbered through all files, in the order of their names.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64, Shaped
from tqdm import tqdm

from vaeline.artifacts import canonical_json
from vaeline.errors import VaelineError
from vaeline.images.arrays import to_unit
from vaeline.images.errors import UnreadableImagesError, named
from vaeline.images.fitting import fit_images, inverted
from vaeline.images.limits import OWN, Limit
from vaeline.images.parquet import IMAGE_NAMES, read_images
from vaeline.images.pictures import ENDINGS, read_picture
from vaeline.images.reader import LITTER
from vaeline.images.spec import ImageSpec
from vaeline.images.stacks import as_stack
from vaeline.images.types import Images
from vaeline.ingestion.arrivals import in_a_sentence, open_uri
from vaeline.redaction import one_line

ARRAY, TABLE = ".npy", ".parquet"


@dataclass(frozen=True)
class Span:
    """The rows `start` to `stop`, without the last, of one file; `count` is the number of all its rows."""

    file: str
    start: int
    stop: int
    count: int

    @property
    def names(self) -> list[str]:
        """The names of the rows: the file, or `file[row]` if it has several."""
        if self.count == 1:
            return [self.file]
        return [f"{self.file}[{row}]" for row in range(self.start, self.stop)]


@dataclass(frozen=True)
class Inputs:
    """The files of a source, as paths below `root`, and the number of rows before the end of each (files,).

    pixels: the limit of a picture.
    """

    source: str
    root: str
    files: pa.StringArray
    ends: Int64[np.ndarray, " files"]
    pixels: Limit = OWN.pixels

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def digest(self) -> str:
        """SHA-256 of the names and the numbers of rows."""
        content = {"files": self.files.to_pylist(), "ends": self.ends}
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    @property
    def place(self) -> tuple[str, str, Limit]:
        """The source, the root and the limit of a picture, for `read_inputs`."""
        return self.source, self.root, self.pixels

    def as_bytes(self) -> bytes:
        """The listing as a Parquet file. It does not say where the files are: an address may hold a password."""
        stream = io.BytesIO()
        pq.write_table(pa.table({"file": self.files, "end": self.ends}), stream)
        return stream.getvalue()

    @cached_property
    def filesystem(self) -> Any:
        """Where the files are."""
        return open_uri(self.source)[0]

    def spans(self, start: int, stop: int) -> Iterator[Span]:
        """The parts of files that hold the rows `start` to `stop`, without the last."""
        number = int(np.searchsorted(self.ends, start, side="right"))
        while start < stop:
            first = int(self.ends[number - 1]) if number else 0
            end = min(stop, int(self.ends[number]))
            yield Span(self.files[number].as_py(), start - first, end - first, int(self.ends[number]) - first)
            start, number = end, number + 1

    def read(self, span: Span, spec: ImageSpec, invert: bool) -> Images:
        """The images of a span in the size `spec`, float32 in [0, 1].

        Raises:
            UnreadableImagesError: the file is broken, or holds no images.
        """
        path = f"{self.root}/{span.file}"
        with named(Path(span.file)):
            try:
                images = _READERS.get(_ending(span.file), _read_picture)(
                    self.filesystem, path, span, spec, invert, self.pixels
                )
            except (OSError, pa.ArrowException) as error:
                raise UnreadableImagesError(f"cannot be read ({one_line(error, 200)})") from None
            fitted = fit_images(images, spec)
        return to_unit(fitted) if fitted.dtype == np.uint8 else fitted


def read_inputs(content: bytes, source: str, root: str, pixels: Limit = OWN.pixels) -> Inputs:
    """The inputs that `Inputs.as_bytes` wrote, of the same source, root and limit of a picture."""
    table = pq.read_table(io.BytesIO(content))
    return Inputs(source, root, table["file"].combine_chunks(), table["end"].to_numpy(), pixels)


def find_inputs(source: str, pixels: Limit = OWN.pixels) -> Inputs:
    """The images at `source`. Files of arrays and tables are opened, to count their rows.

    pixels: the limit of a picture.

    Raises:
        VaelineError: the source cannot be read, or has no images; a file of arrays or a table is broken.
    """
    with in_a_sentence(f"{source}: cannot be read"):
        filesystem, path = open_uri(source)
        path = path.rstrip("/")
        single = filesystem.isfile(path)
        found = [path] if single else sorted(filesystem.find(path))
    root = str(PurePosixPath(path).parent) if single else path
    files = [str(PurePosixPath(file).relative_to(root)) for file in found]
    files = [file for file in files if _ending(file) in (*ENDINGS, ARRAY, TABLE) and not _is_hidden(file)]
    if not files:
        raise VaelineError(f"{source}: no pictures, .npy or .parquet files; is the path right?")
    rows = np.ones(len(files), "int64")
    others = [number for number, file in enumerate(files) if _ending(file) in (ARRAY, TABLE)]
    for number in tqdm(others, desc="counting rows", disable=None, leave=False):
        rows[number] = _count_rows(filesystem, f"{root}/{files[number]}", files[number])
    return Inputs(source, root, pa.array(files, pa.string()), np.cumsum(rows), pixels)


def _ending(file: str) -> str:
    return PurePosixPath(file).suffix.lower()


def _is_hidden(file: str) -> bool:
    return any(part.startswith(".") or part in LITTER for part in PurePosixPath(file).parts)


def _count_rows(filesystem: Any, path: str, name: str) -> int:
    try:
        with filesystem.open(path, "rb") as stream:
            return _read_header(stream)[0][0] if _ending(path) == ARRAY else pq.ParquetFile(stream).metadata.num_rows
    except (OSError, ValueError, IndexError, pa.ArrowException) as error:
        raise VaelineError(f"{name}: no readable images ({one_line(error, 200)})") from None


def _read_header(stream: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an .npy array, with the stream at its first value. Raises ValueError for any other file."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    if is_fortran or dtype.hasobject or len(shape) not in (3, 4):
        raise ValueError(f"an array of {dtype} and shape {shape}; expected (count, height, width, channels) in C order")
    return shape, dtype


def _read_array(
    filesystem: Any, path: str, span: Span, spec: ImageSpec, invert: bool, pixels: Limit
) -> Shaped[np.ndarray, "..."]:
    with filesystem.open(path, "rb") as stream:
        try:
            shape, dtype = _read_header(stream)
        except ValueError as error:
            raise UnreadableImagesError(str(error)) from None
        size = int(np.prod(shape[1:])) * dtype.itemsize
        stream.seek(size * span.start, io.SEEK_CUR)
        content = stream.read(size * (span.stop - span.start))
    images = as_stack(np.frombuffer(content, dtype).reshape(-1, *shape[1:]))
    return inverted(images) if invert else images


def _read_table(
    filesystem: Any, path: str, span: Span, spec: ImageSpec, invert: bool, pixels: Limit
) -> Shaped[np.ndarray, "..."]:
    """The rows of a span. Only the row groups that hold them are read."""
    with filesystem.open(path, "rb") as stream, pq.ParquetFile(stream) as table:
        name = next((name for name in IMAGE_NAMES if name in table.schema_arrow.names), None)
        if name is None:
            raise UnreadableImagesError(f"columns {', '.join(table.schema_arrow.names)}; expected image")
        counts = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
        ends = np.cumsum(counts)
        groups = [number for number, end in enumerate(ends) if end > span.start and end - counts[number] < span.stop]
        first = int(ends[groups[0]] - counts[groups[0]])
        column = table.read_row_groups(groups, columns=[name]).column(0)
    part = column.slice(span.start - first, span.stop - span.start).combine_chunks()
    return read_images(Path(span.file), part, spec, pixels, invert)


def _read_picture(
    filesystem: Any, path: str, span: Span, spec: ImageSpec, invert: bool, pixels: Limit
) -> Shaped[np.ndarray, "..."]:
    return read_picture(io.BytesIO(filesystem.cat_file(path)), spec, pixels, invert)[None]


_READERS = {ARRAY: _read_array, TABLE: _read_table}
