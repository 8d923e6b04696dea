"""Parquet tables of images: pixels as lists, or encoded pictures, with or without labels."""

import io
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vaeline.images.errors import UnreadableImagesError
from vaeline.images.fitting import inverted
from vaeline.images.limits import Limit, Limits
from vaeline.images.pictures import Header, read_header, read_picture
from vaeline.images.spec import ImageSpec
from vaeline.images.stacks import as_stack
from vaeline.images.types import AnyImages, ByteImages, FoundLabels, Labels

Found = TypeVar("Found")
IMAGE_NAMES, LABEL_NAMES = ("image", "images", "pixels"), ("label", "labels")


def read_parquet(path: Path, spec: ImageSpec, limits: Limits, invert: bool = False) -> tuple[AnyImages, FoundLabels]:
    """Images (count, height, width, channels), and labels as numbers or names, of a table with a column `image`.

    If the column `label` is missing, labels are None. An image is one of these:
    - an encoded picture (PNG, JPEG, …), which is read like a file of one;
    - a struct with such `bytes`, as in data sets of Hugging Face;
    - numbers, which keep their size: a list of lists, or one list for an image of `spec` or for a grey square. Whole
      numbers from 0 to 255 become uint8.

    `invert` turns dark ink on light paper into light ink on black.

    Raises:
        UnreadableImagesError: the table has another form, a picture is broken, or the table exceeds `limits`.
    """
    images, labels = _read_table(path, limits)
    return read_images(path, images, spec, limits.pixels, invert), None if labels is None else _read_labels(labels)


def write_parquet(path: Path, images: ByteImages, labels: Labels | None) -> None:
    """Write images (count, height, width, channels) uint8 as one list of numbers each, and labels, if there are any."""
    columns = {"image": pa.array(list(images.reshape(len(images), -1)), pa.list_(pa.uint8()))}
    pq.write_table(pa.table(columns if labels is None else {**columns, "label": labels}), path)


def read_parquet_headers(path: Path, limits: Limits) -> list[Header] | None:
    """The headers of the encoded pictures in a table; None where its images are numbers.

    Raises:
        UnreadableImagesError: as `read_parquet`.
    """
    column = _encoded(path, _read_table(path, limits)[0])
    return None if column is None else _of_rows(path, column, partial(read_header, most_pixels=limits.pixels))


def read_groups(path: Path, column: str) -> list[str]:
    """The values of a column of a Parquet table, as words.

    Raises:
        UnreadableImagesError: the file is no Parquet table, or has no such column, or rows without a value.
    """
    if path.suffix.lower() != ".parquet":
        raise UnreadableImagesError(f"has no column {column!r} for data.groups; set it to ''", path)
    try:
        names = pq.read_schema(path).names
        values = pq.read_table(path, columns=[column]).column(0) if column in names else None
    except (pa.ArrowException, OSError) as error:
        raise UnreadableImagesError(_broken(error), path) from None
    if values is None:
        raise UnreadableImagesError(f"data.groups {column!r} is no column; there are {', '.join(names)}", path)
    if values.null_count:
        raise UnreadableImagesError(f"has rows without a value of data.groups {column!r}", path)
    return [str(value) for value in values.to_pylist()]


