"""Measure the thresholds of a data set: train some seeds of one configuration, and see what differs by chance alone."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vaeline.anomaly.one_class import fit_densities, image_statistics
from vaeline.artifacts import canonical_json
from vaeline.classifier.network import Classifier
from vaeline.data.prepared import Prepared
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Subject
from vaeline.gate.policy import evaluation_settings
from vaeline.gate.scores import ModelScores, anomaly_auroc, metric_scores, score_model
from vaeline.gate.statistics import gain_of_chance
from vaeline.models.generative import GenerativeModel
from vaeline.monitoring.scores import Observed, observe
from vaeline.monitoring.two_sample_tests import compare
from vaeline.params.gate import GateParams, SetGateFloors
from vaeline.params.monitor import LeastEffects, MonitorParams
from vaeline.params.whole import Params
from vaeline.samples.measure import measure_samples
from vaeline.scores import ELBO_PARTS, SCORES
from vaeline.thresholds.seeds import SeedScores, Spread, spread, train_seed
from vaeline.thresholds.stored import GateThresholds, MeasuredOn, MonitorThresholds, Thresholds

FLOORS = ("kl", "active_units", "precision", "recall", "auroc")
WORST_SHARE = 0.05
WINDOWS = 100
QUANTILE = 0.95
LEAST_EFFECT = 0.02


@dataclass(frozen=True)
class SeedFacts:
    """The scores of one seed's model, and its values for the gate's floors; None where the model has no such value."""

    model: GenerativeModel
    scores: ModelScores
    floors: Mapping[str, float | None]


def measure_thresholds(
    params: Params, prepared: Prepared, classifier: Classifier, classifier_sha256: str, seeds: int, cache: Path
) -> Thresholds:
    """The thresholds for the prepared data and the configuration of `params`, from `seeds` trainings.

    Trained models are kept in a folder of `cache`, so that a measurement that was stopped goes on.

    Raises:
        VaelineError: a training fails, or a score is not finite.
    """
    folder = cache / _key(params, prepared)
    facts = list(_seed_facts(params, prepared, classifier, classifier_sha256, range(1, seeds + 1), folder))
    values, labels = metric_scores([each.scores for each in facts], params.gate.metric)
    found = spread(SeedScores(list(range(1, seeds + 1)), values, labels), params.gate)
    effects = clean_effects(facts[0].model, prepared, params.monitor)
    return Thresholds(
        measured_on=MeasuredOn(
            dataset=prepared.manifest["name"],
            test_images_sha256=prepared.manifest["splits"]["test"]["images_sha256"],
            model=facts[0].model.title,
            seeds=seeds,
            mean=round(found.mean, 5),
            deviation=round(found.deviation, 5),
            epochs=params.train.epochs,
        ),
        gate=gate_thresholds(found, values.mean(axis=1), [each.floors for each in facts], params.gate),
        monitor=MonitorThresholds(least_effects=least_effects(effects)),
    )


def gate_thresholds(
    found: Spread, means: Float[np.ndarray, " seeds"], floors: Sequence[Mapping[str, float | None]], gate: GateParams
) -> GateThresholds:
    """The gate's thresholds from the spread of the seeds, their mean scores, and their values for the floors.

    min_gain and margin are the gain of chance, slice_margin the same for a class, all rounded up. `worst` is the worst
    seed and 5 % of it, or the gain of chance where this is more.
    """
    min_gain = round_up(found.min_gain)
    sign = {"lower": 1, "higher": -1}[SCORES[gate.metric].better]
    worst_mean = float(sign * np.max(sign * means))
    return GateThresholds(
        metric=gate.metric,
        min_gain=min_gain,
        margin=min_gain,
        slice_margin=round_up(found.slice_margin),
        worst=round(worst_mean + sign * max(found.min_gain, WORST_SHARE * abs(worst_mean)), 4),
        floors=SetGateFloors.model_validate(
            {name: floor_of([each[name] for each in floors], gate.confidence) for name in FLOORS}
        ),
    )


def floor_of(values: Sequence[float | None], confidence: float) -> int | float:
    """A floor that another seed seldom misses: the lowest value, less the gain of chance, rounded down.

    It is 0 if a seed has no value. Whole numbers give a whole number.
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < len(values):
        return 0
    lowest = max(0.0, min(known) - gain_of_chance(known, confidence))
    return math.floor(lowest) if all(isinstance(value, int) for value in known) else math.floor(100 * lowest) / 100


