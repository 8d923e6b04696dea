"""Models scored now, on the same rows with the same noise, by what the stage `evaluate` scores them with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vaeline.anomaly.measure import measure_anomalies
from vaeline.anomaly.one_class import OneClass
from vaeline.classifier.network import Classifier
from vaeline.conditional.measure import measure_conditional
from vaeline.errors import VaelineError
from vaeline.evaluation.comparison import (
    Evaluation,
    pair,
    protocol_differences,
    require_same_images,
    require_score,
)
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Part, Subject
from vaeline.gate.checks import Check, at_least, holds
from vaeline.gate.policy import evaluation_settings
from vaeline.latents.measure import measure_latents
from vaeline.likelihood.bounds import has_grid
from vaeline.likelihood.measure import measure_likelihood
from vaeline.params.evaluate import EvaluateParams
from vaeline.params.gate import GateParams
from vaeline.params.whole import Params
from vaeline.samples.measure import measure_samples
from vaeline.scores import ELBO_PARTS, SCORES

BOUND = "nll_bound"


@dataclass(frozen=True)
class Scored:
    """What a model came to.

    evaluation: its scores of every test image, nan where an image was not to be scored. mean: of the metric. kl: nats
    per image, those that tell a label left out; None where the model has none. nonfinite: how many images have a score
    that is no number.
    """

    subject: Subject
    evaluation: Evaluation
    mean: float
    kl: float | None
    active_units: int
    nonfinite: int


def score_model(
    subject: Subject, name: str, test_data: Mapping[str, str], classifier: Classifier, params: Params
) -> Scored:
    """`Scored` of a model that messages call `name`, on the test rows with the digests `test_data`.

    Raises:
        VaelineError: the model has no such score as the metric.
    """
    metric, settings = params.gate.metric, evaluation_settings(params)
    parts = {"test": measure_likelihood(subject, settings, exact=metric == "nll")}
    group = SCORES[metric].group
    if group == "latents":
        parts[group] = measure_latents(subject)
    if group == "conditional" and subject.model.is_conditional:
        parts[group] = measure_conditional(subject, classifier, params.classify, parts["test"].columns[BOUND])
    columns = {score: values for part in parts.values() for score, values in part.columns.items()}
    if metric not in columns:
        raise VaelineError(f"{name} ({subject.model.title}) has no score {metric}, by which gate.metric judges")
    figures = parts["test"].figures
    return Scored(
        subject=subject,
        evaluation=Evaluation(
            name=name,
            dataset=subject.prepared.manifest["name"],
            test_data=test_data,
            protocol={group: part.protocol for group, part in parts.items()},
            scores=pd.DataFrame({"image": subject.rows, "label": subject.labels, **columns}),
            classes=dict(enumerate(subject.classes)),
        ),
        mean=float(np.nanmean(columns[metric])),
        kl=figures["kl"] - subject.model.label_nats if "kl" in figures else None,
        active_units=figures["active_units"],
        nonfinite=_count_nonfinite(subject, columns, settings, metric),
    )


def paired_scores(champion: Scored, candidates: Sequence[Scored], metric: str) -> tuple[np.ndarray, ...]:
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


def metric_scores(models: Sequence[Scored], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """The metric (models, images) and the labels (images,) of the images that it was to be taken of."""
    values = np.stack([model.evaluation.scores[metric].to_numpy("float64") for model in models])
    scored = np.isfinite(values).all(axis=0)
    return values[:, scored], models[0].subject.labels[scored]


def finite_check(models: Sequence[Scored]) -> Check:
    """Whether all scores are numbers: an image without one would fall out of the comparison."""
    reasons = [
        f"{model.evaluation.name} has {model.nonfinite} images with a score that is no number"
        for model in models
        if model.nonfinite
    ]
    return holds("finite", reasons, "every score of every model is a number")


def collapse_checks(candidate: Scored, gate: GateParams) -> list[Check]:
    """Whether the posterior says something of the image."""
    return [
        at_least("kl", "KL, nats per image,", candidate.kl, gate.floors.kl),
        at_least("active_units", "number of active units", candidate.active_units, gate.floors.active_units),
    ]


def sample_checks(candidate: Scored, classifier: Classifier, classifier_sha256: str, params: Params) -> list[Check]:
    """Whether samples are like data, and data like samples."""
    figures = measure_samples(candidate.subject, classifier, classifier_sha256, evaluation_settings(params)).figures
    floors = params.gate.floors
    return [
        at_least("precision", "precision of samples", figures.get("precision"), floors.precision),
        at_least("recall", "recall of samples", figures.get("recall"), floors.recall),
    ]


def anomaly_check(candidate: Scored, densities: Mapping[str, OneClass], gate: GateParams) -> Check:
    """Whether strange images are told from test images."""
    part: Part = measure_anomalies(candidate.subject, densities, {}, [gate.ood_kind])
    found = part.figures[gate.ood_kind].get(gate.ood_score, {})
    return at_least("auroc", f"AUROC of {gate.ood_score} on {gate.ood_kind}", found.get("auroc"), gate.floors.auroc)


def _count_nonfinite(subject: Subject, columns: Mapping[str, np.ndarray], settings: EvaluateParams, metric: str) -> int:
    """Images whose metric or loss is no number; a bound is asked of its own images alone."""
    of_some = metric == BOUND or (metric == "nll" and not has_grid(subject.model))
    chosen = subset(len(subject.rows), settings.nll_images, subject.seed) if of_some else subject.rows
    wrong = np.zeros(len(subject.rows), bool)
    wrong[chosen] = ~np.isfinite(columns[metric][chosen])
    for name in ELBO_PARTS:
        if name in columns:
            wrong |= ~np.isfinite(columns[name])
    return int(wrong.sum())
