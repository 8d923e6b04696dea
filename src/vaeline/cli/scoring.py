"""The command that scores pictures: which of them are anomalous, and where."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaeline.cli.app import app, sentences
from vaeline.cli.exchange import (
    MOST_DRAWN,
    PANEL,
    PICTURE,
    InvertOption,
    ModelOption,
    PathsArgument,
    SeedOption,
    check_out,
    counted,
    finite,
    open_model,
    pictures,
    titled,
    writing,
)
from vaeline.errors import VaelineError
from vaeline.outputs import MODEL
from vaeline.scores import HEAT_MAP, OOD_SCORES

if TYPE_CHECKING:
    from vaeline.defects.examine import Examiner
    from vaeline.defects.ranking import Judge, Picture, Ranking
    from vaeline.defects.reference import HeatMapReference
    from vaeline.registry.resolve import LoadedModel

PictureScore = StrEnum("PictureScore", [(name, name) for name in (*OOD_SCORES, HEAT_MAP)])
BOUNDED = ("neg_elbo", "kl")
TABLE, REPORT = ".csv", ".json"
ANOMALOUS = 3
NO_MAPS = "an earlier vaeline evaluated this model, so it has no heat maps; `dvc repro evaluate` makes them possible"


@app.command(rich_help_panel=PANEL)
def anomaly(
    paths: PathsArgument,
    score: Annotated[PictureScore, typer.Option(help="The score to sort by, and to judge by.")] = PictureScore[
        "one_class"
    ],
    threshold: Annotated[
        float | None, typer.Option(callback=finite, help="Pictures above this score are anomalous.")
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            callback=finite,
            help="Set the threshold so that this share of good pictures is above it. Default: evaluate.false_alarms.",
        ),
    ] = None,
    worst: Annotated[int, typer.Option(min=1, max=MOST_DRAWN, help="The number of pictures on the sheet.")] = 20,
    seed: SeedOption = 1,
    invert: InvertOption = False,
    model: ModelOption = MODEL,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A .csv or .json file. The sheet is a .png beside it.")
    ] = Path("anomalies.csv"),
) -> None:
    """Rank pictures by anomaly score, the most unusual first, and show where they are unusual.

    Reads the pictures, the model, its latent reference and its reference of
    heat maps. Writes a table (.csv) or a report with regions (.json), and a
    sheet (.png): picture, reconstruction, heat map, score and verdict.

    Exit status: 0 success, 1 error. With --threshold or --false-alarms, 3 if a
    picture is anomalous.

    Example: vaeline anomaly scans/ --score heat_map --false-alarms 0.01
    """
    with sentences():
        if threshold is not None and false_alarms is not None:
            raise VaelineError("anomaly: give --threshold or --false-alarms, not both")
        check_out(out, TABLE, REPORT)
        check_out(out.with_suffix(PICTURE), PICTURE)
        found = open_model(model)
        reference, heat = found.read_reference(), found.read_heat_maps()
        judge = _judge(found, heat, score, threshold, false_alarms)
        statistics = None if heat is None else heat.statistics
        from vaeline.defects.examine import Examiner
        from vaeline.defects.ranking import rank

        examiner = Examiner(found.model, reference.densities, statistics, seed)
        with _examined(examiner, paths, found, invert) as examined:
            ranking = rank(examined, judge, worst)
            _write(ranking, judge, found, out)
            _say(ranking, judge, out)
    if ranking.anomalous and (threshold is not None or false_alarms is not None):
        raise typer.Exit(ANOMALOUS)


@contextmanager
def _examined(
    examiner: "Examiner", paths: Sequence[Path], found: "LoadedModel", invert: bool
) -> Generator["Iterable[Picture]"]:
    """The pictures with what is found in them, one after the other. A model of tiles cuts each picture into tiles.

    As for `pictures`, unreadable files are named on stderr, and the command then ends with exit status 1.
    """
    from vaeline.defects.ranking import Picture
    from vaeline.images.named import nothing_read, read_whole_pictures
    from vaeline.params.data import own_limits

    if not found.model.image.tile:
        with pictures(paths, found, invert) as given:
            examined = zip(given.names, given.images, examiner.examine(given.images), strict=True)
            yield (Picture(*items) for items in examined)
        return
    skipped: list[tuple[Path, str]] = []

    def examine_all() -> Iterator[Picture]:
        count = 0
        for name, picture in read_whole_pictures(paths, found.model.image, skipped, invert, own_limits()):
            count += 1
            yield Picture(name, picture, examiner.examine_tiled(picture))
        if not count:
            raise nothing_read(skipped)

    yield examine_all()
    for path, reason in skipped:
        typer.echo(f"vaeline: skipped {path}: {reason}", err=True)
    if skipped:
        raise typer.Exit(1)


def _judge(
    found: "LoadedModel",
    heat: "HeatMapReference | None",
    score: str,
    threshold: float | None,
    false_alarms: float | None,
) -> "Judge":
    """What decides: the given threshold, or that of the model's good validation images."""
    from vaeline.defects.ranking import Judge

    if score in BOUNDED and not found.model.has_bound:
        names = [str(name) for name in PictureScore if name not in BOUNDED]
        raise VaelineError(f"anomaly: this model ({found.model.title}) has no {score}; use {', '.join(names)}")
    if heat is None:
        if false_alarms is not None or score == HEAT_MAP:
            raise VaelineError(f"anomaly: {NO_MAPS}")
        typer.echo(f"vaeline: {NO_MAPS}", err=True)
        return Judge(score, threshold, None)
    share = heat.false_alarms if false_alarms is None else false_alarms
    own = heat.threshold(score, share)
    return Judge(score, own if threshold is None else threshold, heat.threshold(HEAT_MAP, share))


def _write(ranking: "Ranking", judge: "Judge", found: "LoadedModel", out: Path) -> None:
    """Write the table or the report, and the sheet beside it."""
    import pandas as pd

    from vaeline.artifacts import atomic_file, write_json
    from vaeline.defects.figure import draw_inspected
    from vaeline.defects.heat_map import brightest
    from vaeline.figures.canvas import save_figure

    title = titled(f"most unusual of {counted(len(ranking.pictures), 'picture')}, by {judge.score}", found)
    top = brightest(0 if judge.region_threshold is None else judge.region_threshold)
    figure = draw_inspected(ranking.shown, title, top, found.model.image.is_ink)
    with writing(out):
        if out.suffix == REPORT:
            about = {"model": found.name, "model_sha256": found.model_sha256}
            write_json(out, {**about, **vars(judge), "pictures": ranking.pictures}, decimals=4)
        else:
            with atomic_file(out) as temporary:
                rows = [_row(picture, judge.score) for picture in ranking.pictures]
                pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.4f")
        save_figure(figure, out.with_suffix(PICTURE))


def _row(picture: dict, score: str) -> dict:
    """A picture in the table: its name, the score that it is sorted by, all scores, and the verdict if there is one."""
    verdict = {name: picture[name] for name in ("anomalous",) if name in picture}
    return {"image": picture["image"], score: picture["scores"][score], **picture["scores"], **verdict}


def _say(ranking: "Ranking", judge: "Judge", out: Path) -> None:
    """Print where the results are, and how many pictures are anomalous."""
    counts = f"{counted(len(ranking.pictures), 'picture')}"
    if judge.threshold is not None:
        counts += f", {ranking.anomalous:,} anomalous ({judge.score} above {judge.threshold:.4g})"
    typer.echo(f"{out}, {out.with_suffix(PICTURE)}: {counts}; the most unusual is {ranking.pictures[0]['image']}")
