"""Stage `fetch`: the data set as IDX files in `data/raw`, whatever its source."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaeline.artifacts import atomic_directory, digest, write_json
from vaeline.data.image_sets import read_digits
from vaeline.data.image_size import fill_in
from vaeline.data.own_images import OwnImages, Reading, UnusableFilesError, drop_cache, read_own_images
from vaeline.data.sources import (
    SOURCES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    UNREACHABLE,
    SourceUnreachableError,
    download,
)
from vaeline.errors import VaelineError, run_stage
from vaeline.figures.canvas import save_figure
from vaeline.figures.unusable import draw_unusable, write_table
from vaeline.images.fitting import fit_bytes
from vaeline.images.idx import read_idx_images, write_idx, write_idx_images
from vaeline.images.parallel import Unusable
from vaeline.images.spec import ImageSpec
from vaeline.params.base import read_section
from vaeline.params.data import DataParams, ImageParams, dataset_name

RAW = Path("data/raw")
ANOMALIES = Path("data/anomalies")
DOWNLOADS = Path(".vaeline/downloads")
CACHE = Path(".vaeline/reading")
UNUSABLE = Path("reports/unusable")


def main() -> None:
    data = read_section("data", DataParams)
    reading = Reading(data.image, data.good, data.unreadable, data.most_pixels)
    shutil.rmtree(UNUSABLE, ignore_errors=True)
    try:
        title, spec = fetch(data.dataset, RAW, reading)
    except SourceUnreachableError:
        UNREACHABLE.touch()
        raise
    with atomic_directory(ANOMALIES) as directory:
        for dataset in data.anomalies:
            fetch(dataset, directory / dataset_name(dataset), reading, spec)
    print(f"fetch: {title} is in {RAW}")


def fetch(dataset: str, directory: Path, reading: Reading, spec: ImageSpec | None = None) -> tuple[str, ImageSpec]:
    """Write a data set, in the size `spec` or in the one that `reading` says. Returns its title and its size."""
    about: dict[str, Any] = {"dataset": dataset, "name": dataset_name(dataset)}
    with atomic_directory(directory) as target:
        if dataset in SOURCES:
            source = SOURCES[dataset]
            download(dataset, target, DOWNLOADS)
            about |= {"title": source.title, "licence": source.licence, "classes": source.classes}
        elif dataset == "digits":
            found = read_digits()
            write_idx_images(target / TRAIN_IMAGES, found.images)
            write_idx(target / TRAIN_LABELS, found.labels)
            about |= {
                "title": "UCI digits",
                "licence": "CC BY 4.0, E. Alpaydin and C. Kaynak",
                "classes": found.classes,
            }
        else:
            about |= {"title": dataset_name(dataset), "licence": "your own"}
            about |= write_own_images(read_own(Path(dataset), reading, spec), target)
        if "image" not in about:
            about |= fit_built_in(target, reading.image, spec)
        files = {file.name: digest(file) for file in target.iterdir()}
        write_json(target / "source.json", {**about, "sha256": files})
    drop_cache(CACHE)
    return about["title"], read_spec(directory)


def fit_built_in(directory: Path, settings: ImageParams, spec: ImageSpec | None) -> dict:
    """Fit the images of a built-in data set where another size is wanted. Returns what source.json says of it."""
    own = read_spec(directory)
    wanted = spec or fill_in(own, settings)
    if wanted.shape == own.shape:
        return {}
    for file in (directory / TRAIN_IMAGES, directory / TEST_IMAGES):
        if file.is_file():
            write_idx_images(file, fit_bytes(np.asarray(read_idx_images(file)), wanted))
    return {"image": wanted.model_dump()}


def read_spec(directory: Path) -> ImageSpec:
    return ImageSpec.of_shape(read_idx_images(directory / TRAIN_IMAGES).shape)


def read_own(path: Path, reading: Reading, spec: ImageSpec | None) -> OwnImages:
    """The user's images; where too many files cannot be used, a table and a sheet of them are left behind."""
    try:
        found = read_own_images(path, reading, CACHE, spec)
    except UnusableFilesError as error:
        report_unusable(error.unusable)
        raise VaelineError(f"{error}; all are named in {UNUSABLE}") from None
    for note in found.notes:
        print(f"fetch: {path}: {note}")
    if found.unusable:
        report_unusable(found.unusable)
    return found


def write_own_images(found: OwnImages, directory: Path) -> dict:
    """Write the splits: validation, where the source has it, behind train. Returns what source.json says of them."""
    validation = found.rows.get("validation", np.arange(0))
    rows = np.concatenate([found.rows["train"], validation])
    write_idx_images(directory / TRAIN_IMAGES, found.images, rows)
    write_idx(directory / TRAIN_LABELS, found.labels, rows)
    if "test" in found.rows:
        write_idx_images(directory / TEST_IMAGES, found.images, found.rows["test"])
        write_idx(directory / TEST_LABELS, found.labels, found.rows["test"])
    own_validation = {"own_validation": len(validation)} if len(validation) else {}
    return {**found.about, **own_validation, "classes": found.classes, "image": found.spec.model_dump()}


def report_unusable(unusable: Sequence[Unusable]) -> None:
    write_table(unusable, UNUSABLE / "files.csv")
    save_figure(draw_unusable(unusable), UNUSABLE / "sheet.png")


if __name__ == "__main__":
    run_stage(main)
