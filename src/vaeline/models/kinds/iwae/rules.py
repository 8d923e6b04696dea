"""Parameters that `kind: iwae` does not allow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaeline.params.model import ModelParams


def check(params: "ModelParams") -> None:
    """Raises ValueError where the parameters do not fit the kind."""
    if params.free_bits or params.capacity:
        raise ValueError("free_bits and capacity are terms of the KL, which the bound of kind: iwae does not have")
