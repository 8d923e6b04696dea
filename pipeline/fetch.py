"""Stage `fetch`: the data set as IDX files in `data/raw`, whatever its source."""

from pathlib import Path

from vaeline.artifacts import atomic_directory, digest, write_json
from vaeline.data.idx import write_idx
from vaeline.data.readers import ImageSet, fit_to_side, read_digits, read_image_set
from vaeline.data.sources import (
    SOURCES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    SourceUnreachableError,
    download,
)
from vaeline.errors import run_stage
from vaeline.params import read_params

RAW = Path("data/raw")
DOWNLOADS = Path(".vaeline/downloads")
UNREACHABLE = Path(".vaeline/unreachable")


def main() -> None:
    params = read_params()
    dataset = params.data.dataset
    with atomic_directory(RAW) as raw:
        if dataset in SOURCES:
            source = SOURCES[dataset]
            try:
                download(dataset, raw, DOWNLOADS)
            except SourceUnreachableError:
                UNREACHABLE.touch()
                raise
            title, licence, classes = source.title, source.licence, source.classes
        elif dataset == "digits":
            found = read_digits()
            write_image_set(found, raw)
            title, licence, classes = "UCI digits", "CC BY 4.0, E. Alpaydin and C. Kaynak", found.classes
        else:
            found = read_image_set(Path(dataset))
            write_image_set(found, raw)
            title, licence, classes = params.data.name, "your own", found.classes
        about = {"dataset": dataset, "name": params.data.name, "title": title, "licence": licence, "classes": classes}
        files = {file.name: digest(file) for file in raw.iterdir()}
        write_json(raw / "source.json", {**about, "sha256": files})
    print(f"fetch: {title} is in {RAW}")


def write_image_set(found: ImageSet, directory: Path) -> None:
    write_idx(directory / TRAIN_IMAGES, fit_to_side(found.images))
    write_idx(directory / TRAIN_LABELS, found.labels)
    if found.test_images is not None:
        write_idx(directory / TEST_IMAGES, fit_to_side(found.test_images))
        write_idx(directory / TEST_LABELS, found.test_labels)


if __name__ == "__main__":
    run_stage(main)
