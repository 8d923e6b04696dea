"""Likelihood of the test images: −ELBO, its two parts, and the NLL."""

import math

import numpy as np
import pandas as pd
from jaxtyping import Float

from vaeline.evaluation.group import Group
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import DECIMALS, summarize
from vaeline.images.lazy import variance
from vaeline.images.spec import COLOURS
from vaeline.likelihood.bounds import active_units, elbo_scores, exact_nll, has_grid, importance_weighted_nll
from vaeline.params.evaluate import EvaluateParams


def measure_likelihood(subject: Subject, settings: EvaluateParams, exact: bool = True) -> Measured:
    """−ELBO, reconstruction (distortion), KL (rate) and MSE on the pixels of training, and the NLL.

    A model without a bound has only the reconstruction and the MSE. exact: whether the NLL of a model with two
    latents is a sum over a grid of latents; if not, the importance-weighted bound stands for it.
    """
    model, rows = subject.model, subject.rows
    columns = elbo_scores(model, subject.images, rows, subject.seed, subject.labels)
    protocol = {
        "unit": "nats per image",
        "likelihood": model.params.likelihood,
        "pixels": subject.pixels,
        "z": f"one sample, seed {subject.seed}; mse per pixel at z_mean",
        "active_units": "variance of z_mean over test images above 0.01",
    }
    nll_columns, nll_protocol = _nll(subject, settings, exact) if model.has_bound else ({}, {"nll": "none: no bound"})
    columns |= nll_columns
    active = active_units(subject.without_label(subject.latents))
    metrics = summarize(pd.DataFrame(columns)) | {"active_units": active, "images": len(rows)}
    metrics["mse_share"] = round(metrics["mse"] / variance(subject.original_images), DECIMALS)
    if "nll" in metrics and model.likelihood.levels:
        nats_per_bit = math.log(2) * model.image.dimensions
        metrics["bits_per_dim"] = round(metrics["nll"] / nats_per_bit, DECIMALS)
    return Measured(metrics, protocol | nll_protocol, columns)


def _nll(
    subject: Subject, settings: EvaluateParams, exact: bool
) -> tuple[dict[str, Float[np.ndarray, " count"]], dict[str, str]]:
    """NLL of every image, and how it was measured.

    A Bernoulli model gives probabilities to bits. Its NLL is therefore that of seeded binary pixels, whatever it was
    trained on; `nll_neg_elbo` is the −ELBO of the same pixels. Other models are measured on the original images. A
    conditional model gets the label; its metrics are those of image and label together. A model without randomness
    has one z for each image, so one sample is enough.
    """
    model, rows, seed = subject.model, subject.rows, subject.seed
    samples = settings.nll_samples if model.noise_dim else 1
    binary = model.likelihood.levels == 2
    originals = subject.original_images
    images = subject.binarized(originals, rows) if binary else originals
    scored = subset(len(rows), settings.nll_images, seed)
    bound = np.full(len(rows), np.nan)
    bound[scored] = importance_weighted_nll(model, images.take(scored), scored, samples, seed, subject.labels[scored])
    exact = exact and has_grid(model)
    columns = {
        "nll_neg_elbo": elbo_scores(model, images, rows, seed, subject.labels)["neg_elbo"],
        "nll_bound": bound,
        "nll": exact_nll(model, images, settings.grid_points) if exact else bound,
    }
    protocol = {
        "nll_pixels": f"binary, seed {seed}" if binary else COLOURS[model.image.channels],
        "nll_bound": f"importance-weighted, k = {samples}, {len(scored)} images",
        "nll": f"latent grid, {settings.grid_points} points a side, all images" if exact else "nll_bound",
    }
    return columns, protocol


GROUP = Group("test", lambda inputs: measure_likelihood(inputs.subject, inputs.settings))
