"""A table of statistics of each image, with its duplicates."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vaeline.data.prepared import Split
from vaeline.images.arrays import luminance
from vaeline.images.digests import image_digest

ROWS_AT_A_TIME = 4096
INK = 127
BORDER = 2


def image_statistics(splits: Mapping[str, Split]) -> pd.DataFrame:
    """One row for each image of every split. Images are read in parts.

    Columns: image_id ("train/7"), split, source_index, label, height, width, channels, dtype, nulls (number of NaN
    values), min, max, mean, std, ink (share of pixels above half), border (mean of the outer two rows and columns on
    each side), roughness (mean difference of neighbours, divided by the mean), center_x and center_y (centre of mass of
    the ink, in pixels from the middle), elongation (log of vertical over horizontal spread of the ink), content (hash),
    copies (number of rows with this content in the same split, this row included) and leaks (number of other splits
    with this content). For colour images, the columns from min to elongation are those of the luminance.
    """
    parts = [
        _statistics(name, split, slice(start, start + ROWS_AT_A_TIME))
        for name, split in splits.items()
        for start in range(0, len(split.images), ROWS_AT_A_TIME)
    ]
    table = pd.concat(parts, ignore_index=True)
    table["copies"] = table.groupby(["split", "content"])["content"].transform("size")
    table["leaks"] = table.groupby("content")["split"].transform("nunique") - 1
    return table


def _statistics(name: str, split: Split, rows: slice) -> pd.DataFrame:
    images = np.asarray(split.images[rows])
    count, height, width, channels = images.shape
    greys = luminance(np.nan_to_num(images.astype("float64")))
    mean = greys.mean(axis=(1, 2))
    mass = greys / np.maximum(greys.sum(axis=(1, 2), keepdims=True), 1e-9)
    y, x = np.indices((height, width)) - (np.array([height, width]) - 1).reshape(2, 1, 1) / 2
    center_y, center_x = (mass * y).sum(axis=(1, 2)), (mass * x).sum(axis=(1, 2))
    spread_y = (mass * y**2).sum(axis=(1, 2)) - center_y**2
    spread_x = (mass * x**2).sum(axis=(1, 2)) - center_x**2
    neighbours = np.abs(np.diff(greys, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(greys, axis=2)).mean(axis=(1, 2))
    inner = greys[:, BORDER:-BORDER, BORDER:-BORDER]
    border_pixels = height * width - inner[0].size
    first = rows.start
    return pd.DataFrame(
        {
            "image_id": [f"{name}/{row}" for row in range(first, first + count)],
            "split": name,
            "source_index": split.indices[rows],
            "label": split.labels[rows].astype("int64"),
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": str(images.dtype),
            "nulls": np.isnan(images).sum(axis=(1, 2, 3)) if images.dtype.kind == "f" else 0,
            "min": greys.min(axis=(1, 2)),
            "max": greys.max(axis=(1, 2)),
            "mean": mean,
            "std": greys.std(axis=(1, 2)),
            "ink": (greys > INK).mean(axis=(1, 2)),
            "border": (greys.sum(axis=(1, 2)) - inner.sum(axis=(1, 2))) / border_pixels,
            "roughness": neighbours / np.maximum(mean, 1e-9),
            "center_x": center_x,
            "center_y": center_y,
            "elongation": np.log((spread_y + 1e-3) / (spread_x + 1e-3)),
            "content": [image_digest(image).hex()[:16] for image in images],
        }
    )
