"""The command that reports what changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import writing

if TYPE_CHECKING:
    from vaeline.changes.state import PipelineState


@app.command()
def report(
    base: Annotated[str, typer.Option(help="The commit, branch or tag to compare with.")],
    out: Annotated[Path, typer.Option(help="The folder for change.md, change.html and pictures.")] = Path(
        "reports/change"
    ),
) -> None:
    """Report what changed since a commit: parameters, data, metrics, figures, verdicts and costs.

    Reads git, dvc.lock and DVC's cache. Writes change.html (one file) and change.md (for a pull request, with its
    pictures beside it) to --out.

    Example: vaeline report --base main
    """
    with sentences():
        from vaeline.artifacts import atomic_directory
        from vaeline.changes.report import build_report, pictures_of
        from vaeline.changes.state import committed_state, present_state
        from vaeline.pages import write_html, write_markdown

        states = [committed_state(base), present_state()]
        blocks = build_report(*states, _minutes(states))
        with writing(out), atomic_directory(out) as folder:
            for picture in pictures_of(blocks):
                (folder / f"{picture.name}.png").write_bytes(picture.content)
            (folder / "change.md").write_text(write_markdown(blocks), encoding="utf-8")
            title = f"What changed since {states[0].name}"
            (folder / "change.html").write_text(write_html(blocks, title), encoding="utf-8")
    typer.echo(f"{out}/change.html, {out}/change.md")


def _minutes(states: "list[PipelineState]") -> Mapping[str, float]:
    """The minutes of training of each state, if the store has them. If the store cannot be used, it prints a note."""
    from vaeline.errors import VaelineError
    from vaeline.registry.versions import present_store
    from vaeline.tracking.runs import training_minutes

    try:
        with present_store() as client:
            found = {state.name: training_minutes(client, state.model_sha256) for state in states}
    except VaelineError as error:
        typer.echo(f"minutes of training are not shown: {error}", err=True)
        return {}
    return {name: minutes for name, minutes in found.items() if minutes is not None}
