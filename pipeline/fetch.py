"""Stage `fetch`: the data set as IDX files in `data/raw`, whatever its source."""

from pathlib import Path

from vaeline.artifacts import atomic_directory, digest, write_json
from vaeline.data.image_sets import ImageSet, read_digits, read_image_set
from vaeline.data.sources import (
    OWN_IMAGE,
    SOURCES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    UNREACHABLE,
    SourceUnreachableError,
    download,
)
from vaeline.errors import run_stage
from vaeline.images.errors import named
from vaeline.images.fitting import fit_bytes
from vaeline.images.idx import write_idx, write_idx_images
from vaeline.images.spec import ImageSpec
from vaeline.params.base import read_section
from vaeline.params.data import DataParams, dataset_name

RAW = Path("data/raw")
ANOMALIES = Path("data/anomalies")
DOWNLOADS = Path(".vaeline/downloads")


def main() -> None:
    data = read_section("data", DataParams)
    try:
        title = fetch(data.dataset, RAW)
    except SourceUnreachableError:
        UNREACHABLE.touch()
        raise
    with atomic_directory(ANOMALIES) as directory:
        for dataset in data.anomalies:
            fetch(dataset, directory / dataset_name(dataset))
    print(f"fetch: {title} is in {RAW}")


def fetch(dataset: str, directory: Path) -> str:
    with atomic_directory(directory) as target:
        if dataset in SOURCES:
            source = SOURCES[dataset]
            download(dataset, target, DOWNLOADS)
            title, licence, classes = source.title, source.licence, source.classes
        elif dataset == "digits":
            found = read_digits()
            write_image_set(found, ImageSpec.of_shape(found.images.shape), target)
            title, licence, classes = "UCI digits", "CC BY 4.0, E. Alpaydin and C. Kaynak", found.classes
        else:
            found = read_image_set(Path(dataset), OWN_IMAGE)
            with named(Path(dataset)):
                write_image_set(found, OWN_IMAGE, target)
            title, licence, classes = dataset_name(dataset), "your own", found.classes
        about = {"dataset": dataset, "name": dataset_name(dataset), "title": title, "licence": licence}
        files = {file.name: digest(file) for file in target.iterdir()}
        write_json(target / "source.json", {**about, "classes": classes, "sha256": files})
    return title


def write_image_set(found: ImageSet, spec: ImageSpec, directory: Path) -> None:
    write_idx_images(directory / TRAIN_IMAGES, fit_bytes(found.images, spec))
    write_idx(directory / TRAIN_LABELS, found.labels)
    if found.test_images is not None and found.test_labels is not None:
        write_idx_images(directory / TEST_IMAGES, fit_bytes(found.test_images, spec))
        write_idx(directory / TEST_LABELS, found.test_labels)


if __name__ == "__main__":
    run_stage(main)
