"""Parquet tables of images: pixels as lists, or encoded pictures, with or without labels."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vaeline.data.pictures import UnusablePictureError, read_picture, to_uint8
from vaeline.data.readers import SIDE
from vaeline.errors import VaelineError

IMAGE_NAMES, LABEL_NAMES = ("image", "images", "pixels"), ("label", "labels")


def read_parquet(
    path: Path, classes: Sequence[str], most_rows: int, most_bytes: int, most_pixels: int
) -> tuple[np.ndarray, Any]:
    """Images (count, height, width) and labels, or None, of a table with a column `image` and perhaps one `label`.

    An image is a list of numbers (a square), a list of lists, an encoded PNG or JPEG, or a struct with such `bytes`, as
    Hugging Face's data sets have it; whole numbers from 0 to 255 become bytes. A label is a number, or a class's name.

    Raises:
        VaelineError: it is no such table, or larger than is read.
        UnusablePictureError: one of its pictures is broken.
    """
    try:
        with pq.ParquetFile(path) as table:
            image = next((name for name in IMAGE_NAMES if name in table.schema_arrow.names), None)
            label = next((name for name in LABEL_NAMES if name in table.schema_arrow.names), None)
            if image is None:
                raise VaelineError(f"{path.name}: columns {', '.join(table.schema_arrow.names)}; expected image, label")
            _check_size(path, table.metadata, most_rows, most_bytes)
            found = table.read(columns=[name for name in (image, label) if name])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VaelineError(f"{path.name}: not a readable Parquet file ({' '.join(str(error).split())[:200]})") from None
    if any(column.null_count for column in found.columns) or not found.num_rows:
        raise VaelineError(f"{path.name}: has no rows, or rows without an image or a label")
    images = _images(path, found.column(image).combine_chunks(), most_pixels)
    return images, _labels(path, found.column(label).combine_chunks(), classes) if label else None


def _check_size(path: Path, about: pq.FileMetaData, most_rows: int, most_bytes: int) -> None:
    """By what its foot says of rows, bytes and values: a list of equal numbers takes no bytes."""
    groups = [about.row_group(group) for group in range(about.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    size = max(sum(part.total_uncompressed_size for part in columns), sum(part.num_values for part in columns))
    if about.num_rows > most_rows or size > most_bytes:
        raise VaelineError(
            f"{path.name}: {about.num_rows:,} rows, {size:,} bytes; at most {most_rows:,} and {most_bytes:,} are read"
        )


def _images(path: Path, column: pa.Array, most_pixels: int) -> np.ndarray:
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = column.field("bytes")
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        if column.null_count:
            raise VaelineError(f"{path.name}: has rows whose picture lies elsewhere; send the bytes")
        return np.stack([_picture(row, content.as_py(), most_pixels) for row, content in enumerate(column)])
    shape = [len(column)]
    while _is_list(column.type):
        lengths = pc.min_max(pc.list_value_length(column)).as_py()
        if column.null_count or lengths["min"] != lengths["max"]:
            raise VaelineError(f"{path.name}: images of {lengths['min']} and of {lengths['max']} pixels, or none")
        shape.append(lengths["min"])
        column = column.flatten()
    if len(shape) == 2:
        shape[1:] = [math.isqrt(shape[1])] * 2
    numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if len(shape) != 3 or math.prod(shape) != len(column) or column.null_count or not numbers:
        raise VaelineError(
            f"{path.name}: images are {column.type} of shape {shape[1:]}, expected squares of numbers or pictures"
        )
    pixels = column.to_numpy(zero_copy_only=False).reshape(shape)
    is_byte = pixels.dtype.kind in "ui" and pixels.min() >= 0 and pixels.max() <= 255
    return pixels.astype("uint8") if is_byte else pixels


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _picture(row: int, content: bytes, most_pixels: int) -> np.ndarray:
    try:
        return to_uint8(read_picture(io.BytesIO(content), (SIDE, SIDE), most_pixels))
    except UnusablePictureError as error:
        raise UnusablePictureError(f"row {row}: {error}") from None


def _labels(path: Path, column: pa.Array, classes: Sequence[str]) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column.to_numpy(zero_copy_only=False)
    names = column.to_pylist()
    if unknown := sorted(set(names) - set(classes)):
        raise VaelineError(f"{path.name}: {unknown[0]!r} is a label, and no class is called that")
    return [classes.index(name) for name in names]
