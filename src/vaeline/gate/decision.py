"""The gate: a candidate against the champion, both scored now on the same rows, check by check."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vaeline.archive import load_archive
from vaeline.artifacts import digest
from vaeline.classifier.network import Classifier
from vaeline.data.prepared import Prepared, read_prepared
from vaeline.errors import VaelineError
from vaeline.evaluation.subject import Subject
from vaeline.gate.checks import Check, at_most, not_run
from vaeline.gate.contest import Contest
from vaeline.gate.data import TEST, Facts, data_checks, look_at
from vaeline.gate.policy import least_gain, require_thresholds
from vaeline.gate.scoring import (
    Scored,
    anomaly_check,
    collapse_checks,
    finite_check,
    metric_scores,
    paired_scores,
    sample_checks,
    score_model,
)
from vaeline.gate.served import service_checks
from vaeline.gate.statistics import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    Bound,
    judge_gain,
    judge_labels,
    mean_gain,
    overall,
    paired_gains,
)
from vaeline.params.gate import GateParams
from vaeline.params.whole import Params
from vaeline.registry.lookup import RegisteredVersion
from vaeline.registry.resolve import check_reference
from vaeline.registry.stored import load_stored
from vaeline.registry.versions import ARCHIVE
from vaeline.scores import SCORES
from vaeline.tracking.lineage import data_behind, data_md5

CLASSIFIER = Path("models/classifier.keras")
MEBIBYTE = 2**20
MEASURED = ("worst", "improvement", "slices", "precision", "recall", "auroc")
SERVED = ("served", "golden", "latency")


@dataclass(frozen=True)
class Improvement:
    """The candidates' gain over the champion: its mean with bounds, every image's (images,), and a row a class."""

    gain: Bound
    gains: np.ndarray
    classes: pd.DataFrame


@dataclass(frozen=True)
class Decision:
    """What came of a contest; the verdict follows from the checks alone."""

    contest: Contest
    facts: Facts
    scored: list[Scored]
    champion: Scored | None
    improvement: Improvement | None
    checks: list[Check]

    @property
    def verdict(self) -> str:
        """pass, inconclusive or fail."""
        return overall(check.verdict for check in self.checks)


def decide(contest: Contest) -> Decision:
    """Run every check; the dear ones come last, and not at all where nothing can be passed any more.

    Raises:
        VaelineError: a threshold is not set, or what is needed to judge is missing or does not fit together.
    """
    params, candidate = contest.params, contest.candidates[0]
    require_thresholds(params.gate)
    prepared = read_prepared(contest.directory)
    facts = look_at(contest.directory, prepared)
    classifier = _load_classifier()
    scored = [_score(entrant, prepared, facts, classifier, params) for entrant in contest.candidates]
    champion = _score(contest.champion, prepared, facts, classifier, params) if contest.champion else None
    checks = [*data_checks(contest.candidates, contest.champion, facts), _size_check(candidate, params.gate)]
    finite = finite_check([*scored, *([champion] if champion else [])])
    checks += [finite, *collapse_checks(scored[0], params.gate)]
    improvement = None
    if finite.verdict == PASS:
        checks.append(worst_check(scored, params.gate))
        if champion:
            improvement = improve(scored, champion, params.gate)
            checks += improvement_checks(improvement, scored, champion, params.gate)
        else:
            checks.append(Check("champion", PASS, None, None, "no champion: only absolute floors were asked for"))
        checks += sample_checks(scored[0], classifier, digest(CLASSIFIER), params)
        checks.append(_anomaly_check(candidate, scored[0], params.gate))
    else:
        checks += [not_run(name, "scores that are no numbers are not judged") for name in MEASURED]
    checks += _service_checks(candidate, checks, params.gate)
    return Decision(contest, facts, scored, champion, improvement, checks)


def improve(scored: Sequence[Scored], champion: Scored, gate: GateParams) -> Improvement:
    """The gain of the candidates' seeds over the champion. Raises VaelineError where their scores do not compare."""
    ours, theirs, labels = paired_scores(champion, scored, gate.metric)
    gains = paired_gains(ours, theirs, SCORES[gate.metric].better)
    table = judge_labels(gains, labels, gate.slice_margin, gate.confidence)
    names = [champion.subject.classes[label] for label in table["label"]]
    return Improvement(_bound(gains, labels, gate), gains.mean(axis=0), table.assign(**{"class": names}))


