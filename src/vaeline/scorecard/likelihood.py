"""Likelihood of the test images: −ELBO, its two parts, and the NLL."""

import math

import numpy as np
import pandas as pd

from vaeline.evaluation.likelihood import active_units, elbo_scores, exact_nll, importance_weighted_nll
from vaeline.evaluation.noise import binary_pixels, subset
from vaeline.evaluation.summary import DECIMALS, summarize
from vaeline.params import EvaluateParams
from vaeline.scorecard.subject import Part, Subject


def measure_likelihood(subject: Subject, settings: EvaluateParams) -> Part:
    """−ELBO, reconstruction (distortion), KL (rate) and MSE on the pixels of training; NLL on binary pixels.

    A Bernoulli model says how probable bits are, so its NLL is that of seeded binary pixels, whatever it was trained
    on; `nll_neg_elbo` is the −ELBO of the same pixels. A Gaussian model keeps its greys.
    """
    model, rows = subject.model, subject.rows
    binary = model.likelihood_name == "bernoulli"
    images = binary_pixels(subject.greys, subject.seed, rows) if binary else subject.greys
    scored = subset(len(rows), settings.nll_images, subject.seed)
    columns = elbo_scores(model, subject.images, rows, subject.seed)
    columns["nll_neg_elbo"] = elbo_scores(model, images, rows, subject.seed)["neg_elbo"]
    columns["nll_bound"] = np.full(len(rows), np.nan)
    columns["nll_bound"][scored] = importance_weighted_nll(
        model, images[scored], scored, settings.nll_samples, subject.seed
    )
    exact = model.latent_dim == 2
    columns["nll"] = exact_nll(model, images, settings.grid_points) if exact else columns["nll_bound"]

    figures = summarize(pd.DataFrame(columns)) | {"active_units": active_units(subject.latents), "images": len(rows)}
    if binary:
        nats_per_bit = math.log(2) * math.prod(model.image_shape)
        figures["bits_per_dim"] = round(figures["nll"] / nats_per_bit, DECIMALS)
    nll_pixels = f"binary, seed {subject.seed}" if binary else "grey"
    protocol = {
        "unit": "nats per image",
        "likelihood": model.likelihood_name,
        "pixels": subject.pixels,
        "z": f"one sample, seed {subject.seed}; mse per pixel at z_mean",
        "active_units": "variance of z_mean over test images above 0.01",
        "nll_pixels": nll_pixels,
        "nll_bound": f"importance-weighted, k = {settings.nll_samples}, {len(scored)} images",
        "nll": f"latent grid, {settings.grid_points} points a side, all images" if exact else "nll_bound",
    }
    return Part(figures, protocol, columns)
