"""The served model, as MLflow models-from-code: one archive, five answers, no pickle.

`mode` picks the answer: `reconstruct` and `encode` and `score` take images (n, 28, 28) with greys 0 to 1, `decode`
takes latents (n, 1, latent_dim), `sample` ignores its input and draws `n` images with `seed` and `temperature`. A model
that is conditioned on classes takes the class number `label` of the images or samples (-1: no label).
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import set_model

from vaeline.pyfunc.answers import DECIMALS, MODES, Ask, UnanswerableError, answer, as_lists

__all__ = ["DECIMALS", "MODES", "VAEModel"]


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
        settings: dict[str, Any] = {"mode": "reconstruct", **(params or {})}
        mode, values = settings.pop("mode"), np.asarray(model_input, dtype="float32")
        if mode not in MODES:
            raise UnanswerableError(f"mode {mode!r} is unknown; use one of {', '.join(MODES)}")
        if mode == "decode":
            values = self._latents(values)
        count = settings.pop("n", 1)
        return as_lists(answer(self.model, Ask(mode, values, count, **settings)))

    def _latents(self, values: np.ndarray) -> np.ndarray:
        if values.shape[1:] != (1, self.model.latent_dim):
            raise UnanswerableError(
                f"decode takes latents of shape (n, 1, {self.model.latent_dim}), got {values.shape}"
            )
        return values[:, 0]


set_model(VAEModel())