def clean_effects(
    model: GenerativeModel, prepared: Prepared, settings: MonitorParams
) -> dict[str, Float[np.ndarray, " windows"]]:
    """The effects of windows without drift, by the names of `monitor.least_effects`.

    A window is drawn with replacement from the test images of classes that the model was trained on. It is compared
    with validation images, as `vaeline monitor` does.
    """
    validation, test = prepared.splits["validation"], prepared.splits["test"]
    rows = subset(len(validation.images), settings.reference_rows, settings.seed)
    reference = observe(model, validation.images[rows], validation.labels[rows].astype("int64"), settings.seed)
    usual = np.flatnonzero(np.isin(test.labels, np.unique(prepared.splits["train"].labels)))
    usual = usual[subset(len(usual), 2 * settings.window_rows, settings.seed)]
    pool = observe(model, test.images[usual], test.labels[usual].astype("int64"), settings.seed)
    rng = np.random.default_rng(settings.seed)
    size = min(settings.window_rows, len(pool))
    windows = [effects_of(reference, pool.take(rng.integers(len(pool), size=size)), settings) for _ in range(WINDOWS)]
    return {name: np.array([window[name] for window in windows]) for name in LeastEffects.model_fields}


def effects_of(reference: Observed, window: Observed, settings: MonitorParams) -> dict[str, float]:
    """The effect of each test; `scores` is the largest of those of the scores."""
    results = compare(reference, window, 0, settings.neighbours, np.random.default_rng(settings.seed))
    found = {result.name: result.effect for result in results}
    return found | {"scores": max(effect for name, effect in found.items() if name in ELBO_PARTS)}


def least_effects(effects: Mapping[str, Float[np.ndarray, " windows"]]) -> LeastEffects:
    """For each test the effect that 95 % of clean windows stay below, rounded up; at least 0.02."""
    return LeastEffects.model_validate(
        {
            name: min(1.0, max(LEAST_EFFECT, math.ceil(100 * np.quantile(values, QUANTILE)) / 100))
            for name, values in effects.items()
        }
    )


def round_up(value: float) -> float:
    """A positive value, rounded up to two digits."""
    if value <= 0:
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    return round(math.ceil(value * 10.0**digits) / 10.0**digits, max(0, digits))


def _seed_facts(
    params: Params, prepared: Prepared, classifier: Classifier, sha256: str, seeds: Sequence[int], folder: Path
) -> Iterator[SeedFacts]:
    for seed in seeds:
        subject = Subject(train_seed(params, prepared, seed, folder), prepared, params.evaluate.seed)
        scores = score_model(subject, f"seed {seed}", {}, classifier, params)
        samples = measure_samples(subject, classifier, sha256, evaluation_settings(params)).metrics
        rows = subset(len(subject.train_labels), params.evaluate.reference_images, subject.seed)
        statistics = image_statistics(subject.model, subject.train_images(rows), np.arange(len(rows)), subject.seed)
        auroc = anomaly_auroc(scores, fit_densities(statistics, subject.seed), params.gate)
        floors = {"kl": scores.kl, "active_units": scores.active_units, "auroc": auroc}
        floors |= {name: samples.get(name) for name in ("precision", "recall")}
        print(f"thresholds: seed {seed}: {params.gate.metric} {scores.mean:.4f}", flush=True)
        yield SeedFacts(subject.model, scores, floors)


def _key(params: Params, prepared: Prepared) -> str:
    """Twelve hex digits that identify all inputs of a training but its seed."""
    content = {
        "model": params.model.model_dump(),
        "train": params.train.model_dump(exclude={"seed"}),
        "threads": params.compute.threads,
        "data": {name: split["images_sha256"] for name, split in prepared.manifest["splits"].items()},
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]
