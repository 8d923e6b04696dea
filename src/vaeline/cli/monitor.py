"""The command that compares new images with those that the champion was trained for."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vaeline.cli.app import app, sentences
from vaeline.outputs import PREPARED

EXIT_STATUS = {"quiet": 0, "violated": 3, "triggered": 4}
COLORS = {"quiet": "green", "violated": "yellow", "triggered": "red"}


@app.command()
def monitor(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="New images: folders, .npz, .parquet, IDX files. All together are one window."
        ),
    ],
    labels: Annotated[bool, typer.Option(help="Also test the labels, if the images have any.")] = True,
    out: Annotated[Path, typer.Option(help="Folder of the verdict and the page.")] = Path("reports"),
) -> None:
    """Look for drift: compare new images with the champion's validation images.

    The images are one window. Violated: a test found a difference in this
    window. Triggered: at least k of the champion's last n windows were
    violated. The same images again are the same window.

    Reads the images, params.yaml, data/prepared and the champion. Writes
    reports/monitor.html and reports/monitor.json, and adds them to the
    experiment `monitoring` in MLflow.

    Exit status: 0 quiet, 1 error, 3 violated, 4 triggered.

    Example: vaeline monitor data/incoming/2026-11-28.npz
    """
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from vaeline.params.whole import read_params
    from vaeline.thresholds.stored import with_monitor_thresholds

    with sentences():
        params = read_params()
        params = with_monitor_thresholds(params, params.data.name)
        from vaeline.compute import use_device
        from vaeline.data.prepared import read_prepared
        from vaeline.monitoring.decision import look_at
        from vaeline.monitoring.facts import find_monitored
        from vaeline.monitoring.publish import publish
        from vaeline.monitoring.window import read_window
        from vaeline.registry.versions import present_store

        prepared = read_prepared(Path(PREPARED))
        limits = params.data.limits.named("data.limits")
        window = read_window(sources, prepared.classes, prepared.image, labels, params.monitor.least_rows, limits)
        with present_store() as client:
            champion = find_monitored(client, prepared)
            use_device(params.compute)
            found = look_at(client, champion, prepared, window, params)
            publish(client, found, params.monitor, out)
    _show(found.verdict, out)
    raise typer.Exit(EXIT_STATUS[found.word])


def _show(verdict: dict[str, Any], out: Path) -> None:
    """The tests as a table, the verdict in a sentence, and where the page is."""
    from rich.console import Console
    from rich.table import Table

    from vaeline.monitoring.record import PAGE, VERDICT
    from vaeline.monitoring.report import outcome, sentence
    from vaeline.monitoring.two_sample_tests import TITLES

    console = Console(width=None if Console().is_terminal else 120)
    table = Table(title=f"{verdict['window']['source']}, {verdict['window']['rows']:,} images", title_justify="left")
    for column in ("test", "p (Holm)", "effect", "least effect", "violated"):
        table.add_column(column, justify="left" if column in ("test", "violated") else "right")
    for test in verdict["tests"]:
        figures = [f"{test[key]:.3g}" for key in ("p_adjusted", "effect", "least_effect")]
        table.add_row(TITLES[test["name"]], *figures, "[red]yes[/]" if test["violated"] else "no")
    console.print(table)
    word = outcome(verdict)
    console.print(f"[{COLORS[word]}]{word}[/]: {sentence(verdict)}.", highlight=False)
    console.print(f"Files: {out / PAGE}, {out / VERDICT}    In MLflow: the experiment monitoring", highlight=False)
