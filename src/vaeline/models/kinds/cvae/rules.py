"""Parameters that `kind: cvae` does not allow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaeline.params.model import ModelParams


def check(params: "ModelParams") -> None:
    """Raises ValueError if the parameters do not fit the kind."""
    if params.prior.kind == "vamp":
        raise ValueError("kind: cvae cannot use prior.kind: vamp, because pseudo-inputs have no labels")