def improvement_checks(
    improvement: Improvement, scored: Sequence[Scored], champion: Scored, gate: GateParams
) -> list[Check]:
    """Whether the gain suffices, overall and in every class, and the seed that would be promoted is none of the bad."""
    unit = SCORES[gate.metric].unit
    least = least_gain(gate)
    checks = [
        Check(
            "improvement",
            judge_gain(improvement.gain, least, gate.margin),
            improvement.gain.mean,
            least,
            f"{_gain_sentence(improvement.gain, gate)}; a pass takes a gain above {least:+g}",
        ),
        _classes_check(improvement.classes, gate.slice_margin, unit),
    ]
    if len(scored) > 1:
        own = improve(scored[:1], champion, gate).gain
        sentence = f"{scored[0].evaluation.name} alone: {_gain_sentence(own, gate)}; a pass takes {-gate.margin:+g}"
        checks.append(Check("seed", judge_gain(own, -gate.margin, gate.margin), own.mean, -gate.margin, sentence))
    return checks


def worst_check(scored: Sequence[Scored], gate: GateParams) -> Check:
    """Whether the mean score is surely better than the worst that is allowed, whatever the champion is."""
    known = SCORES[gate.metric]
    values, labels = metric_scores(scored, gate.metric)
    bound = _bound(paired_gains(gate.worst, values, known.better), labels, gate)
    sentence = (
        f"mean {known.title} is {values.mean():.4g} {known.unit}; a pass takes better than {gate.worst:g} with "
        f"{100 * gate.confidence:g} % confidence"
    )
    return Check("worst", judge_gain(bound, 0.0, 0.0), float(values.mean()), gate.worst, sentence)


def _bound(gains: np.ndarray, labels: np.ndarray, gate: GateParams) -> Bound:
    try:
        return mean_gain(gains, labels, gate.confidence, gate.resamples, np.random.default_rng(gate.seed))
    except ValueError as error:
        raise VaelineError(f"the test rows cannot be drawn again: {error}; raise gate.nll_images") from None


def _gain_sentence(gain: Bound, gate: GateParams) -> str:
    return (
        f"gain {gain.mean:+.4g} {SCORES[gate.metric].unit}, above {gain.low:+.4g} and below {gain.high:+.4g} with "
        f"{100 * gate.confidence:g} % confidence each"
    )


def _classes_check(table: pd.DataFrame, margin: float, unit: str) -> Check:
    verdict = overall(table["verdict"])
    least = table.loc[table["gain"].idxmin()]
    found = f"the least gain is that of {least['class']}, {least['gain']:+.4g} {unit}"
    words = {INCONCLUSIVE: "seem to lose", FAIL: "lose, after Holm's correction,"}
    named = ", ".join(table["class"][table["verdict"] == verdict])
    subject = "no class loses" if verdict == PASS else f"classes that {words[verdict]}"
    sentence = f"{subject} more than {margin:g} {unit}{'' if verdict == PASS else f': {named}'}; {found}"
    return Check("slices", verdict, float(least["gain"]), -margin, sentence)


def _size_check(candidate: RegisteredVersion, gate: GateParams) -> Check:
    with candidate.stored.artifact(ARCHIVE) as file:
        return at_most("size", "size of the archive, MiB,", file.stat().st_size / MEBIBYTE, gate.budget.mebibytes)


def _anomaly_check(candidate: RegisteredVersion, scored: Scored, gate: GateParams) -> Check:
    stored = candidate.stored
    reference = check_reference(stored.read_reference(), stored.model_sha256, stored.name)
    return anomaly_check(scored, reference.densities, gate)


def _service_checks(candidate: RegisteredVersion, before: Sequence[Check], gate: GateParams) -> list[Check]:
    if overall(check.verdict for check in before) == FAIL:
        return [not_run(name, "what has failed already is not served") for name in SERVED]
    try:
        golden = candidate.stored.read_golden()
    except VaelineError as error:
        missing = Check("golden", FAIL, None, None, str(error))
        return [missing, *(not_run(name, "there is nothing to ask") for name in SERVED if name != "golden")]
    return service_checks(candidate.uri, golden, gate.budget.milliseconds)


def _score(
    entrant: RegisteredVersion, prepared: Prepared, facts: Facts, classifier: Classifier, params: Params
) -> Scored:
    subject = Subject(load_stored(entrant.stored), prepared, params.evaluate.seed)
    return score_model(subject, entrant.title, facts.digests[TEST], classifier, params)


def _load_classifier() -> Classifier:
    """The pinned classifier, if `dvc.lock` says that it was trained on the data that lies here."""
    if data_behind("classify", CLASSIFIER) not in {data_md5()} - {""}:
        raise VaelineError(f"{CLASSIFIER} is not that of the data here; run `dvc repro classify`")
    return load_archive(CLASSIFIER, Classifier)
