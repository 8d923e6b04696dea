"""Types of arrays: images, labels, and the tensors that Keras computes with.

Names of axes are bound within one call: arrays whose types share a name must agree in that length.
"""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Integer, UInt8

Tensor: TypeAlias = Any  # a NumPy array or a tensor of whichever backend; these have no type in common
Images: TypeAlias = Float32[np.ndarray, "count height width channels"]
ByteImages: TypeAlias = UInt8[np.ndarray, "count height width channels"]
Labels: TypeAlias = Integer[np.ndarray, " count"]
