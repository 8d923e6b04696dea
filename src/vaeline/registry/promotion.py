"""Promotion: a candidate that passed the gate is copied to the served model and becomes its champion."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.artifacts import canonical_json, digest
from vaeline.errors import VaelineError
from vaeline.params import flatten
from vaeline.registry.candidates import copy_version, find_version, make_model
from vaeline.registry.ledger import Entry
from vaeline.registry.moves import CHAMPION, Standing, finish, move, one_at_a_time, read_standing
from vaeline.registry.stored import stored_version, uri_of
from vaeline.tracking.origin import who
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
    "vaeline.deps.data/prepared",
    "vaeline.validation",
    "keras",
    "seed",
    *GATE_TAGS,
)
SOURCE_TAG = "vaeline.promoted_from"
REPORT = "gate/gate.json"
DAY = timedelta(days=1)
CLOCKS_DIFFER_BY = timedelta(minutes=5)


@dataclass(frozen=True)
class Promotion:
    """What a promotion is about to do; `copy` is the served version that holds the model already, if there is one."""

    candidate: ModelVersion
    standing: Standing
    copy: ModelVersion | None
    reason: str
    gate_sha256: str

    @property
    def is_done(self) -> bool:
        """Whether the candidate's model is champion already."""
        return bool(self.standing.champion) and self.standing.digest == self.candidate.tags[DIGEST_TAG]

    def steps(self) -> list[str]:
        """Everything that will happen, a sentence each."""
        name, champion = self.standing.name, self.standing.champion
        source, number = uri_of(self.candidate), len(self.standing.entries) + 1
        if self.is_done:
            champion = f"{source} is version {champion} of {name}, its champion: nothing is left to do"
            return [*self.standing.first(), champion]
        served = f"version {self.copy.version}" if self.copy else "the new version"
        return [
            *self.standing.first(),
            f"replaces: {self.standing.describe()}",
            f"copy: {served} of {name} {'is' if self.copy else 'becomes'} a copy of {source}, SHA-256 "
            f"{self.candidate.tags[DIGEST_TAG][:12]}…",
            f"ledger: entry {number}, promote from {champion or 'none'} by {who()}, gate {self.gate_sha256[:12]}…, "
            f"reason: {self.reason}",
            f"alias: @{CHAMPION} of {name} goes from {f'version {champion}' if champion else 'nowhere'} to {served}",
        ]


@dataclass(frozen=True)
class Terms:
    """What a promotion demands of a gate report: its age at most, and the policy (`gate.policy`) that it was made by.

    `replaces`: the version that must be champion now, "" for none; None for any.
    """

    max_age: timedelta
    policy: Mapping[str, Any]
    replaces: str | None = None


def plan_promotion(
    client: MlflowClient, candidate: ModelVersion, name: str, terms: Terms, reason: str = ""
) -> Promotion:
    """Check everything that a promotion to the registered model `name` needs, and say what it will do; writes nothing.

    A candidate that is champion already needs no more than to be it.

    Raises:
        VaelineError: a tag is missing; the gate's report is not there, not a pass, not fresh, or not about this model,
            the present champion and these thresholds; the champion is not the one to replace; or the model's files are
            not what the digest (and the signature) says.
    """
    standing = read_standing(client, name)
    if standing.moved_by_hand:
        raise VaelineError(f"{standing.by_hand()}; `vaeline rollback --to VERSION` says where it shall be")
    if standing.champion and standing.digest == candidate.tags.get(DIGEST_TAG):
        return Promotion(candidate, standing, None, "", "")
    if terms.replaces not in (None, standing.champion):
        raise VaelineError(f"--replaces {terms.replaces or 'none'}: {standing.describe()}")
    check_tags(candidate)
    report = read_report(client, candidate)
    check_report(report, candidate, standing, terms)
    if report["mode"] != "superior" and not reason:
        raise VaelineError(
            f"the gate found {uri_of(candidate)} no worse than the champion ({report['mode']}), which is no reason to "
            "promote it; give one with --reason"
        )
    with stored_version(client, candidate).archive():
        copy = find_version(client, name, candidate.tags[DIGEST_TAG])
    return Promotion(candidate, standing, copy, reason or _passed(report), candidate.tags["vaeline.gate_sha256"])


