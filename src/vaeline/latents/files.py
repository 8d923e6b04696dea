"""Files of latents: an .npy of `z_mean` with a table of names beside it, or all in one .npz."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from vaeline.artifacts import atomic_file
from vaeline.errors import VaelineError
from vaeline.images.array_files import read_npy, read_npz
from vaeline.images.errors import UnreadableImagesError
from vaeline.images.limits import OWN

ENDINGS = {".npy", ".npz"}
MEAN = "z_mean"


def write_latents(
    path: Path,
    names: Sequence[str],
    z_mean: Float[np.ndarray, "count latent_dim"],
    z_log_var: Float[np.ndarray, "count noise_dim"],
) -> list[Path]:
    """Write latents (count, latent_dim) of the images called `names`; return the files that were written.

    An .npz holds `z_mean`, `z_log_var` and `names`; an .npy holds `z_mean` alone, and `<name>.names.csv` beside
    it says which row is which image.
    """
    if path.suffix == ".npz":
        with atomic_file(path) as temporary:
            np.savez(temporary, z_mean=z_mean, z_log_var=z_log_var, names=np.array(names))
        return [path]
    with atomic_file(path) as temporary:
        np.save(temporary, z_mean)
    table = path.with_suffix(".names.csv")
    with atomic_file(table) as temporary:
        pd.DataFrame({"row": range(len(names)), "image": names}).to_csv(temporary, index=False)
    return [path, table]


def read_latents(path: Path, latent_dim: int) -> Float32[np.ndarray, "count {latent_dim}"]:
    """Latents (count, latent_dim), float32, in an .npy, or called `z_mean` in an .npz.

    Raises:
        VaelineError: the file cannot be read, or what it holds is no latents of that many dimensions.
    """
    if not path.is_file():
        raise VaelineError(f"{path}: no such file; `vaeline encode` writes latents")
    try:
        z = read_npz(path, (MEAN,), OWN.bytes)[MEAN] if path.suffix == ".npz" else np.array(read_npy(path))
    except UnreadableImagesError:
        raise VaelineError(f"{path}: not a readable file of latents: an .npy, or an .npz that holds z_mean") from None
    if z.ndim != 2 or z.shape[1] != latent_dim or not len(z) or z.dtype.kind not in "fiu":
        raise VaelineError(f"{path}: holds {z.dtype} of shape {z.shape}, expected numbers (count, {latent_dim})")
    if not np.isfinite(z).all():
        raise VaelineError(f"{path}: holds NaN or infinite values")
    return z.astype("float32")
