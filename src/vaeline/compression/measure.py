"""Measure the latent code as a lossy compression of images."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from vaeline.compression.coder import code_bits, dequantize, pack, png_bits, quantize
from vaeline.compression.jpeg import is_comparable, jpeg_curve
from vaeline.evaluation.group import Group
from vaeline.evaluation.inference import decode, image_batches
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import DECIMALS, summarize
from vaeline.params.evaluate import EvaluateParams

STEPS = (2.0, 1.0, 0.5, 0.2, 0.1, 0.05)
JPEG_IMAGES = 500


def measure_compression(subject: Subject, settings: EvaluateParams) -> Measured:
    """Bits per image and MSE of the decoded image at `settings.code_step`, bits of PNG, and both over several steps.

    Images that are large enough have the bits of JPEG with the same MSE, too. Empty for a model whose latents are not
    all random with the prior N(0, I).
    """
    if subject.model.noise_dim != subject.model.latent_dim:
        return Measured({}, {"left out": "the latents are not standard normal"})
    columns = _cost(subject, settings.code_step)
    columns["png_bits"] = png_bits(subject.prepared.splits["test"].images)
    packed = pack(quantize(subject.latents, settings.code_step), settings.code_step)
    metrics = summarize(pd.DataFrame(columns))
    metrics["packed_bits"] = round(8 * len(packed) / len(subject.rows), DECIMALS)
    steps = sorted({*STEPS, settings.code_step}, reverse=True)
    curve = [{"step": step} | {name: values.mean() for name, values in _cost(subject, step).items()} for step in steps]
    jpeg = {}
    if is_comparable(subject.model.image):
        test = subject.prepared.splits["test"].images
        known = jpeg_curve(test[subset(len(test), JPEG_IMAGES, subject.seed)])
        metrics["jpeg_bits"] = round(known.bits_at(metrics["code_mse"]), DECIMALS)
        curve = [point | {"jpeg_bits": known.bits_at(point["code_mse"])} for point in curve]
        jpeg = {"jpeg_bits": f"of JPEG with the same error, without header and tables; {JPEG_IMAGES} images at most"}
    protocol = {
        "code": f"z_mean rounded to multiples of {settings.code_step:g}",
        "latents": subject.model.latent_dim,
        "code_bits": "bits per image, -log2 of the cells' probability under N(0, I)",
        "packed_bits": "bits per image of all codes in one ANS stream",
        "code_mse": "of the decoded image per pixel, greys 0 to 1",
        "png_bits": "bits per image as an optimized PNG file, lossless",
        **jpeg,
    }
    return Measured(metrics, protocol, columns, pd.DataFrame(curve))


def _cost(subject: Subject, step: float) -> dict[str, Float[np.ndarray, " count"]]:
    bits, errors = [], []
    for rows in image_batches(subject.model, len(subject.latents)):
        codes = quantize(subject.latents[rows], step)
        bits.append(code_bits(codes, step))
        squared_error = (decode(subject.model, dequantize(codes, step)) - subject.original_images[rows]) ** 2
        errors.append(squared_error.mean(axis=(1, 2, 3)).astype("float64"))
    return {"code_bits": np.concatenate(bits), "code_mse": np.concatenate(errors)}


GROUP = Group(
    "compression",
    lambda inputs: measure_compression(inputs.subject, inputs.settings),
    csv="compression.csv",
)
