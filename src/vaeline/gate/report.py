"""What a decision leaves behind for machines: plain values, and the digest that names them.

Neither Keras nor a model is needed to read or to check a report.
"""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from vaeline.gate.policy import content_digest, least_gain, policy
from vaeline.scores import SCORES

if TYPE_CHECKING:
    from vaeline.gate.decision import Decision

GATE_VERSION = 1


def build_report(decision: "Decision", now: datetime | None = None) -> dict[str, Any]:
    """The decision in plain values; `gate_digest` names it."""
    contest, gate = decision.contest, decision.contest.params.gate
    models = [*decision.scored, *([decision.champion] if decision.champion else [])]
    return _plain(
        {
            "vaeline.gate_version": GATE_VERSION,
            "created": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
            "verdict": decision.verdict,
            "mode": gate.mode,
            "metric": gate.metric,
            "unit": SCORES[gate.metric].unit,
            "dataset": decision.scored[0].evaluation.dataset,
            "candidate": contest.candidates[0].as_dict(),
            "seeds": [entrant.as_dict() for entrant in contest.candidates],
            "champion": contest.champion.as_dict() if contest.champion else None,
            "means": {model.evaluation.name: model.mean for model in models},
            "improvement": _improvement(decision),
            "slices": [] if decision.improvement is None else decision.improvement.classes.to_dict("records"),
            "checks": [asdict(check) for check in decision.checks],
            "test_sha256": decision.facts.test_sha256,
            "test_images": len(decision.scored[0].subject.rows),
            "protocol": decision.scored[0].evaluation.protocol,
            "policy": policy(contest.params),
            "policy_sha256": content_digest(policy(contest.params)),
        }
    )


def gate_digest(report: dict[str, Any]) -> str:
    """SHA-256 of the report's canonical JSON: that of the file `gate.json`."""
    return content_digest(report)


def _improvement(decision: "Decision") -> dict[str, Any] | None:
    if decision.improvement is None:
        return None
    gate, found = decision.contest.params.gate, decision.improvement
    seeds = [model.mean for model in decision.scored]
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
    """Values that JSON knows: a figure that is no number is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