def promote(
    client: MlflowClient,
    candidate: ModelVersion,
    name: str,
    terms: Terms,
    reason: str = "",
    tell: Callable[[str], None] = lambda sentence: None,
) -> Entry | None:
    """Carry out what `plan_promotion` says, telling it first; the ledger's entry, or None where nothing was left to do.

    A move that an earlier process left unfinished is finished before. So a promotion that was killed is repaired by
    running it again: the copy is found by its digest, and the alias set from the ledger.

    Raises:
        VaelineError: as `plan_promotion`, and where another promoter was faster.
    """
    with one_at_a_time(name):
        finish(client, name, tell)
        plan = plan_promotion(client, candidate, name, terms, reason)
        for step in plan.steps():
            tell(step)
        if plan.is_done:
            return None
        served = copy_to(client, candidate, name)
        return move(client, plan.standing, "promote", served, plan.reason, plan.gate_sha256)


def copy_to(client: MlflowClient, candidate: ModelVersion, name: str) -> ModelVersion:
    """The version of the registered model `name` that holds the candidate's model, with the candidate's gate tags.

    Where two processes copy at once, the lower version counts for both; the other is left to `vaeline registry gc`.
    """
    model_digest = candidate.tags[DIGEST_TAG]
    if find_version(client, name, model_digest) is None:
        make_model(client, name, "Models that passed the gate; @champion is the one to serve.")
        copy_version(client, candidate, name)
    served = find_version(client, name, model_digest)
    wanted = {tag: candidate.tags[tag] for tag in GATE_TAGS if tag != "vaeline.gate_sha256"}
    for key, value in (wanted | {SOURCE_TAG: uri_of(candidate)}).items():
        if served.tags.get(key) != value:
            client.set_model_version_tag(name, str(served.version), key, value)
    return served


def check_tags(candidate: ModelVersion) -> None:
    """Refuse, with VaelineError, a candidate that lacks one of `REQUIRED_TAGS`."""
    if "vaeline.gate_verdict" not in candidate.tags:
        raise VaelineError(f"{uri_of(candidate)} has no gate report; run `vaeline gate {candidate.version}`")
    if missing := [tag for tag in REQUIRED_TAGS if tag not in candidate.tags]:
        raise VaelineError(
            f"{uri_of(candidate)} lacks the tags {', '.join(missing)}, without which nothing is promoted"
        )


def read_report(client: MlflowClient, candidate: ModelVersion) -> dict[str, Any]:
    """The gate's report, from the candidate's run.

    Raises:
        VaelineError: the run has none, or one that is not the one that the candidate's tag names.
    """
    with stored_version(client, candidate).artifact(REPORT) as file:
        if file is None:
            raise VaelineError(f"{uri_of(candidate)}: its run has no {REPORT}; run `vaeline gate {candidate.version}`")
        if digest(file) != candidate.tags.get("vaeline.gate_sha256"):
            raise VaelineError(
                f"{uri_of(candidate)}: {REPORT} of its run is not the one that the tag vaeline.gate_sha256 names; run "
                f"`vaeline gate {candidate.version}` again"
            )
        return json.loads(file.read_text(encoding="utf-8"))


def check_report(report: Mapping[str, Any], candidate: ModelVersion, standing: Standing, terms: Terms) -> None:
    """Refuse, with VaelineError, what is no fresh pass of this candidate, by these terms, against the champion."""
    again = f"run `vaeline gate {candidate.version}` again"
    if report["candidate"]["model_digest"] != candidate.tags[DIGEST_TAG]:
        raise VaelineError(f"the gate's report is about another model than {uri_of(candidate)}; {again}")
    if report["verdict"] != "pass":
        failed = [check["sentence"] for check in report["checks"] if check["verdict"] != "pass"]
        raise VaelineError(f"the gate's verdict on {uri_of(candidate)} is {report['verdict']}: {'; '.join(failed)}")
    age, allowed = datetime.now(UTC) - datetime.fromisoformat(report["created"]), terms.max_age
    if age > allowed:
        days = f"{age / DAY:.1f} days old, and registry.report_days allows {allowed / DAY:g}"
        raise VaelineError(f"the gate's report on {uri_of(candidate)} is {days}; {again}")
    if age < -CLOCKS_DIFFER_BY:
        raise VaelineError(f"the gate's report on {uri_of(candidate)} is of the future, {report['created']}; {again}")
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


def _passed(report: Mapping[str, Any]) -> str:
    if report["champion"] is None:
        return "passed the gate's floors; there was no champion"
    gain = report["improvement"]
    return f"passed the gate: better by {gain['mean']:.2f} ({gain['low']:.2f} to {gain['high']:.2f})"
