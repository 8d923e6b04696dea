"""Parameters that `kind: vqvae` requires."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaeline.params.model import ModelParams


def check(params: "ModelParams") -> None:
    """Raises ValueError where the parameters do not fit the kind."""
    if params.prior.kind != "autoregressive":
        raise ValueError("prior.kind: autoregressive is a prior over codes; it and kind: vqvae need each other")
    if params.architecture not in ("conv", "resconv"):
        raise ValueError("kind: vqvae needs a grid of features; set architecture: conv or resconv")
