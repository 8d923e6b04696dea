"""Figure of how often each code of a codebook is used."""

import numpy as np
from jaxtyping import Integer
from matplotlib.figure import Figure

from vaeline.codes.usage import count_uses, perplexity
from vaeline.figures.drawing import Drawing


def draw_codes(uses: Integer[np.ndarray, " codes"], perplexity: float, title: str) -> Figure:
    """How often each code is used, counts (codes,), as shares, the most used first, and what an even use would be."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    shares = np.sort(uses)[::-1] / uses.sum()
    label = f"{(uses > 0).mean():.0%} of {len(uses)} codes used, perplexity {perplexity:.1f}"
    axes.bar(np.arange(1, len(uses) + 1), shares, width=0.9, label=label)
    axes.axhline(1 / len(uses), color="black", linewidth=0.8, linestyle="--", label="all codes used alike")
    axes.set(title=title, xlabel="code, the most used first", ylabel="share of all places of all images")
    axes.legend()
    axes.grid(axis="y", alpha=0.3)
    return figure


def code_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figure of the codebook, by name; none for a model without one."""
    if not drawing.model.has_codes:
        return {}
    uses = count_uses(drawing.model, drawing.z_mean)
    return {"codes": draw_codes(uses, perplexity(uses), drawing.title("how often the test set uses each code"))}


FIGURES = code_figures
