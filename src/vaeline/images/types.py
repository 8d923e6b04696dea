"""Types of arrays: images, labels, and the tensors that Keras computes with.

Names of axes are bound within one call: arrays whose types share a name must agree in that length.
"""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, Integer, Shaped, UInt8

Tensor: TypeAlias = Any  # a NumPy array or a tensor of whichever backend; these have no type in common
Images: TypeAlias = Float32[np.ndarray, "count height width channels"]
ByteImages: TypeAlias = UInt8[np.ndarray, "count height width channels"]
Masks: TypeAlias = UInt8[np.ndarray, "_ height width 1"]
HeatMaps: TypeAlias = Float32[np.ndarray, "count height width"]
AnyImages: TypeAlias = Shaped[np.ndarray, "count height width channels"]  # of any dtype, as files may hold them
FoundLabels: TypeAlias = Shaped[np.ndarray, "..."] | list[str] | None  # numbers or names, not checked yet
DrawnImage: TypeAlias = Float[np.ndarray, "height width channels"]
DrawnImages: TypeAlias = Float[np.ndarray, "count height width channels"]
DrawnGrid: TypeAlias = Float[np.ndarray, "rows columns height width channels"]
Labels: TypeAlias = Integer[np.ndarray, " count"]
