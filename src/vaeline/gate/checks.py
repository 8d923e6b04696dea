"""The checks: pure functions of facts, scores and thresholds, each with a verdict and a sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vaeline.gate.contest import Contest
from vaeline.gate.facts import PASSED, TEST, TEST_TAG, VALIDATION_TAG, ContestFacts, DataFacts, rows_digest
from vaeline.gate.policy import least_gain
from vaeline.gate.scores import ContestScores, Improvement, ModelScores
from vaeline.gate.statistics import FAIL, INCONCLUSIVE, PASS, Bound, judge_gain, overall
from vaeline.gate.trial import ServiceTrial
from vaeline.outputs import VALIDATION
from vaeline.params.gate import SetGateParams
from vaeline.pyfunc.golden import answer_differences
from vaeline.registry.lookup import RegisteredVersion
from vaeline.scores import SCORES
from vaeline.tracking.comparison import dataset_digests, split_digests

NOT_RUN = "not run"
MEBIBYTE = 2**20
SCORE_CHECKS = ("worst", "improvement", "slices", "precision", "recall", "auroc")
SERVICE_CHECKS = ("served", "golden", "latency")


@dataclass(frozen=True)
class Check:
    """The result of one check; verdict: pass, inconclusive, fail, or `not run`, which never counts as a pass."""

    name: str
    verdict: str
    value: float | str | None
    limit: float | str | None
    sentence: str


def holds(name: str, reasons: list[str], otherwise: str) -> Check:
    """A check of facts: `fail` if there are reasons against it, else `pass` with the sentence `otherwise`."""
    return Check(name, FAIL if reasons else PASS, None, None, "; ".join(reasons) or otherwise)


def at_least(name: str, what: str, value: float | None, floor: float) -> Check:
    """Whether a value reaches its floor. A missing value, or one that is not a number, passes only a floor of 0."""
    if value is None or math.isnan(value):
        return Check(name, FAIL if floor else PASS, None, floor, f"there is no {what}; at least {floor:g} is required")
    verdict = PASS if value >= floor else FAIL
    return Check(name, verdict, float(value), floor, f"{what} is {value:.4g}; at least {floor:g} is required")


def at_most(name: str, what: str, value: float, ceiling: float) -> Check:
    """Whether a value stays within its budget."""
    verdict = PASS if value <= ceiling else FAIL
    return Check(name, verdict, float(value), ceiling, f"{what} is {value:.4g}; at most {ceiling:g} is allowed")


def not_run(name: str, reason: str) -> Check:
    """A check that was left out, and why."""
    return Check(name, NOT_RUN, None, None, reason)


def model_checks(contest: Contest, facts: ContestFacts, scores: ContestScores) -> list[Check]:
    """All checks but those of the service."""
    gate = contest.gate
    return [
        *data_checks(contest.candidates, contest.champion, facts.data),
        at_most("size", "size of the archive, MiB,", facts.archive_bytes / MEBIBYTE, gate.budget.mebibytes),
        finite_check(scores.models),
        *collapse_checks(scores.candidates[0], gate),
        *(measured_checks(scores, gate) if scores.finite else [_not_judged(name) for name in SCORE_CHECKS]),
    ]


def measured_checks(scores: ContestScores, gate: SetGateParams) -> list[Check]:
    """The checks of scores, which must all be finite."""
    if scores.mean is None or scores.worst is None or scores.samples is None:
        raise ValueError("scores that are not finite cannot be judged")
    if scores.improvement is None:
        against = [Check("champion", PASS, None, None, "there is no champion; only the absolute thresholds apply")]
    else:
        against = improvement_checks(scores.improvement, scores.candidates[0].evaluation.name, gate)
    return [
        worst_check(scores.mean, scores.worst, gate),
        *against,
        at_least("precision", "precision of samples", scores.samples.get("precision"), gate.floors.precision),
        at_least("recall", "recall of samples", scores.samples.get("recall"), gate.floors.recall),
        anomaly_check(scores.auroc, gate),
    ]


def data_checks(
    candidates: Sequence[RegisteredVersion], champion: RegisteredVersion | None, data: DataFacts
) -> list[Check]:
    """Whether all seeds were trained on this data, it passed its validation, and the test rows are the champion's."""
    foreign = [reason for candidate in candidates for reason in _foreign_data(candidate, data)]
    unvalidated = [reason for candidate in candidates for reason in _unvalidated(candidate, data)]
    checks = [
        holds("data", foreign, "every candidate was trained on the data on disk"),
        holds("validation", unvalidated, "the data on disk passed its validation"),
        at_most("overlap", "number of test images that are also training or validation images", data.overlap, 0),
    ]
    if champion:
        reasons = _other_test_rows(champion, data)
        checks.append(holds("test_rows", reasons, "the champion was tested on the same test rows"))
    return checks


def finite_check(models: Sequence[ModelScores]) -> Check:
    """Whether all scores are finite. An image with another score would be missing from the comparison."""
    reasons = [
        f"{model.evaluation.name} has {model.nonfinite} images with a score that is not finite"
        for model in models
        if model.nonfinite
    ]
    return holds("finite", reasons, "every score of every model is finite")


def collapse_checks(candidate: ModelScores, gate: SetGateParams) -> list[Check]:
    """Whether the posterior depends on the image."""
    return [
        at_least("kl", "KL, nats per image,", candidate.kl, gate.floors.kl),
        at_least("active_units", "number of active units", candidate.active_units, gate.floors.active_units),
    ]


