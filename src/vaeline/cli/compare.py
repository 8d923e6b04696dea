"""The command that compares runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences

if TYPE_CHECKING:
    from vaeline.evaluation.comparison import Comparison

MEANING = (
    "Values without a unit are nats per image. Difference: mean of the run minus mean of the baseline over the same "
    "test images, with its 95 % interval. Improved: share of improved images. The verdicts by class use Holm's "
    "correction. The results hold for these trained models; another seed gives another model."
)


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN...", help="Names or ids, the baseline first. A dot is the model on disk."),
    ],
    score: Annotated[str, typer.Option(help="The score to show by class and to draw.")] = "neg_elbo",
    out: Annotated[Path, typer.Option(help="The folder for the tables and the figure.")] = Path("reports/comparison"),
) -> None:
    """Compare runs with the first one, image by image.

    Reads the runs from MLflow. Writes tables and a figure to --out and to the newest run in MLflow.

    Example: vaeline compare vae-mlp-10d-e4eeb0 vae-mlp-20d-37ee99
    """
    from vaeline.errors import VaelineError
    from vaeline.evaluation import comparison
    from vaeline.registry.versions import present_store
    from vaeline.tracking.comparison import attach_comparison, comparison_page, read_evaluations, resolve_run
    from vaeline.tracking.store import STORE_ERRORS, ui_address, unreachable

    with sentences():
        if len(runs) < 2:
            raise VaelineError(f"{runs[0]} is only one run; name the baseline and at least one other run")
        with present_store() as client:
            resolved = [resolve_run(client, text) for text in runs]
            found = [run for run, _ in resolved]
            evaluations = read_evaluations(client, found)
        result = comparison.compare(evaluations, score)
        try:
            files = _write(result, out)
        except OSError as error:
            raise VaelineError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
        try:
            newest, folder = attach_comparison(client, found, files)
        except STORE_ERRORS as error:
            raise unreachable(error) from error
    _show(result, [choice for _, choice in resolved if choice])
    typer.echo(f"Files: {out}    In MLflow: {folder} of {newest.info.run_name}")
    typer.echo(f"The comparison in MLflow (make ui): {comparison_page(found, ui_address())}")


def _show(result: "Comparison", choices: list[str]) -> None:
    """Print the tables, the notes on what was chosen or left out, and the meaning of the numbers."""
    from rich.console import Console
    from rich.table import Table

    from vaeline.evaluation.comparison import comparison_tables

    console = Console(width=None if Console().is_terminal else 128)
    for title, columns, rows in comparison_tables(result):
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(column, justify="left" if index in {0, len(columns) - 1} else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for note in [*choices, *result.notes]:
        console.print(f"Note: {note}.", highlight=False, markup=False)
    console.print(MEANING, highlight=False)


def _write(result: "Comparison", folder: Path) -> list[Path]:
    """Write both tables as CSV and as one Markdown page, and the figure."""
    from vaeline.artifacts import atomic_file
    from vaeline.figures.canvas import save_figure
    from vaeline.figures.comparison import draw_comparison
    from vaeline.scores import title_of, unit_of

    texts = {
        "comparison.csv": result.overall.assign(baseline=result.baseline).to_csv(index=False),
        "per_class.csv": result.by_class.assign(baseline=result.baseline, score=result.score).to_csv(index=False),
        "comparison.md": _markdown(result),
    }
    for name, text in texts.items():
        with atomic_file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    overall = result.overall[result.overall["score"] == result.score].set_index("run")
    title = f"{title_of(result.score)}: each run minus {result.baseline}, test set of {result.dataset}"
    figure = draw_comparison(result.differences, overall, result.by_class, unit_of(result.score), title)
    save_figure(figure, folder / "comparison.png")
    return [folder / name for name in (*texts, "comparison.png")]


def _markdown(result: "Comparison") -> str:
    from vaeline.evaluation.comparison import comparison_tables

    parts = []
    for title, columns, rows in comparison_tables(result):
        rules = [":--", *["--:"] * (len(columns) - 2), ":--"]
        parts += [f"## {title}", "\n".join(f"| {' | '.join(row)} |" for row in (columns, rules, *rows))]
    notes = [f"{note}." for note in result.notes]
    return "\n\n".join([*parts, *notes, "![Paired differences](comparison.png)", MEANING]) + "\n"
