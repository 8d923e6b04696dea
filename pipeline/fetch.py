"""Stage `fetch`: the data set as IDX files in `data/raw`, whatever its source."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaeline.artifacts import atomic_directory, digest, write_json
from vaeline.data.image_sets import DIGITS_LICENCE, DIGITS_TITLE, read_digits
from vaeline.data.own_images import USUAL_GOOD, OwnImages, Reading, UnusableFilesError, drop_cache, read_own_images
from vaeline.data.raw import fit_built_in, group_built_in, write_own_images
from vaeline.data.sources import SOURCES, TRAIN_IMAGES, TRAIN_LABELS, UNREACHABLE, SourceUnreachableError, download
from vaeline.errors import VaelineError, run_stage
from vaeline.figures.canvas import save_figure
from vaeline.figures.unusable import draw_unusable, write_table
from vaeline.images.idx import read_idx_images, write_idx, write_idx_images
from vaeline.images.parallel import Unusable
from vaeline.images.spec import ImageSpec, parse_spec
from vaeline.params.base import read_section
from vaeline.params.data import DataParams, dataset_name

RAW = Path("data/raw")
ANOMALIES = Path("data/anomalies")
DOWNLOADS = Path(".vaeline/downloads")
CACHE = Path(".vaeline/reading")
UNUSABLE = Path("reports/unusable")


def main() -> None:
    data = read_section("data", DataParams)
    limits = data.limits.named("data.limits")
    reading = Reading(data.image, data.good, data.unreadable, limits, data.groups, data.near_duplicates)
    shutil.rmtree(UNUSABLE, ignore_errors=True)
    try:
        title, spec = fetch(data.dataset, RAW, reading)
    except SourceUnreachableError:
        UNREACHABLE.touch()
        raise
    others = replace(reading, good=USUAL_GOOD, groups="", near_duplicates=False)
    with atomic_directory(ANOMALIES) as directory:  # in the size of the data set, so that the model can score them
        for dataset in data.anomalies:
            fetch(dataset, directory / dataset_name(dataset), others, spec)
    print(f"fetch: {title} is in {RAW}")


def fetch(dataset: str, directory: Path, reading: Reading, spec: ImageSpec | None = None) -> tuple[str, ImageSpec]:
    """Write a data set in the size `spec`, or in the size that `reading` says. Returns its title and its size."""
    about: dict[str, Any] = {"dataset": dataset, "name": dataset_name(dataset)}
    with atomic_directory(directory) as target:
        if dataset in SOURCES:
            source = SOURCES[dataset]
            download(dataset, target, DOWNLOADS, reading.limits.bytes)
            about |= {"title": source.title, "licence": source.licence, "classes": source.classes}
        elif dataset == "digits":
            found = read_digits()
            write_idx_images(target / TRAIN_IMAGES, found.images)
            write_idx(target / TRAIN_LABELS, found.labels)
            about |= {"title": DIGITS_TITLE, "licence": DIGITS_LICENCE, "classes": found.classes}
        else:
            about |= {"title": dataset_name(dataset), "licence": "your own"}
            report = UNUSABLE / dataset_name(dataset)
            about |= write_own_images(read_own(Path(dataset), reading, spec, report), target)
        if "image" not in about:
            about |= fit_built_in(target, reading.image, spec)
            for note in group_built_in(target, reading):
                print(f"fetch: {dataset}: {note}")
        files = {file.name: digest(file) for file in target.iterdir()}
        write_json(target / "source.json", {**about, "sha256": files})
    drop_cache(CACHE)
    own = ImageSpec.of_shape(read_idx_images(directory / TRAIN_IMAGES).shape)
    return about["title"], parse_spec(about["image"], dataset) if "image" in about else own


def read_own(path: Path, reading: Reading, spec: ImageSpec | None, report: Path) -> OwnImages:
    """Read the user's images. Files that cannot be used are listed in `reports/unusable`: a table and a sheet."""
    try:
        found = read_own_images(path, reading, CACHE, spec)
    except UnusableFilesError as error:
        report_unusable(error.unusable, report)
        raise VaelineError(f"{error}; all are named in {report}") from None
    for note in found.notes:
        print(f"fetch: {path}: {note}")
    if found.unusable:
        report_unusable(found.unusable, report)
    return found


def report_unusable(unusable: Sequence[Unusable], folder: Path) -> None:
    write_table(unusable, folder / "files.csv")
    save_figure(draw_unusable(unusable), folder / "sheet.png")


if __name__ == "__main__":
    run_stage(main)
