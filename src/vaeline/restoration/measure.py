"""How well the model restores damaged images."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vaeline.errors import VaelineError
from vaeline.evaluation.group import Group
from vaeline.evaluation.noise import subset
from vaeline.evaluation.subject import Measured, Subject
from vaeline.evaluation.summary import nested
from vaeline.images.arrays import drawable
from vaeline.images.spec import COLOURS, ImageSpec
from vaeline.images.types import DrawnImages, Images
from vaeline.models.generative import GenerativeModel
from vaeline.params.evaluate import EvaluateParams
from vaeline.restoration.damage import add_noise, box_mask, cut_out, median_filtered
from vaeline.restoration.restore import denoise, inpaint


def measure_restoration(subject: Subject, settings: EvaluateParams) -> Measured:
    """PSNR and SSIM of noisy and of cut-out images, damaged, median-filtered and restored.

    Empty for a deterministic model: it has no posterior over latents.
    """
    if not subject.model.noise_dim:
        return Measured({}, {"left out": "the model has no posterior over latents to search"})
    rows = subset(len(subject.rows), settings.restoration_images, subject.seed)
    clean = subject.original_images[rows]
    table = quality_table(clean, damaged_and_restored(subject.model, clean, settings, subject.seed))
    protocol = {
        "images": f"{len(rows)} test images, {COLOURS[subject.model.image.channels]}",
        "noise": "Gaussian, standard deviation in greys 0 to 1, cut off",
        "box": f"{settings.box} x {settings.box} pixels near the middle, grey; where it is, is told",
        "median": "3 x 3",
        "unit": "psnr in dB for a peak of 1, ssim 0 to 1, means over images",
    }
    return Measured(nested(table, ["damage", "method"]), protocol, table=table)


def require_box(settings: EvaluateParams, image: ImageSpec) -> None:
    """Raise VaelineError if the hole to fill leaves nothing of an image."""
    most = min(image.height, image.width) - 1
    if settings.box > most:
        raise VaelineError(f"evaluate.box: {settings.box} pixels, but the images are {image}; choose at most {most}")


def damaged_and_restored(
    model: GenerativeModel, clean: Images, settings: EvaluateParams, seed: int
) -> Iterator[tuple[tuple[str, str], Images]]:
    """Versions of `clean` images by (damage, method), made one after the other."""
    for sigma in settings.noise_levels:
        noisy = add_noise(clean, sigma, seed)
        yield (f"noise_{sigma:g}", "damaged"), noisy
        yield (f"noise_{sigma:g}", "median"), median_filtered(noisy)
        yield (f"noise_{sigma:g}", "restored"), denoise(model, noisy)
    missing = box_mask(clean, settings.box, seed)
    holed = cut_out(clean, missing)
    yield ("box", "damaged"), holed
    yield ("box", "median"), median_filtered(holed)
    yield ("box", "restored"), inpaint(model, holed, missing)


def psnr(clean: DrawnImages, images: DrawnImages) -> Float[np.ndarray, " count"]:
    """Peak signal-to-noise ratio of each image in dB, for a peak of 1, shape (count,)."""
    pairs = zip(clean, images, strict=True)
    return np.array([peak_signal_noise_ratio(one, other, data_range=1) for one, other in pairs])


def ssim(clean: DrawnImages, images: DrawnImages) -> Float[np.ndarray, " count"]:
    """Structural similarity of each image, shape (count,), 1 for equal ones (Wang et al. 2004); mean over channels."""
    channel_axis = -1 if clean.shape[-1] > 1 else None
    pairs = ((drawable(one), drawable(other)) for one, other in zip(clean, images, strict=True))
    return np.array(
        [structural_similarity(one, other, data_range=1, channel_axis=channel_axis) for one, other in pairs]
    )


def quality_table(clean: DrawnImages, versions: Iterable[tuple[tuple[str, str], DrawnImages]]) -> pd.DataFrame:
    """Mean PSNR and SSIM with standard errors of images by (damage, method): one row each."""
    rows = []
    for (damage, method), images in versions:
        row: dict[str, object] = {"damage": damage, "method": method}
        for name, values in (("psnr", psnr(clean, images)), ("ssim", ssim(clean, images))):
            row |= {name: values.mean(), f"{name}_se": values.std(ddof=1) / np.sqrt(len(values))}
        rows.append(row)
    return pd.DataFrame(rows)


GROUP = Group(
    "restoration",
    lambda inputs: measure_restoration(inputs.subject, inputs.settings),
    csv="restoration.csv",
)
