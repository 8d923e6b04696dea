"""The figure of the rate and the distortion of the latent code."""

import pandas as pd
from matplotlib.figure import Figure

from vaeline.figures.drawing import Drawing

JPEG = "JPEG with at most this error"


def draw_compression(curve: pd.DataFrame, png_bits: float, title: str) -> Figure:
    """Draw the MSE over the bits of the latent code for several steps, and over those of JPEG; a line for PNG.

    `curve` has the columns step, code_bits (bits per image) and code_mse, and jpeg_bits for large images.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(curve["code_bits"], curve["code_mse"], marker="o", label="latent code, rounded to multiples of …")
    for step, bits, mse in zip(curve["step"], curve["code_bits"], curve["code_mse"], strict=True):
        axes.annotate(f"{step:g}", (bits, mse), xytext=(1, 5), textcoords="offset points", rotation=60)
    if "jpeg_bits" in curve:
        axes.plot(curve["jpeg_bits"], curve["code_mse"], marker="s", color="tab:green", label=JPEG)
    axes.axvline(png_bits, color="tab:red", linestyle="--", label=f"PNG, lossless: {png_bits:,.0f} bits")
    axes.set_xscale("log")
    axes.set(title=title, xlabel="bits per image", ylabel="mean squared error per pixel, greys 0 to 1")
    axes.set_ylim(0, 1.1 * curve["code_mse"].max())
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def compression_figures(drawing: Drawing) -> dict[str, Figure]:
    """The figure of the latent code, by name; empty for a model without such a code."""
    curve = drawing.table("compression.csv")
    if curve.empty:
        return {}
    title = drawing.title("latent code as compression")
    return {"compression": draw_compression(curve, drawing.scores["png_bits"].mean(), title)}


FIGURES = compression_figures
