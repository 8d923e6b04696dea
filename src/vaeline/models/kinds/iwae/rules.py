"""Parameters that `kind: iwae` does not allow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaeline.params.model import ModelParams


def check(params: "ModelParams") -> None:
    """Raises ValueError if the parameters do not fit the kind."""
    if params.free_bits or params.capacity:
        raise ValueError("free_bits and capacity must be 0, because the loss of kind: iwae has no KL term")
