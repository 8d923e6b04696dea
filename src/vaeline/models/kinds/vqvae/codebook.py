"""The codebook of a VQ-VAE, which replaces a vector by the nearest of K codes (van den Oord et al. 2017)."""

from typing import Any

import keras
import numpy as np
from jaxtyping import Float, Int32
from keras import layers, ops
from sklearn.cluster import KMeans

from vaeline.images.types import Tensor
from vaeline.models.kinds.vqvae.params import CodebookParams

SMOOTHING = 1e-5


@keras.saving.register_keras_serializable(package="vaeline")
class Codebook(layers.Layer):
    """K codes of `dim` numbers, which are running means and get no gradient (arXiv:1711.00937, appendix A.1).

    For each code, n is the share of the batch's vectors that chose it, and m is the sum of these vectors divided by the
    number of all vectors of the batch:

        shares ← decay · shares + (1 − decay) · n
        sums ← decay · sums + (1 − decay) · m
        code = sums / shares, with `SMOOTHING` added to each share

    A code with less than `restart_below` · 1/K of the vectors is dead. It restarts at a random vector of the batch
    (Dhariwal et al. 2020, arXiv:2005.00341, section 3.1).
    """

    def __init__(self, params: CodebookParams, dim: int, seed: int):
        super().__init__(name="codebook", dtype="float32")
        self.params = params
        self.generator = keras.random.SeedGenerator(seed)

        def running(shape: tuple[int, ...], name: str, initializer: Any = "zeros") -> keras.Variable:
            return self.add_weight(shape=shape, initializer=initializer, trainable=False, name=name)

        even = keras.initializers.Constant(1 / params.codes)
        self.shares = running((params.codes,), "shares", even)
        self.sums = running((params.codes, dim), "sums")
        self.codes = running((params.codes, dim), "codes", keras.initializers.RandomNormal(seed=seed))
        self.sums.assign(self.codes / params.codes)
        self.spread = running((), "spread", "ones")
        self.built = True

    def initialize(self, vectors: Float[np.ndarray, "count dim"]) -> None:
        """Start at the k-means of vectors (count, dim)."""
        found = KMeans(self.params.codes, n_init=1, random_state=self.generator.get_config()["seed"]).fit(vectors)
        shares = np.bincount(found.labels_, minlength=self.params.codes) / len(vectors)
        self.shares.assign(shares)
        self.sums.assign(shares[:, None] * found.cluster_centers_)
        self.codes.assign(found.cluster_centers_)
        self.spread.assign(max(found.inertia_ / vectors.size, 1e-6))

    def nearest(self, vectors: Float[Tensor, "*places dim"]) -> Int32[Tensor, "*places"]:
        """The index of the code nearest to each vector: (…, dim) to int32 (…,).

        Keras' argmin of floats looks at single bits, for which ONNX has no operation.
        """
        distances = ops.sum(ops.square(self.codes), axis=1) - 2 * ops.matmul(vectors, ops.transpose(self.codes))
        is_nearest = distances <= ops.min(distances, axis=-1, keepdims=True)
        return ops.cast(ops.argmax(ops.cast(is_nearest, "int32"), axis=-1), "int32")

    def look_up(self, indices: Int32[Tensor, "*places"]) -> Float[Tensor, "*places dim"]:
        """The codes (…, dim) at indices (…,)."""
        return ops.take(self.codes, indices, axis=0)

    def log_responsibilities(self, vectors: Float[Tensor, "*places dim"]) -> Float[Tensor, "*places codes"]:
        """log q(code|vector), shape (…, codes), with codes as Gaussians whose variance is the mean squared error."""
        codes = ops.stop_gradient(ops.convert_to_tensor(self.codes))
        products = ops.matmul(vectors, ops.transpose(codes))
        return ops.log_softmax((products - 0.5 * ops.sum(ops.square(codes), axis=1)) / self.spread)

    def call(
        self, vectors: Float[Tensor, "*places dim"], training: bool | None = None
    ) -> tuple[Float[Tensor, "*places dim"], Int32[Tensor, "*places"]]:
        """The codes (…, dim) nearest to vectors (…, dim), and their indices (…,); in training, update the codebook.

        The gradient of a code passes to its vector unchanged (straight-through estimator).
        """
        indices = self.nearest(vectors)
        quantized = self.look_up(indices)
        if training:
            self.update(ops.reshape(vectors, (-1, vectors.shape[-1])), ops.reshape(indices, (-1,)))
            error = ops.stop_gradient(ops.mean(ops.square(vectors - quantized)))
            self.spread.assign(self.params.decay * self.spread + (1 - self.params.decay) * error)
        return vectors + ops.stop_gradient(quantized - vectors), indices

    def update(self, vectors: Float[Tensor, "count dim"], indices: Int32[Tensor, " count"]) -> None:
        """Move the codes towards the vectors (count, dim) that chose them, and restart dead codes."""
        vectors = ops.stop_gradient(vectors)
        chosen = ops.one_hot(indices, self.params.codes, dtype=vectors.dtype)
        count, decay = ops.cast(ops.shape(vectors)[0], vectors.dtype), self.params.decay
        shares = decay * self.shares + (1 - decay) * ops.sum(chosen, axis=0) / count
        sums = decay * self.sums + (1 - decay) * ops.matmul(ops.transpose(chosen), vectors) / count

        even = 1 / self.params.codes
        dead = shares < self.params.restart_below * even
        rows = keras.random.randint((self.params.codes,), 0, ops.shape(vectors)[0], seed=self.generator)
        shares = ops.where(dead, even, shares)
        sums = ops.where(dead[:, None], even * ops.take(vectors, rows, axis=0), sums)

        total = ops.sum(shares)
        smoothed = total * (shares + SMOOTHING) / (total + self.params.codes * SMOOTHING)
        self.shares.assign(shares)
        self.sums.assign(sums)
        self.codes.assign(sums / smoothed[:, None])
