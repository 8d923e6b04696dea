"""Parameters that `kind: cvae` does not allow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaeline.params.model import ModelParams


def check(params: "ModelParams") -> None:
    """Raises ValueError where the parameters do not fit the kind."""
    if params.prior.kind == "vamp":
        raise ValueError("kind: cvae needs an encoder of images with labels, which prior.kind: vamp has none of")
