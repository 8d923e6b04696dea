"""What a promotion requires of a candidate: its tags, and a recent pass of the gate."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.artifacts import canonical_json, digest
from vaeline.errors import VaelineError
from vaeline.outputs import PREPARED
from vaeline.params.base import flatten
from vaeline.registry.moves import Standing
from vaeline.registry.stored import stored_version
from vaeline.registry.versions import uri_of
from vaeline.tracking.runs import DIGEST_TAG, KEY_TAG

GATE_TAGS = (
    "vaeline.gate_verdict",
    "vaeline.gate_sha256",
    "vaeline.gate_champion",
    "vaeline.gate_at",
    "vaeline.gate_metric",
    "vaeline.gate_gain",
    "vaeline.gate_gain_low",
    "vaeline.gate_test_sha256",
)
REQUIRED_TAGS = (
    DIGEST_TAG,
    KEY_TAG,
    "mlflow.source.git.commit",
    "vaeline.dvc_lock_sha256",
    "vaeline.environment_sha256",
    "vaeline.dataset",
    f"vaeline.deps.{PREPARED}",
    "vaeline.validation",
    "keras",
    "seed",
    *GATE_TAGS,
)
REPORT = "gate/gate.json"
DAY = timedelta(days=1)
CLOCKS_DIFFER_BY = timedelta(minutes=5)


@dataclass(frozen=True)
class Terms:
    """What a promotion requires of a gate report: its maximum age and its policy (`gate.policy`).

    `replaces`: the version that must be champion now; "" for no champion; None for any.
    """

    max_age: timedelta
    policy: Mapping[str, Any]
    replaces: str | None = None


def check_tags(candidate: ModelVersion) -> None:
    """Raise VaelineError if the candidate lacks one of `REQUIRED_TAGS`."""
    if "vaeline.gate_verdict" not in candidate.tags:
        raise VaelineError(f"{uri_of(candidate)} has no gate report; run `vaeline gate {candidate.version}`")
    if missing := [tag for tag in REQUIRED_TAGS if tag not in candidate.tags]:
        raise VaelineError(f"{uri_of(candidate)} lacks the tags {', '.join(missing)}, which a promotion requires")


def read_report(client: MlflowClient, candidate: ModelVersion) -> dict[str, Any]:
    """The gate's report, from the candidate's run.

    Raises:
        VaelineError: the run has no report, or its digest is not the one in the candidate's tag.
    """
    with stored_version(client, candidate).artifact(REPORT) as file:
        if file is None:
            raise VaelineError(f"{uri_of(candidate)}: its run has no {REPORT}; run `vaeline gate {candidate.version}`")
        if digest(file) != candidate.tags.get("vaeline.gate_sha256"):
            raise VaelineError(
                f"{uri_of(candidate)}: {REPORT} of its run differs from the tag vaeline.gate_sha256; run "
                f"`vaeline gate {candidate.version}` again"
            )
        return json.loads(file.read_text(encoding="utf-8"))


def check_report(report: Mapping[str, Any], candidate: ModelVersion, standing: Standing, terms: Terms) -> None:
    """Raise VaelineError unless the report is a recent pass of this candidate, by these terms, against the champion."""
    again = f"run `vaeline gate {candidate.version}` again"
    if report["candidate"]["model_digest"] != candidate.tags[DIGEST_TAG]:
        raise VaelineError(f"the gate's report is about another model than {uri_of(candidate)}; {again}")
    if report["verdict"] != "pass":
        failed = [check["sentence"] for check in report["checks"] if check["verdict"] == report["verdict"]]
        raise VaelineError(f"the gate's verdict on {uri_of(candidate)} is {report['verdict']}: {'; '.join(failed)}")
    age, allowed = datetime.now(UTC) - datetime.fromisoformat(report["created"]), terms.max_age
    if age > allowed:
        days = f"{age / DAY:.1f} days old, but registry.report_days is {allowed / DAY:g}"
        raise VaelineError(f"the gate's report on {uri_of(candidate)} is {days}; {again}")
    if age < -CLOCKS_DIFFER_BY:
        raise VaelineError(f"the gate's report on {uri_of(candidate)} has a future date, {report['created']}; {again}")
    used, asked = flatten(report["policy"]), flatten(dict(terms.policy))
    for key in sorted({*used, *asked}):
        if canonical_json(used.get(key)) != canonical_json(asked.get(key)):
            changed = f"{key} was {used.get(key)} and is {asked.get(key)} in params.yaml"
            raise VaelineError(f"the gate judged {uri_of(candidate)} by another policy: {changed}; {again}")
    compared = report["champion"]
    seen = (str(compared["version"]), compared["model_digest"]) if compared else ("", "")
    if seen != (standing.champion, standing.digest):
        against = f"version {seen[0]}" if seen[0] else "no champion"
        raise VaelineError(f"the gate compared {uri_of(candidate)} with {against}, but {standing.describe()}; {again}")
