"""Parameters that `kind: vqvae` requires."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaeline.params.model import ModelParams


def check(params: "ModelParams") -> None:
    """Raises ValueError if the parameters do not fit the kind."""
    if params.prior.kind != "autoregressive":
        raise ValueError("kind: vqvae needs prior.kind: autoregressive, the prior over codes")
    if params.architecture not in ("conv", "resconv"):
        raise ValueError("kind: vqvae needs a grid of features; set architecture: conv or resconv")
