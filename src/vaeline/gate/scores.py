"""Score all models on the same rows with the same noise, as the stage `evaluate` does, and compare them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer

from vaeline.anomaly.measure import measure_anomalies
from vaeline.anomaly.one_class import OneClass
from vaeline.anomaly.separation import alterations_of
from vaeline.classifier.network import Classifier
from vaeline.conditional.measure import measure_conditional
from vaeline.data.prepared import Prepared
from vaeline.defects.kinds import has_defects, rows_by_kind
from vaeline.defects.measure import defects_auroc
from vaeline.errors import VaelineError
from vaeline.evaluation.comparison import (
    Evaluation,
    pair,
    protocol_differences,
    require_same_images,
    require_score,
)
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.gate.contest import Contest
from vaeline.gate.facts import TEST, ContestFacts
from vaeline.gate.policy import evaluation_settings
from vaeline.gate.statistics import Bound, judge_labels, mean_gain, paired_gains
from vaeline.images.spec import ImageSpec
from vaeline.latents.measure import measure_latents
from vaeline.likelihood.bounds import has_grid
from vaeline.likelihood.measure import measure_likelihood
from vaeline.models.generative import GenerativeModel
from vaeline.params.base import nearest
from vaeline.params.evaluate import EvaluateParams
from vaeline.params.gate import GateParams, SetGateParams
from vaeline.params.whole import Params
from vaeline.registry.lookup import RegisteredVersion
from vaeline.samples.measure import measure_samples
from vaeline.scores import DEFECTS, ELBO_PARTS, JUDGED, SCORES

BOUND = "nll_bound"


@dataclass(frozen=True)
class ModelScores:
    """The scores of one model.

    evaluation: its scores of every test image; NaN for an image that is not scored. mean: of the metric. kl: nats
    per image, without those that encode a label; None where the model has no KL. nonfinite: number of images with a
    score that is not finite.
    """

    subject: Subject
    evaluation: Evaluation
    mean: float
    kl: float | None
    active_units: int
    nonfinite: int


@dataclass(frozen=True)
class Improvement:
    """The candidates' gain over the champion.

    gain: its mean with bounds. gains: of every image (images,), the mean over seeds. classes: a row for each class.
    first: the gain of the first candidate alone, None where there is only one.
    """

    gain: Bound
    gains: Float[np.ndarray, " images"]
    classes: pd.DataFrame
    first: Bound | None = None


@dataclass(frozen=True)
class ContestScores:
    """What the checks judge: numbers and arrays.

    mean, worst: the mean score of the candidates, and its gain over `gate.worst`. improvement: None without a champion.
    samples: precision and recall of samples. auroc: of OOD detection. All of these are None if a score is not finite,
    because the models cannot be compared then.
    """

    candidates: Sequence[ModelScores]
    champion: ModelScores | None
    mean: float | None = None
    worst: Bound | None = None
    improvement: Improvement | None = None
    samples: Mapping[str, float] | None = None
    auroc: float | None = None

    @property
    def models(self) -> Sequence[ModelScores]:
        """All models: the candidates, then the champion."""
        return [*self.candidates, *([self.champion] if self.champion else [])]

    @property
    def finite(self) -> bool:
        """Whether every score of every model is finite."""
        return not any(model.nonfinite for model in self.models)


def take_scores(facts: ContestFacts, contest: Contest) -> ContestScores:
    """Score all models on the same test rows with the same noise, and compare them.

    Raises:
        VaelineError: a model does not have the metric, or the scores cannot be compared.
    """
    params, gate = contest.params, contest.gate
    pairs = zip(facts.models, contest.candidates, strict=True)
    candidates = [_scores_of(model, version, facts, params) for model, version in pairs]
    champion = None
    if facts.champion is not None and contest.champion is not None:
        champion = _scores_of(facts.champion, contest.champion, facts, params)
    plain = ContestScores(candidates, champion)
    if not plain.finite:
        return plain
    mean, worst = gain_over_worst(candidates, gate)
    improvement = improve(candidates, champion, gate) if champion else None
    samples = sample_metrics(candidates[0], facts, params)
    if facts.densities is None:
        raise VaelineError(facts.no_densities)
    auroc = anomaly_auroc(candidates[0], facts.densities, gate)
    return ContestScores(candidates, champion, mean, worst, improvement, samples, auroc)


def score_model(
    subject: Subject, name: str, test_data: Mapping[str, str], classifier: Classifier, params: Params
) -> ModelScores:
    """The scores of a model that messages call `name`, on the test rows with the digests `test_data`.

    Where the test images are good ones and defective ones, the metric is of the good ones: a model that draws a defect
    well is not better.

    Raises:
        VaelineError: the model does not have the metric.
    """
    metric, settings = params.gate.metric, evaluation_settings(params)
    measured = {"test": measure_likelihood(subject, settings, exact=metric == "nll")}
    group = SCORES[metric].group
    if group == "latents":
        measured[group] = measure_latents(subject)
    if group == "conditional" and subject.model.is_conditional:
        measured[group] = measure_conditional(subject, classifier, params.classify, measured["test"].columns[BOUND])
    columns = {score: values for group in measured.values() for score, values in group.columns.items()}
    if metric not in columns:
        known = ", ".join(score for score in JUDGED if score in columns)
        raise VaelineError(
            f"{name} ({subject.model.title}) has no score {metric}, which gate.metric names; choose one of {known}"
        )
    metrics = measured["test"].metrics
    nonfinite = _count_nonfinite(subject, columns, settings, metric)
    if has_defects(subject.prepared):
        columns[metric] = _of_good(columns[metric], subject.prepared)
    return ModelScores(
        subject=subject,
        evaluation=Evaluation(
            name=name,
            dataset=subject.prepared.manifest["name"],
            test_data=test_data,
            protocol={name: group.protocol for name, group in measured.items()},
            scores=pd.DataFrame({"image": subject.rows, "label": subject.labels, **columns}),
            classes=dict(enumerate(subject.classes)),
        ),
        mean=float(np.nanmean(columns[metric])),
        kl=metrics["kl"] - subject.model.label_nats if "kl" in metrics else None,
        active_units=metrics["active_units"],
        nonfinite=nonfinite,
    )


def paired_scores(
    champion: ModelScores, candidates: Sequence[ModelScores], metric: str
) -> tuple[Float[np.ndarray, " images"], Float[np.ndarray, "seeds images"], Integer[np.ndarray, " images"]]:
    """The metric of the champion (images,) and the candidates (seeds, images), and the labels (images,), where scored.

    Raises:
        VaelineError: they were scored on other images, or the metric was measured in another way.
    """
    for other in candidates:
        require_same_images(champion.evaluation, other.evaluation)
        paired = pair(champion.evaluation.scores, other.evaluation.scores)
        reasons = protocol_differences(champion.evaluation, other.evaluation)
        require_score(champion.evaluation, other.evaluation, metric, paired, reasons)
    theirs, labels = metric_scores(candidates, metric)
    ours, _ = metric_scores([champion], metric)
    return ours[0], theirs, labels


def metric_scores(
    models: Sequence[ModelScores], metric: str
) -> tuple[Float[np.ndarray, "models images"], Integer[np.ndarray, " images"]]:
    """The metric (models, images) and the labels (images,) of the images that all models were scored on."""
    values = np.stack([model.evaluation.scores[metric].to_numpy("float64") for model in models])
    scored = np.isfinite(values).all(axis=0)
    return values[:, scored], models[0].subject.labels[scored]


def sample_metrics(model: ModelScores, facts: ContestFacts, params: Params) -> Mapping[str, float]:
    """Precision and recall of samples, as the stage `evaluate` measures them; a metric without a value is left out."""
    settings = evaluation_settings(params)
    return measure_samples(model.subject, facts.classifier, facts.classifier_sha256, settings).metrics


def require_ood_kind(gate: GateParams, image: ImageSpec) -> None:
    """Raise VaelineError if `gate.ood_kind` is neither `defects` nor an alteration of images of this size."""
    known = (*alterations_of(image), DEFECTS)
    if gate.ood_kind not in known:
        raise VaelineError(f"gate.ood_kind: no such alteration of images of {image}{nearest(gate.ood_kind, known)}")


def anomaly_auroc(model: ModelScores, densities: Mapping[str, OneClass], gate: GateParams) -> float | None:
    """AUROC of `gate.ood_score` between test images and images of `gate.ood_kind`; None without that score.

    Raises:
        VaelineError: no image can be altered in this way; `gate.ood_kind` is `defects`, and the test images have none.
    """
    if gate.ood_kind == DEFECTS:
        return defects_auroc(model.subject)
    require_ood_kind(gate, model.subject.model.image)
    measured: Measured = measure_anomalies(model.subject, densities, {}, [gate.ood_kind])
    return measured.metrics[gate.ood_kind].get(gate.ood_score, {}).get("auroc")


def improve(candidates: Sequence[ModelScores], champion: ModelScores, gate: SetGateParams) -> Improvement:
    """The gain of the candidates' seeds over the champion. Raises VaelineError if their scores cannot be compared."""
    ours, theirs, labels = paired_scores(champion, candidates, gate.metric)
    gains = paired_gains(ours, theirs, SCORES[gate.metric].better)
    table = judge_labels(gains, labels, gate.slice_margin, gate.confidence)
    names = [champion.subject.classes[label] for label in table["label"]]
    return Improvement(
        gain=_mean_gain(gains, labels, gate),
        gains=gains.mean(axis=0),
        classes=table.assign(**{"class": names}),
        first=_mean_gain(gains[:1], labels, gate) if len(candidates) > 1 else None,
    )


