"""How well the model mends damaged images."""

from vaeline.applications.restoration import denoise, inpaint
from vaeline.evaluation.noise import subset
from vaeline.evaluation.restoration import add_noise, box_mask, cut_out, median_filtered, quality_table
from vaeline.evaluation.summary import nested
from vaeline.params.evaluate import EvaluateParams
from vaeline.scorecard.subject import Part, Subject


def measure_restoration(subject: Subject, settings: EvaluateParams) -> Part:
    """PSNR and SSIM of noisy and of cut-out images, damaged, median-filtered and restored.

    Empty for a model without randomness: nothing says which of its latents are likely.
    """
    if not subject.model.noise_dim:
        return Part({}, {"left out": "the model has no posterior over latents to search"})
    rows = subset(len(subject.rows), settings.restoration_images, subject.seed)
    clean = subject.greys[rows]
    versions = {}
    for sigma in settings.noise_levels:
        noisy = add_noise(clean, sigma, subject.seed)
        versions[f"noise_{sigma:g}", "damaged"] = noisy
        versions[f"noise_{sigma:g}", "median"] = median_filtered(noisy)
        versions[f"noise_{sigma:g}", "restored"] = denoise(subject.model, noisy)
    missing = box_mask(clean, settings.box, subject.seed)
    holed = cut_out(clean, missing)
    versions["box", "damaged"] = holed
    versions["box", "median"] = median_filtered(holed)
    versions["box", "restored"] = inpaint(subject.model, holed, missing)
    table = quality_table(clean, versions)
    protocol = {
        "images": f"{len(rows)} test images, grey",
        "noise": "Gaussian, standard deviation in greys 0 to 1, cut off",
        "box": f"{settings.box} x {settings.box} pixels near the middle, grey; where it is, is told",
        "median": "3 x 3",
        "unit": "psnr in dB for a peak of 1, ssim 0 to 1, means over images",
    }
    return Part(nested(table, ["damage", "method"]), protocol, table=table)
