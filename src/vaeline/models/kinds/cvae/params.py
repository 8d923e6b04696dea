"""What `kind: cvae` requires of the parameters."""

from typing import Any

from vaeline.params.model import ModelParams


class CVAEModelParams(ModelParams):
    """The parameters of a conditional VAE."""

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        if self.prior.kind == "vamp":
            raise ValueError("kind: cvae cannot use prior.kind: vamp, because pseudo-inputs have no labels")


PARAMS = CVAEModelParams
