"""A report as a page that a person reads."""

from collections.abc import Collection, Sequence
from typing import Any

from vaeline.gate.statistics import PASS
from vaeline.params.base import flatten
from vaeline.scores import SCORES

PICTURES = {
    "gate_gains": "The gain of each image, and where the mean lies between failing and passing",
    "gate_classes": "The gain of each class with its bounds",
    "gate_manifolds": "Latent spaces beside each other",
    "gate_samples": "Samples beside each other",
}


def write_page(report: dict[str, Any], figures: Collection[str]) -> str:
    """The report as a page of Markdown; `figures` are the names of the pictures that lie beside it."""
    candidate, champion = report["candidate"], report["champion"]
    against = f"against {_title(champion)}" if champion else "with no champion to compare with"
    pictures = [f"![{text}]({name}.png)" for name, text in PICTURES.items() if name in figures]
    thresholds = flatten(report["policy"]["gate"])
    parts = [
        f"# Gate: {report['verdict']}",
        f"{_title(candidate)} {against}, on the {report['test_images']:,} test images of {report['dataset']}, "
        f"{report['created']}.",
        *_reasons(report),
        f"## {SCORES[report['metric']].title}, {report['unit']}",
        _table(["model", "mean"], [[name, _number(mean)] for name, mean in report["means"].items()]),
        *_improvement_lines(report),
        *_class_lines(report),
        "## Checks",
        _table(
            ["check", "verdict", "found", "asked for", "in words"],
            [
                [check["name"], check["verdict"], _number(check["value"]), _number(check["limit"]), check["sentence"]]
                for check in report["checks"]
            ],
        ),
        "## Pictures",
        *pictures,
        "## By which thresholds",
        _table(["parameter", "value"], [[f"gate.{key}", _number(value)] for key, value in thresholds.items()]),
        f"Policy `{report['policy_sha256'][:12]}`, test rows `{report['test_sha256'][:12]}`, candidate "
        f"`{candidate['model_digest'][:12]}`. How the gate decides stands in docs/gate.md.",
    ]
    return "\n\n".join(parts) + "\n"


def _reasons(report: dict[str, Any]) -> list[str]:
    """What stands in the way of a pass, a line a check."""
    if report["verdict"] == PASS:
        return ["Every check passes."]
    against = [check for check in report["checks"] if check["verdict"] == report["verdict"]]
    return ["\n".join(f"- **{check['name']}**: {check['sentence']}" for check in against)]


def _improvement_lines(report: dict[str, Any]) -> list[str]:
    found = report["improvement"]
    if found is None:
        return ["There is no champion yet, or no gain could be taken: nothing is compared."]
    scatter = f"{found['resamples']:,} draws of the {found['images']:,} images within their classes"
    if found["seeds"] > 1:
        scatter += f", and {found['seeds']} seeds whose means scatter by {_number(found['spread'])}"
    return [
        f"Gain of the candidate: **{found['mean']:+.4g}** {report['unit']}, above **{found['low']:+.4g}** and below "
        f"**{found['high']:+.4g}** with {100 * found['confidence']:g} % confidence each (from {scatter}). "
        f"`{report['mode']}` passes where the lower of these is above {found['least']:+g}, and fails where the upper "
        f"is below {-found['margin']:+g}."
    ]


def _class_lines(report: dict[str, Any]) -> list[str]:
    if not report["slices"]:
        return []
    columns = ["class", "images", "gain", "low", "high", "p (Holm)", "verdict"]
    keys = ["class", "images", "gain", "low", "high", "p_holm", "verdict"]
    return [_table(columns, [[_number(row[key]) for key in keys] for row in report["slices"]])]


def _title(entrant: dict[str, str]) -> str:
    return f"{entrant['name']} v{entrant['version']}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *cells))


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
