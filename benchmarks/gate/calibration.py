"""How often the gate's rule promotes, on pairs of models whose true difference is known.

A pair is two seeds of one configuration, on a test set that is drawn with replacement from the test images. The mean
over all images is the truth, and each draw is another test set. No rule should promote one of the two over the other.

A better model has a known true gain: its scores are all lowered by the difference between this gain and the present
one. For a better configuration, the scores are lowered by the whole amount, whatever gain these two seeds have by
chance. A rule that sees only one seed of such a configuration errs more often.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import stats
from tqdm import tqdm

from vaeline.artifacts import atomic_file
from vaeline.gate.statistics import (
    FAIL,
    PASS,
    Bound,
    gain_of_chance,
    judge_gain,
    judge_labels,
    mean_gain,
    overall,
    paired_gains,
)
from vaeline.params.gate import GateParams
from vaeline.scores import SCORES
from vaeline.thresholds.seeds import SeedScores, Spread

Rule = Callable[[np.ndarray, np.ndarray, Bound], str]
BETTER_BY = 0.5
MOST_FALSE, LEAST_TRUE = 0.05, 0.9
SEVERAL = 3
NAIVE = "the better mean wins"
UNAIDED = "paired bound above 0"
GATE = "the gate"
HELD_OUT = "the gate, `min_gain` from the other seeds alone"
SEEDS = "the gate, the candidate as three seeds"
HEAD = """\
Verdicts on {pairs} pairs of trainings of one configuration: {count} seeds give {distinct} different pairs, in both
orders, each time on {images:,} test images that are drawn again. *Equal*: only the seed differs. *Better model*: the
true gain of this candidate exceeds `min_gain` by {better} {unit}. *Better configuration*: the mean gain of all its
seeds does; the candidate's own gain may be less. Brackets hold Wilson's 95 % intervals for independent pairs; pairs
with a common seed are not quite independent. Made by `python benchmarks/gate`.

- {metric}: {mean:.2f} {unit}, standard deviation over seeds {deviation:.2f}; this suggests a `min_gain` of
  {suggested:.2f} and a `slice_margin` of {suggested_slice:.2f}
- the gate: superior, `min_gain` {min_gain:g}, `margin` {margin:g}, `slice_margin` {slice_margin:g}, confidence
  {confidence:g}

| rule | equal, promoted | equal, failed | better model, promoted | better configuration, promoted |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class RuleVerdicts:
    """A rule's verdicts on equal pairs, and on the same pairs with a better model or configuration."""

    rule: str
    equal: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    better_configuration: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trial:
    """Gains (seeds, images) on one test set, its labels, the bounds of the gains, and their true mean."""

    gains: np.ndarray
    labels: np.ndarray
    bound: Bound
    truth: float


def calibrate(scores: SeedScores, gate: GateParams, pairs: int) -> list[RuleVerdicts]:
    """Apply every rule to at least `pairs` pairs; each ordered pair of seeds occurs equally often."""
    rng = np.random.default_rng(gate.seed)
    order = list(itertools.permutations(range(len(scores.seeds)), 2))
    rows = {name: RuleVerdicts(name) for name in (NAIVE, UNAIDED, GATE, HELD_OUT, SEEDS)}
    for champion, candidate in tqdm(order * math.ceil(pairs / len(order)), desc="pairs", disable=None):
        drawn = rng.integers(scores.values.shape[1], size=scores.values.shape[1])
        others = [seed for seed in range(len(scores.seeds)) if seed not in (champion, candidate)]
        one = draw_trial(scores, champion, [candidate], [candidate], drawn, gate, rng)
        judge(rows[NAIVE], one, lambda gains, labels, bound: PASS if bound.mean > 0 else FAIL, gate.min_gain)
        judge(rows[UNAIDED], one, lambda gains, labels, bound: judge_gain(bound, 0.0, 0.0), gate.min_gain)
        judge(rows[GATE], one, superior(gate, gate.min_gain), gate.min_gain)
        if len(others) >= 2:
            held_out = gain_of_chance(scores.values[others].mean(axis=1), gate.confidence)
            judge(rows[HELD_OUT], one, superior(gate, held_out), held_out)
        if len(others) >= SEVERAL:
            seeds = [candidate, *rng.choice(others, SEVERAL - 1, replace=False)]
            several = draw_trial(scores, champion, seeds, [candidate, *others], drawn, gate, rng)
            judge(rows[SEEDS], several, superior(gate, gate.min_gain), gate.min_gain)
    return [row for row in rows.values() if row.equal]


