"""What a user of exported files must know: the model, the form of its images, and the meaning of each array."""

from vaeline.images.spec import COLOURS
from vaeline.models.generative import GenerativeModel

ARRAYS = {
    "images": "float32 images (count, height, width, channels), as `values` says",
    "label": "int64 class numbers (count)",
    "noise": "float32 standard normal noise (count, noise_dim); zeros give the scores of z = z_mean, without chance",
    "z": "float32 latents (count, latent_dim), such as z_mean",
    "z_mean": "mean of z given the image (count, latent_dim); the last label_dim entries are the class, one-hot",
    "z_log_var": "log of the variance of the first noise_dim entries of z given the image (count, noise_dim)",
    "codes": "int32 numbers of the codes in the codebook (count, places), in reading order",
    "reconstruction": "-log p(x|z) of each image (count), in nats",
    "kl": "rate of each image, KL(q(z|x) || p(z)) (count), in nats",
    "neg_elbo": "-ELBO of each image (count), in nats: reconstruction + kl; unusual images have high values",
    "mse": "mean squared error of a pixel between each image and the expected image of z_mean (count)",
}


def describe(model: GenerativeModel, model_sha256: str) -> dict[str, str | int | float | bool]:
    """The model, and how a picture becomes an input, by name.

    `fit` and `background` say how pictures of another size are fitted, as in `ImageSpec`. `values` says how 8-bit
    levels become numbers. `binarize` says whether the model was trained on binary pixels, drawn from the greys.
    """
    image, params = model.image, model.params
    return {
        "title": model.title,
        "model_sha256": model_sha256,
        "kind": params.kind,
        "architecture": params.architecture,
        "likelihood": params.likelihood,
        "binarize": params.binarize,
        "latent_dim": model.latent_dim,
        "noise_dim": model.noise_dim,
        "label_dim": model.label_dim,
        "height": image.height,
        "width": image.width,
        "channels": image.channels,
        "colours": COLOURS[image.channels] if image.channels == 1 else "sRGB: red, green, blue",
        "layout": "count, height, width, channels",
        "values": "level / 255, so from 0 to 1",
        "fit": image.fit,
        "background": image.background,
        "ink": image.is_ink,
    }
