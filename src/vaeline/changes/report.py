"""The report for the review of a change: the present state against a base, from files only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vaeline.changes import differences
from vaeline.changes.state import PipelineState
from vaeline.errors import VaelineError
from vaeline.evaluation.comparison import Comparison, comparison_tables
from vaeline.figures.canvas import figure_png
from vaeline.figures.comparison import draw_comparison
from vaeline.figures.learning_curves import draw_curves_beside
from vaeline.outputs import HISTORY, SCORES, VALIDATION
from vaeline.own_files import read_json
from vaeline.pages import Block, Gallery, Heading, Picture, Sentence, Table
from vaeline.reports import GATE, MONITOR
from vaeline.scores import LOSSES, title_of, unit_of

BESIDE = {
    "manifold": "the latent space",
    "reconstructions": "reconstructions of test images",
    "samples": "samples from the prior",
    "codes": "how often each code is used",
}
NOTHING = "Nothing."


def build_report(base: PipelineState, present: PipelineState, minutes: Mapping[str, float]) -> list[Block]:
    """The blocks of the page. `minutes`: the training time of each state by its name, if known."""
    comparison, why_not = _compared(base, present)
    return [
        Heading(f"What changed since {base.name}", 1),
        *_summary(comparison, why_not, base.model_sha256 == present.model_sha256 != "", present),
        Heading("Figures of the test set"),
        *_paired(comparison),
        *_others(base, present, comparison),
        Heading("Before and after"),
        *_beside(base, present),
        Heading("Learning curves"),
        *_curves(base, present),
        Heading("Gate"),
        *_gate(present),
        *_drift_tests(),
        Heading("Parameters"),
        *_table(differences.changed_params(base, present)),
        Heading("Data and code"),
        *_table(differences.changed_inputs(base, present)),
        Heading("Costs"),
        Table(differences.costs(base, present, minutes)),
    ]


def pictures_of(blocks: Sequence[Block]) -> list[Picture]:
    """All pictures of a page."""
    return [picture for block in blocks if isinstance(block, Gallery) for picture in block.pictures]


def _compared(base: PipelineState, present: PipelineState) -> tuple[Comparison | None, str]:
    """The comparison of both models on the same test images, or the reason why there is none."""
    missing = [state.name for state in (base, present) if SCORES not in state.outputs]
    if missing:
        return None, f"The scores of {' and '.join(missing)} are not here; `dvc fetch` gets them."
    measured = present.table(SCORES)
    score = next((name for name in LOSSES if measured is not None and name in measured), "")
    try:
        return differences.paired_comparison(base, present, score), ""
    except VaelineError as error:
        return None, f"The test images cannot be compared: {error}."


def _summary(comparison: Comparison | None, why_not: str, same: bool, present: PipelineState) -> list[Block]:
    lines = []
    if comparison is None:
        lines.append(why_not)
    elif same:
        lines.append("The model is the same, byte for byte.")
    else:
        row = comparison.overall[comparison.overall["score"] == comparison.score].iloc[0]
        lines.append(
            f"{title_of(comparison.score)}, {unit_of(comparison.score)}: {row['baseline_mean']:.2f} before, "
            f"{row['mean']:.2f} now; difference {row['difference']:+.2f}, 95 % interval {row['low']:+.2f} to "
            f"{row['high']:+.2f}, on the same {row['images']:,} test images: {row['verdict']}."
        )
    gate = _gate_report(present)
    lines.append(f"Gate: {gate['verdict']}." if gate else "Gate: it has not judged this model.")
    lines += [_validation(present), _drift()]
    return [Sentence(line) for line in lines]


def _paired(comparison: Comparison | None) -> list[Block]:
    if comparison is None:
        return []
    overall = comparison.overall[comparison.overall["score"] == comparison.score].set_index("run")
    title = f"{title_of(comparison.score)}: now minus {comparison.baseline}"
    unit = unit_of(comparison.score)
    figure = draw_comparison(comparison.differences, overall, comparison.by_class, unit, title)
    blocks: list[Block] = []
    for caption, columns, rows in comparison_tables(comparison):
        blocks += [Sentence(f"{caption}:"), Table(pd.DataFrame(rows, columns=columns))]
    notes = [Sentence(f"{note}.") for note in comparison.notes]
    return [*blocks, *notes, Gallery([Picture("differences", title, figure_png(figure))])]


def _others(base: PipelineState, present: PipelineState, comparison: Comparison | None) -> list[Block]:
    paired = set() if comparison is None else set(comparison.overall["score"])
    return [
        Sentence("Other metrics, as independent measurements (significant: the interval does not contain 0)."),
        *_table(differences.changed_metrics(base, present, paired)),
    ]


def _validation(present: PipelineState) -> str:
    report = present.document(VALIDATION)
    if report is None:
        return "Data validation: its report is not here."
    rows = ", ".join(f"{count:,} {name}" for name, count in report["rows"].items())
    failures = f", {len(report['failures'])} failed" if report["failures"] else ""
    return f"Data validation: {report['status']}, {report['expectations']} expectations{failures}; images: {rows}."


def _drift() -> str:
    report = _read(MONITOR)
    if report is None:
        return "Drift: there is no report of `vaeline monitor` here."
    window = report["window"]
    found = [test["name"] for test in report["tests"] if test["violated"]]
    state = "triggered" if report["triggered"] else "not triggered"
    seen = f"violated by {', '.join(found)}" if found else "no violation"
    return f"Drift: {state}; newest window {window['source']} of {window['rows']:,} images: {seen}."


def _drift_tests() -> list[Block]:
    report = _read(MONITOR)
    if report is None:
        return []
    columns = {"name": "test", "p_adjusted": "p (Holm)", "effect": "effect", "least_effect": "least effect"}
    tests = pd.DataFrame(report["tests"]).rename(columns=columns)[[*columns.values()]]
    return [
        Heading("Drift of the newest window"),
        Table(tests.map(lambda cell: cell if isinstance(cell, str) else f"{cell:.3g}")),
    ]


def _gate(present: PipelineState) -> list[Block]:
    report = _gate_report(present)
    if report is None:
        return [Sentence(f"{GATE} is missing or is about another model; `vaeline gate .` writes it.")]
    against = report["champion"]
    opponent = f"{against['name']} v{against['version']}" if against else "no champion"
    checks = pd.DataFrame(report["checks"])[["name", "verdict", "sentence"]]
    return [
        Sentence(f"{report['verdict']}, against {opponent}, {report['created']}."),
        Table(checks.rename(columns={"name": "check", "sentence": "in words"})),
    ]


def _gate_report(present: PipelineState) -> dict[str, Any] | None:
    report = _read(GATE)
    return report if report and report["candidate"]["model_digest"] == present.model_sha256 else None


def _curves(base: PipelineState, present: PipelineState) -> list[Block]:
    histories = {state.name: state.table(HISTORY) for state in (base, present)}
    known = {name: history for name, history in histories.items() if history is not None}
    if missing := [name for name in histories if name not in known]:
        return [Sentence(f"The history of {' and '.join(missing)} is not here; `dvc fetch` gets it.")]
    figure = draw_curves_beside(known, "validation loss by epoch")
    return [Gallery([Picture("curves", "Validation loss by epoch, before and after", figure_png(figure))])]


def _beside(base: PipelineState, present: PipelineState) -> list[Block]:
    before, after = base.figures(), present.figures()
    blocks: list[Block] = []
    for name, what in BESIDE.items():
        shown = [
            Picture(f"{name}_{when}", f"{state.name}: {what}", figures[name])
            for when, state, figures in (("base", base, before), ("now", present, after))
            if name in figures
        ]
        if shown:
            blocks.append(Gallery(shown))
    missing = [state.name for state, figures in ((base, before), (present, after)) if not figures]
    if missing:
        blocks.append(Sentence(f"The pictures of {' and '.join(missing)} are not here; `dvc fetch` gets them."))
    return blocks


def _table(frame: pd.DataFrame) -> list[Block]:
    return [Sentence(NOTHING) if frame.empty else Table(frame)]


def _read(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None
