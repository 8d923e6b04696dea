"""The registered model for MLflow (models-from-code, no pickle). It loads one archive and answers in five modes.

`mode` chooses the answer. `reconstruct`, `encode` and `score` take images (n, height, width, channels) from 0 to 1.
`decode` and `sample` ignore their input: `decode` takes `latents`, one row of latents after the other, and `sample`
draws `n` images with `seed` and `temperature`. A conditional model takes the class number `label` of the images or
samples; -1 gives none.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from jaxtyping import Float32
from mlflow.models import set_model

from vaeline.pyfunc.answers import DECIMALS, MODES, ModelRequest, UnanswerableError, answer, as_lists

__all__ = ["DECIMALS", "MODES", "VAEModel"]


class VAEModel(mlflow.pyfunc.PythonModel):
    """The answers of one model archive."""

    def load_context(self, context):
        """Load the archive. Its digest must be the recorded one."""
        from vaeline.models.archive import load_model

        self.model = load_model(Path(context.artifacts["model"]), context.model_config["model_digest"])

    def predict(self, context, model_input: np.ndarray, params: dict | None = None) -> dict[str, list]:
        """The answer of `params["mode"]` as lists by name, rounded to six decimals.

        MLflow reads the annotation of `model_input` and knows only `np.ndarray` there.

        Raises:
            ValueError: the mode is unknown, or the input has a wrong shape or wrong values.
        """
        settings: dict[str, Any] = {"mode": "reconstruct", **(params or {})}
        mode, values = settings.pop("mode"), np.asarray(model_input, dtype="float32")
        if mode not in MODES:
            raise UnanswerableError(f"mode {mode!r} is unknown; use one of {', '.join(MODES)}")
        latents, count = settings.pop("latents", []), settings.pop("n", 1)
        if mode == "decode":
            values = self._rows(latents)
        return as_lists(answer(self.model, ModelRequest(mode, values, count, **settings)))

    def _rows(self, latents: Sequence[float]) -> Float32[np.ndarray, "count latent_dim"]:
        """Latents, one row after the other, as (n, latent_dim)."""
        numbers, dim = np.asarray(latents, dtype="float32").ravel(), self.model.latent_dim
        if not len(numbers) or len(numbers) % dim:
            raise UnanswerableError(
                f"decode takes the parameter latents, {dim} numbers for each image, got {len(numbers)} numbers"
            )
        return numbers.reshape(-1, dim)


set_model(VAEModel())
