"""Stage `plot`: draw the figures of the model into `reports/figures`."""

from pathlib import Path

from vaeline.artifacts import atomic_directory
from vaeline.compute import use_device
from vaeline.data.prepared import read_prepared
from vaeline.errors import run_stage
from vaeline.figures.canvas import save_figure
from vaeline.figures.drawing import Drawing
from vaeline.models.archive import load_model
from vaeline.params.base import read_section
from vaeline.params.compute import ComputeParams
from vaeline.params.evaluate import EvaluateParams
from vaeline.params.plot import PlotParams
from vaeline.plots import draw_all
from vaeline.tracking.sync import record

PREPARED = Path("data/prepared")
MODEL = Path("models/vae.keras")
REPORTS = Path("reports")
FIGURES = REPORTS / "figures"


def main() -> None:
    settings = read_section("plot", PlotParams)
    evaluate = read_section("evaluate", EvaluateParams)
    compute = read_section("compute", ComputeParams)
    use_device(compute)
    prepared = read_prepared(PREPARED)
    sigma, box = evaluate.noise_levels[-1], evaluate.box
    figures = draw_all(Drawing(load_model(MODEL), prepared, settings, sigma, box, REPORTS))
    with atomic_directory(FIGURES) as directory:
        for name, figure in figures.items():
            save_figure(figure, directory / f"{name}.png")
    record("plot")
    print(f"plot: {len(figures)} figures of {prepared.title} in {FIGURES}")


if __name__ == "__main__":
    run_stage(main)
