"""Lossy compression: z_mean of an image, rounded to a grid and entropy-coded under the prior.

Codes are int32 (count, latent_dim): z_mean in units of `step`.
"""

import math

import numpy as np
from constriction import stream  # ty: ignore[missing-module-member]  # a Rust module without stubs
from jaxtyping import Float, Float32, Integer, Shaped
from scipy.special import log_ndtr

from vaeline.errors import VaelineError
from vaeline.images.lazy import ByteSource
from vaeline.images.png import encode_png

BOUND = 16


def quantize(z_mean: Float[np.ndarray, "count latent_dim"], step: float) -> Integer[np.ndarray, "count latent_dim"]:
    """Codes of `z_mean` (count, latent_dim): rounded to multiples of `step` and clipped to ±16."""
    limit = _limit(step)
    return np.clip(np.rint(z_mean / step), -limit, limit).astype("int32")


def dequantize(codes: Integer[np.ndarray, "count latent_dim"], step: float) -> Float32[np.ndarray, "count latent_dim"]:
    """The latents (count, latent_dim), float32, that `codes` represent."""
    return (codes * step).astype("float32")


def code_bits(codes: Integer[np.ndarray, "count latent_dim"], step: float) -> Float[np.ndarray, " count"]:
    """Bits of the code of each image under N(0, I): −Σ log2 P(cell of width `step`), shape (count,)."""
    distance = np.abs(codes).astype("float64") * step
    nearer, farther = log_ndtr(step / 2 - distance), log_ndtr(-step / 2 - distance)
    return -(nearer + np.log1p(-np.exp(farther - nearer))).sum(axis=1) / math.log(2)


def pack(codes: Integer[np.ndarray, "count latent_dim"], step: float) -> bytes:
    """All codes as one byte string, coded by asymmetric numeral systems (Duda 2009, arXiv:0902.0271)."""
    coder = stream.stack.AnsCoder()
    coder.encode_reverse(np.ascontiguousarray(codes, "int32").ravel(), _prior(step))
    return coder.get_compressed().astype("<u4").tobytes()


def unpack(data: bytes, count: int, latent_dim: int, step: float) -> Integer[np.ndarray, "{count} {latent_dim}"]:
    """The codes (count, latent_dim) in `data`.

    Damaged data may decode to wrong codes without an error, so the caller checks them by a checksum.

    Raises:
        VaelineError: `data` ends within a word, or holds more than `count` codes.
    """
    if len(data) % 4:
        raise VaelineError(f"the code is cut off: {len(data)} bytes are not a multiple of 4")
    coder = stream.stack.AnsCoder(np.frombuffer(data, "<u4").astype("uint32"))
    codes = coder.decode(_prior(step), count * latent_dim)
    if not coder.is_empty():
        raise VaelineError(f"the code holds more than {count} images of {latent_dim} latents")
    return codes.reshape(count, latent_dim)


def _prior(step: float) -> stream.model.QuantizedGaussian:
    limit = _limit(step)
    return stream.model.QuantizedGaussian(-limit, limit, 0.0, 1 / step)


def _limit(step: float) -> int:
    return math.ceil(BOUND / step)


def png_bits(images: ByteSource) -> Shaped[np.ndarray, " count"]:
    """Bits of each image as an optimized PNG file, shape (count,)."""
    return np.array([8 * len(encode_png(image, optimize=True)) for image in images])