def gain_over_worst(candidates: Sequence[ModelScores], gate: SetGateParams) -> tuple[float, Bound]:
    """The mean score of the candidates, and its gain over `gate.worst` with bounds."""
    values, labels = metric_scores(candidates, gate.metric)
    gains = paired_gains(gate.worst, values, SCORES[gate.metric].better)
    return float(values.mean()), _mean_gain(gains, labels, gate)


def _mean_gain(
    gains: Float[np.ndarray, "seeds images"], labels: Integer[np.ndarray, " images"], gate: SetGateParams
) -> Bound:
    try:
        return mean_gain(gains, labels, gate.confidence, gate.resamples, np.random.default_rng(gate.seed))
    except ValueError as error:
        raise VaelineError(f"the bootstrap over test rows is not possible: {error}; raise gate.nll_images") from None


def _scores_of(model: GenerativeModel, version: RegisteredVersion, facts: ContestFacts, params: Params) -> ModelScores:
    subject = Subject(model, facts.prepared, params.evaluate.seed)
    return score_model(subject, version.title, facts.data.digests[TEST], facts.classifier, params)


def _of_good(values: Float[np.ndarray, " images"], prepared: Prepared) -> Float[np.ndarray, " images"]:
    good, _ = rows_by_kind(prepared)
    of_good = np.full(len(values), np.nan)
    of_good[good] = values[good]
    return of_good


def _count_nonfinite(
    subject: Subject, columns: Mapping[str, Float[np.ndarray, " images"]], settings: EvaluateParams, metric: str
) -> int:
    """Number of images whose metric or loss is not finite; a bound counts only on images that it is computed for."""
    of_some = metric == BOUND or (metric == "nll" and not has_grid(subject.model))
    chosen = subset(len(subject.rows), settings.nll_images, subject.seed) if of_some else subject.rows
    wrong = np.zeros(len(subject.rows), bool)
    wrong[chosen] = ~np.isfinite(columns[metric][chosen])
    for name in ELBO_PARTS:
        if name in columns:
            wrong |= ~np.isfinite(columns[name])
    return int(wrong.sum())
