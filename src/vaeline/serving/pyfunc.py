"""The served model, as MLflow models-from-code: one archive, five answers, no pickle.

`mode` picks the answer: `reconstruct` and `encode` and `score` take images (n, 28, 28) with greys 0 to 1, `decode`
takes latents (n, 1, latent_dim), `sample` ignores its input and draws `n` images with `seed` and `temperature`, of the
class number `label` where the model is told classes (-1: of any).

Keras is imported late: MLflow runs this file to package a model, too, and packaging needs none of it.
"""

from pathlib import Path

import mlflow
import numpy as np
from mlflow.models import set_model

MODES = ("reconstruct", "encode", "decode", "sample", "score")
MOST_SAMPLES = 10_000
DECIMALS = 6


class VAEModel(mlflow.pyfunc.PythonModel):
    """Answers for one model archive."""

    def load_context(self, context):
        from vaeline.models.archive import load_model

        self.model = load_model(Path(context.artifacts["model"]), context.model_config["model_digest"])

    def predict(self, context, model_input: np.ndarray, params: dict | None = None) -> dict[str, list]:
        """The answer of `params["mode"]` as lists by name, rounded to six places.

        Raises:
            ValueError: the mode is unknown, or shape or values of the input do not fit it.
        """
        params = params or {}
        mode = params.get("mode", "reconstruct")
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is unknown; use one of {', '.join(MODES)}")
        answer = getattr(self, f"_{mode}")(np.asarray(model_input, dtype="float32"), params)
        return {name: np.round(values.astype("float64"), DECIMALS).tolist() for name, values in answer.items()}

    def _reconstruct(self, images, params):
        return {"images": np.asarray(self.model.reconstruct(self._images(images)))}

    def _encode(self, images, params):
        from vaeline.evaluation.likelihood import encode

        z_mean, z_log_var = encode(self.model, self._images(images))
        return {"z_mean": z_mean, "z_log_var": z_log_var}

    def _score(self, images, params):
        from vaeline.evaluation.likelihood import elbo_scores

        return elbo_scores(self.model, self._images(images), np.arange(len(images)), params.get("seed", 1))

    def _decode(self, latents, params):
        if latents.shape[1:] != (1, self.model.latent_dim) or not np.isfinite(latents).all():
            raise ValueError(
                f"decode takes finite latents of shape (n, 1, {self.model.latent_dim}), got {latents.shape}"
            )
        return {"images": np.asarray(self.model.decode(latents[:, 0]))}

    def _sample(self, ignored, params):
        count = params.get("n", 1)
        if not 1 <= count <= MOST_SAMPLES:
            raise ValueError(f"n must be 1 to {MOST_SAMPLES}, got {count}")
        label, most = params.get("label", -1), self.model.label_dim - 1
        if not -1 <= label <= most:
            raise ValueError(f"label must be -1 (any class){f' to {most}' if most > 0 else ''}, got {label}")
        drawn = self.model.sample(
            count, params.get("seed", 1), params.get("temperature", 1.0), None if label < 0 else label
        )
        return {"images": np.asarray(drawn)}

    def _images(self, images):
        height, width = self.model.image_shape
        if images.shape[1:] != (height, width):
            raise ValueError(f"images must have shape (n, {height}, {width}), got {images.shape}")
        if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
            raise ValueError(f"greys must lie between 0 and 1, got {images.min()} to {images.max()}")
        return images


set_model(VAEModel())
