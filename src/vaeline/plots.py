"""The figures that `plot` draws: one line a room. Each room gives its figures by file name, without the ending."""

from matplotlib.figure import Figure

from vaeline.anomaly.figure import anomaly_figures
from vaeline.codes.figure import code_figures
from vaeline.compression.figure import compression_figures
from vaeline.figures.drawing import Drawing
from vaeline.figures.learning_curves import learning_figures
from vaeline.latents.figure import latent_figures
from vaeline.likelihood.figure import likelihood_figures
from vaeline.restoration.figure import restoration_figures
from vaeline.samples.figure import sample_figures

ROOMS = (
    learning_figures,
    likelihood_figures,
    latent_figures,
    sample_figures,
    code_figures,
    anomaly_figures,
    restoration_figures,
    compression_figures,
)


def draw_all(drawing: Drawing) -> dict[str, Figure]:
    """All figures of a run by name; a model that has none of a kind is left out there."""
    return {name: figure for figures_of in ROOMS for name, figure in figures_of(drawing).items()}