def draw_trial(
    scores: SeedScores,
    champion: int,
    candidates: Sequence[int],
    configuration: Sequence[int],
    drawn: np.ndarray,
    gate: GateParams,
    rng: np.random.Generator,
) -> Trial:
    """Compare candidates with a champion on the images `drawn`; the truth uses all images of `configuration`."""
    better = SCORES[gate.metric].better
    gains = paired_gains(scores.values[champion, drawn], scores.values[list(candidates)][:, drawn], better)
    truth = paired_gains(scores.values[champion], scores.values[list(configuration)], better).mean()
    labels = scores.labels[drawn]
    return Trial(gains, labels, mean_gain(gains, labels, gate.confidence, gate.resamples, rng), float(truth))


def judge(row: RuleVerdicts, trial: Trial, rule: Rule, min_gain: float) -> None:
    """Apply `rule` to the pair as it is, and with a constant added to every gain, which makes it truly better.

    Seeds of one configuration have a mean gain of 0, so adding the whole amount makes the configuration better.
    """
    wanted = min_gain + BETTER_BY
    for verdicts, added in (
        (row.equal, 0.0),
        (row.better, wanted - trial.truth),
        (row.better_configuration, wanted),
    ):
        verdicts.append(rule(trial.gains + added, trial.labels, Bound(*(value + added for value in trial.bound))))


def superior(gate: GateParams, min_gain: float) -> Rule:
    """The gate's rule for a promotion on a candidate's scores, overall and in every class."""

    def rule(gains: np.ndarray, labels: np.ndarray, bound: Bound) -> str:
        classes = judge_labels(gains, labels, gate.slice_margin, gate.confidence)["verdict"]
        return overall([judge_gain(bound, min_gain, gate.margin), overall(classes)])

    return rule


def keeps_its_promise(rows: Sequence[RuleVerdicts]) -> bool:
    """Whether the gate promotes few equal models, and nearly all better ones."""
    (row,) = (row for row in rows if row.rule == GATE)
    promoted, of = row.equal.count(PASS), len(row.equal)
    return promoted <= MOST_FALSE * of and row.better.count(PASS) >= LEAST_TRUE * of


def write_table(file: Path, rows: Sequence[RuleVerdicts], scores: SeedScores, gate: GateParams, found: Spread) -> None:
    """Write the rules side by side, with the settings of the trials."""
    count = len(scores.seeds)
    head = HEAD.format(
        pairs=len(rows[0].equal),
        count=count,
        distinct=count * (count - 1) // 2,
        images=scores.values.shape[1],
        metric=SCORES[gate.metric].title,
        unit=SCORES[gate.metric].unit,
        mean=found.mean,
        deviation=found.deviation,
        better=BETTER_BY,
        suggested=found.min_gain,
        suggested_slice=found.slice_margin,
        **gate.model_dump(include={"min_gain", "margin", "slice_margin", "confidence"}),
    )
    lines = [
        f"| {row.rule} | {share(row.equal, PASS)} | {share(row.equal, FAIL)} | {share(row.better, PASS)} | "
        f"{share(row.better_configuration, PASS)} |"
        for row in rows
    ]
    with atomic_file(file) as temporary:
        temporary.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


def share(verdicts: Sequence[str], word: str) -> str:
    """The share of verdicts that are `word`, in percent, with its interval."""
    found = stats.binomtest(verdicts.count(word), len(verdicts))
    low, high = found.proportion_ci(method="wilson")
    return f"{100 * found.statistic:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
