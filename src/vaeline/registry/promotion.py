"""Promotion: a candidate that passed the gate is copied to the served model and becomes its champion."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from vaeline.errors import VaelineError
from vaeline.registry.candidates import copy_version, find_version, make_model
from vaeline.registry.chain import Entry
from vaeline.registry.moves import Standing, finish, move, one_at_a_time, read_standing
from vaeline.registry.stored import stored_version
from vaeline.registry.terms import GATE_TAGS, Terms, check_report, check_tags, read_report
from vaeline.registry.versions import uri_of
from vaeline.tracking.origin import who
from vaeline.tracking.runs import DIGEST_TAG

SOURCE_TAG = "vaeline.promoted_from"


@dataclass(frozen=True)
class Promotion:
    """The plan of a promotion. `copy` is the served version that has the model already, if there is one."""

    candidate: ModelVersion
    standing: Standing
    copy: ModelVersion | None
    reason: str
    gate_sha256: str

    @property
    def is_done(self) -> bool:
        """Whether the candidate's model is already champion."""
        return bool(self.standing.champion) and self.standing.digest == self.candidate.tags[DIGEST_TAG]

    def steps(self) -> list[str]:
        """The steps of the promotion, one sentence for each."""
        name, champion = self.standing.name, self.standing.champion
        source, number = uri_of(self.candidate), len(self.standing.entries) + 1
        if self.is_done:
            champion = f"{source} is version {champion} of {name} and already champion: nothing to do"
            return [*self.standing.unfinished_step(), champion]
        served = f"version {self.copy.version}" if self.copy else "the new version"
        return [
            *self.standing.unfinished_step(),
            f"replaces: {self.standing.describe()}",
            f"copy: {served} of {name} {'is' if self.copy else 'becomes'} a copy of {source}, SHA-256 "
            f"{self.candidate.tags[DIGEST_TAG][:12]}…",
            f"ledger: entry {number}, promote from {champion or 'none'} by {who()}, gate {self.gate_sha256[:12]}…, "
            f"reason: {self.reason}",
            self.standing.alias_goes_to(served),
        ]


def plan_promotion(
    client: MlflowClient, candidate: ModelVersion, name: str, terms: Terms, reason: str = ""
) -> Promotion:
    """Check all conditions of a promotion to the registered model `name`, and return its plan. Writes nothing.

    A candidate that is already champion is not checked further.

    Raises:
        VaelineError: a tag is missing; the gate's report is missing, not a pass, too old, or about another model,
            champion or policy; the champion is not `terms.replaces`; or the model's files do not have the recorded
            digest (and signature).
    """
    standing = read_standing(client, name)
    if standing.moved_by_hand:
        raise VaelineError(f"{standing.by_hand()}; set it with `vaeline rollback --to VERSION`")
    if standing.champion and standing.digest == candidate.tags.get(DIGEST_TAG):
        return Promotion(candidate, standing, None, "", "")
    if terms.replaces not in (None, standing.champion):
        raise VaelineError(f"--replaces {terms.replaces or 'none'}: {standing.describe()}")
    check_tags(candidate)
    report = read_report(client, candidate)
    check_report(report, candidate, standing, terms)
    if report["mode"] != "superior" and not reason:
        raise VaelineError(
            f"the gate found {uri_of(candidate)} no worse than the champion ({report['mode']}); this alone is no "
            "reason to promote it; give a --reason"
        )
    copy = find_version(client, name, candidate.tags[DIGEST_TAG])
    with stored_version(client, copy or candidate).archive():
        pass
    return Promotion(candidate, standing, copy, reason or _passed(report), candidate.tags["vaeline.gate_sha256"])


def promote(
    client: MlflowClient,
    candidate: ModelVersion,
    name: str,
    terms: Terms,
    reason: str = "",
    tell: Callable[[str], None] = lambda sentence: None,
) -> Entry | None:
    """Carry out the plan of `plan_promotion`, and pass each step to `tell` first.

    Returns the ledger's entry, or None if there was nothing to do. An unfinished move of an earlier process is finished
    first. A promotion that was killed can therefore be run again: the copy is found by its digest, and the alias is set
    from the ledger.

    Raises:
        VaelineError: as `plan_promotion`; or another process was faster.
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
    """The version of the registered model `name` with the candidate's model and gate tags. It is made if needed.

    If two processes copy at once, both use the lower version. `vaeline registry gc` removes the other.
    """
    model_digest = candidate.tags[DIGEST_TAG]
    if find_version(client, name, model_digest) is None:
        make_model(client, name, "Models that passed the gate; @champion is the one to serve.")
        copy_version(client, candidate, name)
    served = find_version(client, name, model_digest)
    if served is None:
        raise VaelineError(f"{name}: the new copy of {uri_of(candidate)} was deleted; promote again")
    wanted = {tag: candidate.tags[tag] for tag in GATE_TAGS if tag != "vaeline.gate_sha256"}
    for key, value in (wanted | {SOURCE_TAG: uri_of(candidate)}).items():
        if served.tags.get(key) != value:
            client.set_model_version_tag(name, str(served.version), key, value)
    return served


def _passed(report: Mapping[str, Any]) -> str:
    if report["champion"] is None:
        return "passed the gate's floors; there was no champion"
    gain = report["improvement"]
    return f"passed the gate: better by {gain['mean']:.2f} ({gain['low']:.2f} to {gain['high']:.2f})"