def worst_check(mean: float, gain: Bound, gate: SetGateParams) -> Check:
    """Whether the mean score is better than `gate.worst` with confidence `gate.confidence`, without a champion."""
    known = SCORES[gate.metric]
    sentence = (
        f"mean {known.title} is {mean:.4g} {known.unit}; a pass requires better than {gate.worst:g} with "
        f"{100 * gate.confidence:g} % confidence"
    )
    return Check("worst", judge_gain(gain, 0.0, 0.0), mean, gate.worst, sentence)


def improvement_checks(improvement: Improvement, first_name: str, gate: SetGateParams) -> list[Check]:
    """Whether the gain suffices overall, no class loses, and the first seed alone does not lose."""
    least, gain, first = least_gain(gate), improvement.gain, improvement.first
    sentence = f"{_gain_sentence(gain, gate)}; a pass requires a gain above {least:+g}"
    checks = [
        Check("improvement", judge_gain(gain, least, gate.margin), gain.mean, least, sentence),
        _classes_check(improvement.classes, gate.slice_margin, SCORES[gate.metric].unit),
    ]
    if first is not None:
        sentence = f"{first_name} alone: {_gain_sentence(first, gate)}; a pass requires a gain above {-gate.margin:+g}"
        verdict = judge_gain(first, -gate.margin, gate.margin)
        checks.append(Check("seed", verdict, first.mean, -gate.margin, sentence))
    return checks


def anomaly_check(auroc: float | None, gate: SetGateParams) -> Check:
    """Whether the score separates OOD images from test images."""
    return at_least("auroc", f"AUROC of {gate.ood_score} on {gate.ood_kind}", auroc, gate.floors.auroc)


def service_checks(facts: ContestFacts, trial: ServiceTrial | None, failed: bool, gate: SetGateParams) -> list[Check]:
    """Whether the served model answers in every mode, answers as it did at registration, and is fast enough.

    trial: None if the model was not served, because a check has `failed` or there are no golden outputs.
    """
    if failed:
        return [not_run(name, "another check has failed, so the model was not served") for name in SERVICE_CHECKS]
    if trial is None or facts.golden is None:
        missing = Check("golden", FAIL, None, None, facts.no_golden)
        return [
            missing,
            *(not_run(name, "there are no golden outputs") for name in SERVICE_CHECKS if name != "golden"),
        ]
    served = holds("served", trial.problems, "it loads in a clean process without pickle and answers in every mode")
    if trial.problems:
        return [served, *(not_run(name, "the model was not served") for name in ("golden", "latency"))]
    what = "95th percentile of the time for one image over HTTP, milliseconds,"
    return [
        served,
        holds("golden", answer_differences(facts.golden, trial.answers), "it answers as it did at registration"),
        at_most("latency", what, float(np.percentile(trial.milliseconds, 95)), gate.budget.milliseconds),
    ]


def _not_judged(name: str) -> Check:
    return not_run(name, "some scores are not finite")


def _gain_sentence(gain: Bound, gate: SetGateParams) -> str:
    return (
        f"gain {gain.mean:+.4g} {SCORES[gate.metric].unit}, above {gain.low:+.4g} and below {gain.high:+.4g} with "
        f"{100 * gate.confidence:g} % confidence each"
    )


def _classes_check(table: pd.DataFrame, margin: float, unit: str) -> Check:
    verdict = overall(table["verdict"])
    least = table.loc[table["gain"].idxmin()]
    found = f"the smallest gain is {least['gain']:+.4g} {unit}, of {least['class']}"
    verbs = {INCONCLUSIVE: "seem to lose", FAIL: "lose"}
    named = ", ".join(table["class"][table["verdict"] == verdict])
    subject = "no class loses" if verdict == PASS else f"these classes {verbs[verdict]}"
    reason = {INCONCLUSIVE: f": {named}", FAIL: f" after Holm's correction: {named}"}.get(verdict, "")
    sentence = f"{subject} more than {margin:g} {unit}{reason}; {found}"
    return Check("slices", verdict, float(least["gain"]), -margin, sentence)


def _foreign_data(candidate: RegisteredVersion, data: DataFacts) -> list[str]:
    recorded = split_digests(candidate.run)
    if not recorded:
        return [f"the run of {candidate.title} does not say on which data it was trained"]
    return [
        f"the {name} split of {candidate.title} is not the one on disk"
        for name in data.digests
        if recorded.get(name) != data.digests[name]
    ]


def _unvalidated(candidate: RegisteredVersion, data: DataFacts) -> list[str]:
    reasons = []
    said = candidate.tags.get(VALIDATION_TAG, "nothing")
    if said != PASSED:
        reasons.append(f"the data validation of {candidate.title} says {said}, not {PASSED}")
    if not data.validated:
        reasons.append(f"{VALIDATION} does not say that the data on disk passed; run `dvc repro validate`")
    elif data.validated not in dataset_digests(candidate.run):
        reasons.append(f"{VALIDATION} is about data that {candidate.title} was not trained on")
    return reasons


def _other_test_rows(champion: RegisteredVersion, data: DataFacts) -> list[str]:
    recorded = split_digests(champion.run).get(TEST)
    if recorded is None:
        return [f"the run of {champion.title} does not say on which rows it was tested"]
    tagged = champion.tags.get(TEST_TAG, data.test_sha256)
    same = rows_digest(recorded) == data.test_sha256 == tagged
    return [] if same else [f"{champion.title} was tested on other rows than those on disk"]
