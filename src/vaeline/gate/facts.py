"""The data that a contest is about, looked at now: what the rows are, and what was said of them before."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaeline.artifacts import canonical_json, digest
from vaeline.data.prepared import Prepared
from vaeline.gate.checks import Check, at_most, holds
from vaeline.registry.lookup import RegisteredVersion
from vaeline.tracking.comparison import dataset_digests, split_digests
from vaeline.tracking.lineage import VALIDATION, data_behind

TEST = "test"
TEST_TAG = "vaeline.gate_test_sha256"
VALIDATION_TAG = "vaeline.validation"
PASSED = "passed"


@dataclass(frozen=True)
class Facts:
    """Prepared data as it lies on disk.

    digests: SHA-256 of images and labels by split, of the files themselves. overlap: how many test images are training
    or validation images, too. validated: DVC's md5 of the data that the present validation is about, if that passed.
    """

    digests: dict[str, dict[str, str]]
    overlap: int
    validated: str

    @property
    def test_sha256(self) -> str:
        """The digest of the test rows."""
        return rows_digest(self.digests[TEST])


def look_at(directory: Path, prepared: Prepared) -> Facts:
    """The facts about the prepared data in `directory`."""
    digests = {
        name: {f"{part}_sha256": digest(directory / f"{name}_{part}.npy") for part in ("images", "labels")}
        for name in prepared.splits
    }
    return Facts(digests, count_overlap(prepared), _validated())


def count_overlap(prepared: Prepared) -> int:
    """How many test images occur, pixel by pixel, among those that models are trained or chosen on."""
    test = [image.tobytes() for image in prepared.splits[TEST].images]
    wanted = set(test)
    others = (split.images for name, split in prepared.splits.items() if name != TEST)
    seen = {found for images in others for image in images if (found := image.tobytes()) in wanted}
    return sum(image in seen for image in test)


def rows_digest(digests: Mapping[str, str]) -> str:
    """One SHA-256 for the digests of a split's images and labels."""
    return hashlib.sha256(canonical_json(digests).encode()).hexdigest()


def data_checks(
    candidates: Sequence[RegisteredVersion], champion: RegisteredVersion | None, facts: Facts
) -> list[Check]:
    """Whether all seeds belong to this data, the data was validated, and the test rows are fair to all."""
    foreign = [reason for candidate in candidates for reason in _foreign_data(candidate, facts)]
    unvalidated = [reason for candidate in candidates for reason in _unvalidated(candidate, facts)]
    checks = [
        holds("data", foreign, "what is judged was trained on the data that lies here"),
        holds("validation", unvalidated, "the data here passed its validation"),
        at_most("overlap", "test images that are training or validation images, too: their number", facts.overlap, 0),
    ]
    if champion:
        reasons = _other_test_rows(champion, facts)
        checks.append(holds("test_rows", reasons, "the test rows are those that the champion was tested on"))
    return checks


def _foreign_data(candidate: RegisteredVersion, facts: Facts) -> list[str]:
    recorded = split_digests(candidate.run)
    if not recorded:
        return [f"the run of {candidate.title} does not say on which data it was trained"]
    return [
        f"the {name} split of {candidate.title} is not the one that lies here"
        for name in facts.digests
        if recorded.get(name) != facts.digests[name]
    ]


def _unvalidated(candidate: RegisteredVersion, facts: Facts) -> list[str]:
    reasons = []
    said = candidate.tags.get(VALIDATION_TAG, "nothing")
    if said != PASSED:
        reasons.append(f"the data validation of {candidate.title} says {said}, not {PASSED}")
    if not facts.validated:
        reasons.append(f"{VALIDATION} says of the data here that it passed nothing; run `dvc repro validate`")
    elif facts.validated not in dataset_digests(candidate.run):
        reasons.append(f"{VALIDATION} is about other data than that of {candidate.title}")
    return reasons


def _other_test_rows(champion: RegisteredVersion, facts: Facts) -> list[str]:
    recorded = split_digests(champion.run).get(TEST)
    if recorded is None:
        return [f"the run of {champion.title} does not say on which rows it was tested"]
    tagged = champion.tags.get(TEST_TAG, facts.test_sha256)
    same = rows_digest(recorded) == facts.test_sha256 == tagged
    return [] if same else [f"{champion.title} was tested on other rows than those that lie here"]


def _validated() -> str:
    passed = VALIDATION.is_file() and json.loads(VALIDATION.read_text(encoding="utf-8")).get("status") == PASSED
    return data_behind("validate", VALIDATION) if passed else ""