def has_flat_lists(path: Path) -> bool:
    """Whether the images of a Parquet table are flat lists of numbers, which do not say height and width.

    Raises:
        UnreadableImagesError: the file is broken.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableImagesError(_broken(error), path) from None
    kind = next((schema.field(name).type for name in IMAGE_NAMES if name in schema.names), pa.null())
    return _is_list(kind) and not _is_list(kind.value_type)


def _broken(error: Exception) -> str:
    return f"not a readable Parquet file ({' '.join(str(error).split())[:200]})"


def _read_table(path: Path, limits: Limits) -> tuple[pa.Array, pa.Array | None]:
    """The column of images, and that of labels, or None."""
    try:
        with pq.ParquetFile(path) as table:
            image = next((name for name in IMAGE_NAMES if name in table.schema_arrow.names), None)
            label = next((name for name in LABEL_NAMES if name in table.schema_arrow.names), None)
            if image is None:
                raise UnreadableImagesError(
                    f"columns {', '.join(table.schema_arrow.names)}; expected image, label", path
                )
            _check_size(path, table.metadata, limits)
            found = table.read(columns=[name for name in (image, label) if name])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableImagesError(_broken(error), path) from None
    if any(column.null_count for column in found.columns) or not found.num_rows:
        raise UnreadableImagesError("has no rows, or rows without an image or a label", path)
    return found.column(image).combine_chunks(), found.column(label).combine_chunks() if label else None


def _check_size(path: Path, about: pq.FileMetaData, limits: Limits) -> None:
    """Check the numbers of rows, bytes and values in the footer; a list of equal numbers takes nearly no bytes."""
    groups = [about.row_group(group) for group in range(about.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    size = max(sum(part.total_uncompressed_size for part in columns), sum(part.num_values for part in columns))
    if about.num_rows > limits.images.most:
        raise UnreadableImagesError(f"{about.num_rows:,} rows, {limits.images}", path)
    if size > limits.bytes.most:
        raise UnreadableImagesError(f"{size:,} bytes when unpacked, {limits.bytes}", path)


def read_images(path: Path, column: pa.Array, spec: ImageSpec, most_pixels: Limit, invert: bool) -> AnyImages:
    """The images (count, height, width, channels) in a column of a table, as `read_parquet` reads them.

    Raises:
        UnreadableImagesError: the column has another form, or a picture is broken.
    """
    encoded = _encoded(path, column)
    if encoded is not None:
        read = partial(read_picture, spec=spec, most_pixels=most_pixels, invert=invert)
        return np.stack(_of_rows(path, encoded, read))
    numbers = _read_numbers(path, column, spec)
    return inverted(numbers) if invert else numbers


def _encoded(path: Path, column: pa.Array) -> list[bytes] | None:
    """The bytes of encoded pictures; None where the images are numbers."""
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = column.field("bytes")
    if not pa.types.is_binary(column.type) and not pa.types.is_large_binary(column.type):
        return None
    if column.null_count:
        raise UnreadableImagesError("has rows whose picture lies in another file; send the bytes", path)
    return column.to_pylist()


def _of_rows(path: Path, contents: list[bytes], read: Callable[[BinaryIO], Found]) -> list[Found]:
    """What `read` makes of each row; an error names the row."""
    found = []
    for row, content in enumerate(contents):
        try:
            found.append(read(io.BytesIO(content)))
        except UnreadableImagesError as error:
            raise UnreadableImagesError(f"row {row}: {error.reason}", path) from None
    return found


def _read_numbers(path: Path, column: pa.Array, spec: ImageSpec) -> AnyImages:
    shape = [len(column)]
    while _is_list(column.type):
        lengths = pc.call_function("min_max", [pc.call_function("list_value_length", [column])]).as_py()
        if column.null_count or lengths["min"] != lengths["max"]:
            raise UnreadableImagesError(f"images of {lengths['min']} and of {lengths['max']} pixels, or none", path)
        shape.append(lengths["min"])
        column = column.flatten()
    found = shape[1:]
    if len(shape) == 2:
        shape[1:] = spec.shape if shape[1] == spec.dimensions else [math.isqrt(shape[1])] * 2
    numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if len(shape) not in (3, 4) or math.prod(shape) != len(column) or column.null_count or not numbers:
        raise UnreadableImagesError(
            f"images are {column.type} of shape {found}, expected squares of numbers or pictures", path
        )
    pixels = as_stack(column.to_numpy(zero_copy_only=False).reshape(shape))
    is_byte = pixels.dtype.kind in "ui" and pixels.min() >= 0 and pixels.max() <= 255
    return pixels.astype("uint8") if is_byte else pixels


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _read_labels(column: pa.Array) -> FoundLabels:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.to_pylist()
    return column.to_numpy(zero_copy_only=False)
