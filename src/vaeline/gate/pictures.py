"""What a person wants to see of a decision."""

import numpy as np
from matplotlib.figure import Figure

from vaeline.evaluation.inference import decode, sample
from vaeline.gate.decision import Decision
from vaeline.gate.figure import draw_beside, draw_gains, draw_label_gains
from vaeline.gate.policy import least_gain
from vaeline.gate.scoring import Scored
from vaeline.latents.traversal import prior_grid
from vaeline.scores import SCORES

COLUMNS = 10


def draw_figures(decision: Decision) -> dict[str, Figure]:
    """The pictures of the page, by file name without its ending."""
    gate, known = decision.contest.params.gate, SCORES[decision.contest.params.gate.metric]
    candidate, champion = decision.scored[0], decision.champion
    shown = [champion, candidate] if champion else [candidate]
    figures = {}
    if champion and decision.improvement:
        names = f"{candidate.evaluation.name} against {champion.evaluation.name}"
        gain = decision.improvement
        verdict = next(check.verdict for check in decision.checks if check.name == "improvement")
        least = least_gain(gate)
        title = f"{known.title}: gain of {names}"
        figures["gate_gains"] = draw_gains(gain.gains, gain.gain, least, gate.margin, verdict, known.unit, title)
        figures["gate_classes"] = draw_label_gains(gain.classes, gate.slice_margin, known.unit, f"{title}, by class")
    seed, size = decision.contest.params.plot.seed, decision.contest.params.plot.manifold_size
    drawn = {_titled(model): _samples(model, seed) for model in shown}
    figures["gate_samples"] = draw_beside(drawn, "samples from the prior, equal seeds")
    if all(_has_plane(model) for model in shown):
        planes = {_titled(model): _plane(model, size) for model in shown}
        what = "latent space through the quantiles of the prior: two latents, others at 0"
        figures["gate_manifolds"] = draw_beside(planes, what)
    return figures


def _titled(model: Scored) -> str:
    return f"{model.evaluation.name} ({model.subject.model.title})"


def _samples(model: Scored, seed: int) -> np.ndarray:
    """Samples (rows, columns, height, width), of each class in turn where the model knows classes."""
    network = model.subject.model
    if not network.is_conditional:
        images = sample(network, COLUMNS**2, seed)
        return images.reshape(COLUMNS, COLUMNS, *images.shape[1:])
    return np.stack([sample(network, COLUMNS, seed, label) for label in reversed(range(network.classes))])


def _plane(model: Scored, side: int) -> np.ndarray:
    """The latent space decoded (side, side, height, width), or the two latents of it that vary most."""
    grid, _, _ = prior_grid(side, model.subject.latents)
    return decode(model.subject.model, grid)


def _has_plane(model: Scored) -> bool:
    return not (model.subject.model.is_conditional or model.subject.model.has_codes)
