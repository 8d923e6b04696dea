"""The figures that `plot` draws: one line for each topic. A topic returns its figures by file name without ending."""

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
    """All figures of a run by name. A topic that does not apply to the model gives none."""
    return {name: figure for figures_of in ROOMS for name, figure in figures_of(drawing).items()}
