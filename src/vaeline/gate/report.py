"""The report on a decision: plain values for machines, the digest that names them, and a page for people.

Reading a report needs neither Keras nor a model.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vaeline.gate.policy import content_digest, least_gain, policy
from vaeline.gate.statistics import PASS
from vaeline.pages import Block, Code, Gallery, Heading, Listing, Picture, Sentence, Strong, Table
from vaeline.params.base import flatten
from vaeline.scores import SCORES

if TYPE_CHECKING:
    from vaeline.gate.decision import Decision

GATE_VERSION = 1
PICTURES = {
    "gate_gains": "The gain of each image, and the mean between fail and pass",
    "gate_classes": "The gain of each class with its bounds",
    "gate_manifolds": "Latent spaces beside each other",
    "gate_samples": "Samples beside each other",
}


def build_report(decision: "Decision", now: datetime | None = None) -> dict[str, Any]:
    """The decision in plain values, for JSON."""
    contest, gate = decision.contest, decision.contest.gate
    return _plain(
        {
            "vaeline.gate_version": GATE_VERSION,
            "created": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "verdict": decision.verdict,
            "mode": gate.mode,
            "metric": gate.metric,
            "unit": SCORES[gate.metric].unit,
            "dataset": decision.scores.candidates[0].evaluation.dataset,
            "candidate": contest.candidates[0].as_dict(),
            "seeds": [candidate.as_dict() for candidate in contest.candidates],
            "champion": contest.champion.as_dict() if contest.champion else None,
            "means": {model.evaluation.name: model.mean for model in decision.scores.models},
            "improvement": _improvement(decision),
            "slices": _slices(decision),
            "checks": [asdict(check) for check in decision.checks],
            "test_sha256": decision.facts.data.test_sha256,
            "test_images": _count_scored(decision),
            "protocol": decision.scores.candidates[0].evaluation.protocol,
            "policy": policy(contest.params),
            "policy_sha256": content_digest(policy(contest.params)),
        }
    )


def _count_scored(decision: "Decision") -> int:
    """Number of test images that have the metric: all, a sample (`gate.nll_images`), or the good ones."""
    evaluation = decision.scores.candidates[0].evaluation
    return int(evaluation.scores[decision.contest.gate.metric].notna().sum())


def gate_digest(report: dict[str, Any]) -> str:
    """SHA-256 of the report's canonical JSON: that of the file `gate.json`."""
    return content_digest(report)


def page_blocks(report: Mapping[str, Any], pictures: Collection[str]) -> list[Block]:
    """The report as blocks of a page; `pictures` are the names of the pictures beside it."""
    candidate, champion = report["candidate"], report["champion"]
    against = f"against {_title(champion)}" if champion else "with no champion to compare with"
    checks = [
        [check["name"], check["verdict"], _number(check["value"]), _number(check["limit"]), check["sentence"]]
        for check in report["checks"]
    ]
    thresholds = flatten(report["policy"]["gate"])
    return [
        Heading(f"Gate: {report['verdict']}", 1),
        Sentence(
            f"{_title(candidate)} {against}, on {report['test_images']:,} test images of {report['dataset']}, "
            f"{report['created']}."
        ),
        _reasons(report),
        Heading(f"{SCORES[report['metric']].title}, {report['unit']}"),
        _table(["model", "mean"], [[name, _number(mean)] for name, mean in report["means"].items()]),
        _improvement_sentence(report),
        *_class_table(report),
        Heading("Checks"),
        _table(["check", "verdict", "found", "required", "in words"], checks),
        Heading("Pictures"),
        Gallery([Picture(name, caption) for name, caption in PICTURES.items() if name in pictures]),
        Heading("Thresholds"),
        _table(["parameter", "value"], [[f"gate.{key}", _number(value)] for key, value in thresholds.items()]),
        Sentence(
            [
                "Policy ",
                Code(report["policy_sha256"][:12]),
                ", test rows ",
                Code(report["test_sha256"][:12]),
                ", candidate ",
                Code(candidate["model_digest"][:12]),
                ". docs/gate.md says how the gate decides.",
            ]
        ),
    ]


def _reasons(report: Mapping[str, Any]) -> Block:
    """The checks that decided against a pass."""
    if report["verdict"] == PASS:
        return Sentence("Every check passes.")
    against = [check for check in report["checks"] if check["verdict"] == report["verdict"]]
    return Listing([[Strong(check["name"]), f": {check['sentence']}"] for check in against])


def _improvement_sentence(report: Mapping[str, Any]) -> Block:
    found = report["improvement"]
    if found is None:
        return Sentence("Nothing is compared: there is no champion yet, or some scores are not finite.")
    scatter = f"{found['resamples']:,} draws of the {found['images']:,} images within their classes"
    if found["seeds"] > 1:
        scatter += f", and {found['seeds']} seeds whose means scatter by {_number(found['spread'])}"
    return Sentence(
        [
            "Gain of the candidate: ",
            Strong(f"{found['mean']:+.4g}"),
            f" {report['unit']}, above ",
            Strong(f"{found['low']:+.4g}"),
            " and below ",
            Strong(f"{found['high']:+.4g}"),
            f" with {100 * found['confidence']:g} % confidence each (from {scatter}). ",
            Code(report["mode"]),
            f" passes where the lower of these is above {found['least']:+g}, and fails where the upper is below "
            f"{-found['margin']:+g}.",
        ]
    )


def _class_table(report: Mapping[str, Any]) -> list[Block]:
    if not report["slices"]:
        return []
    columns = ["class", "images", "gain", "low", "high", "p (Holm)", "verdict"]
    keys = ["class", "images", "gain", "low", "high", "p_holm", "verdict"]
    return [_table(columns, [[_number(row[key]) for key in keys] for row in report["slices"]])]


def _title(version: Mapping[str, str]) -> str:
    return f"{version['name']} v{version['version']}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    return Table(pd.DataFrame(list(rows), columns=list(columns)))


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _slices(decision: "Decision") -> list[dict[str, Any]]:
    improvement = decision.scores.improvement
    return [] if improvement is None else improvement.classes.to_dict("records")


def _improvement(decision: "Decision") -> dict[str, Any] | None:
    if decision.scores.improvement is None:
        return None
    gate, found = decision.contest.gate, decision.scores.improvement
    seeds = [model.mean for model in decision.scores.candidates]
    return {
        **found.gain._asdict(),
        "margin": gate.margin,
        "min_gain": gate.min_gain,
        "least": least_gain(gate),
        "confidence": gate.confidence,
        "resamples": gate.resamples,
        "images": len(found.gains),
        "seeds": len(seeds),
        "spread": float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None,
    }


def _plain(value: Any) -> Any:
    """Values for JSON; a number that is not finite becomes null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
