"""Everything that a decision is based on, read once: the prepared data, the models, and the files stored with them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vaeline.anomaly.one_class import OneClass
from vaeline.archive import load_archive
from vaeline.artifacts import canonical_json, digest
from vaeline.classifier.network import Classifier
from vaeline.data.prepared import Prepared, read_prepared
from vaeline.errors import VaelineError
from vaeline.gate.contest import Contest
from vaeline.images.digests import image_digests, npy_digest
from vaeline.models.generative import GenerativeModel
from vaeline.outputs import CLASSIFIER, VALIDATION
from vaeline.own_files import read_json
from vaeline.registry.lookup import RegisteredVersion
from vaeline.registry.resolve import check_reference
from vaeline.registry.stored import load_stored
from vaeline.registry.versions import ARCHIVE
from vaeline.tracking.locks import data_behind, data_md5

TEST = "test"
PASSED = "passed"
TEST_TAG = "vaeline.gate_test_sha256"
VALIDATION_TAG = "vaeline.validation"
Found = TypeVar("Found")


@dataclass(frozen=True)
class DataFacts:
    """The prepared data on disk.

    digests: SHA-256 of the image file and the label file, by split. overlap: number of test images that are training or
    validation images too. validated: DVC's md5 of the data that the present validation report is about; empty unless
    that validation passed.
    """

    digests: dict[str, dict[str, str]]
    overlap: int
    validated: str

    @property
    def test_sha256(self) -> str:
        """The digest of the test rows."""
        return rows_digest(self.digests[TEST])


@dataclass(frozen=True)
class ContestFacts:
    """What the gate reads before it scores anything.

    models: the loaded candidates, in their order. champion: the loaded champion, or None. archive_bytes: the size of
    the first candidate's archive. densities, golden: stored with the first candidate; if one is None, `no_densities` or
    `no_golden` says why.
    """

    data: DataFacts
    prepared: Prepared
    classifier: Classifier
    classifier_sha256: str
    models: Sequence[GenerativeModel]
    champion: GenerativeModel | None
    archive_bytes: int
    densities: Mapping[str, OneClass] | None
    no_densities: str
    golden: Mapping[str, Any] | None
    no_golden: str


def gather_facts(contest: Contest) -> ContestFacts:
    """Read the data, the classifier, the models, and what is stored with the first candidate.

    Raises:
        VaelineError: the data, the classifier or a model is missing, or they do not belong together.
    """
    prepared = read_prepared(contest.directory)
    first = contest.candidates[0].stored
    classifier = load_classifier()
    densities, no_densities = _read_if_stored(lambda: _read_densities(contest.candidates[0]))
    golden, no_golden = _read_if_stored(first.read_golden)
    with first.artifact(ARCHIVE) as file:
        if file is None:
            raise VaelineError(f"{first.name} has no file {ARCHIVE} in the store; run `dvc repro` with its parameters")
        archive_bytes = file.stat().st_size
    return ContestFacts(
        data=read_data_facts(contest.directory, prepared),
        prepared=prepared,
        classifier=classifier,
        classifier_sha256=digest(Path(CLASSIFIER)),
        models=[load_stored(candidate.stored) for candidate in contest.candidates],
        champion=load_stored(contest.champion.stored) if contest.champion else None,
        archive_bytes=archive_bytes,
        densities=densities,
        no_densities=no_densities,
        golden=golden,
        no_golden=no_golden,
    )


def read_data_facts(directory: Path, prepared: Prepared) -> DataFacts:
    """The facts about the prepared data in `directory`."""
    digests = {
        name: {
            "images_sha256": npy_digest(split.images),
            "labels_sha256": digest(directory / f"{name}_labels.npy"),
        }
        for name, split in prepared.splits.items()
    }
    return DataFacts(digests, count_overlap(prepared), _validated_data())


def load_classifier() -> Classifier:
    """The classifier that `dvc.lock` records for the data on disk. Raises VaelineError if it is another."""
    if data_behind("classify", Path(CLASSIFIER)) not in {data_md5()} - {""}:
        raise VaelineError(f"{CLASSIFIER} was not trained on the data here; run `dvc repro classify`")
    return load_archive(Path(CLASSIFIER), Classifier)


def count_overlap(prepared: Prepared) -> int:
    """How many test images occur, pixel by pixel, in another split."""
    test = image_digests(prepared.splits[TEST].images)
    wanted = set(test)
    others = (split.images for name, split in prepared.splits.items() if name != TEST)
    seen = {found for images in others for found in image_digests(images) if found in wanted}
    return sum(image in seen for image in test)


def rows_digest(digests: Mapping[str, str]) -> str:
    """One SHA-256 for the digests of a split's images and labels."""
    return hashlib.sha256(canonical_json(digests).encode()).hexdigest()


def _read_densities(candidate: RegisteredVersion) -> Mapping[str, OneClass]:
    stored = candidate.stored
    return check_reference(stored.read_reference(), stored.model_sha256, stored.name).densities


def _read_if_stored(read: Callable[[], Found]) -> tuple[Found | None, str]:
    """The result of `read`, or None and the sentence of its error; the checks decide what a missing file means."""
    try:
        return read(), ""
    except VaelineError as error:
        return None, str(error)


def _validated_data() -> str:
    report = Path(VALIDATION)
    passed = report.is_file() and read_json(report).get("status") == PASSED
    return data_behind("validate", report) if passed else ""
