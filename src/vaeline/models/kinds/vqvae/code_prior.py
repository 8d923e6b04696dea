"""A learned prior over codes: p(c) = Π p(c_i | c_1 … c_i−1), by a causal transformer (arXiv:1706.03762)."""

from typing import Any

import keras
from jaxtyping import Float, Int32, Integer
from keras import layers, ops

from vaeline.images.types import Tensor

HEAD_WIDTH = 16


class CodePrior(layers.Layer):
    """A distribution over `length` codes in reading order, each one of `codes`, by a transformer of `blocks` blocks.

    The input of the network is a learned start symbol, then the earlier codes, each with its place.
    """

    def __init__(self, codes: int, length: int, blocks: int, width: int):
        super().__init__(name="prior")
        self.codes = codes
        self.length = length
        self.table = self.add_weight(shape=(codes + 1, width), initializer="normal", name="table")
        self.places = self.add_weight(shape=(length, width), initializer="normal", name="places")
        self.blocks = [Block(width, f"block_{index}") for index in range(blocks)]
        self.head_normalization = layers.LayerNormalization(name="head_normalization")
        self.head = layers.Dense(codes, dtype="float32", name="head")
        for layer in (self.head_normalization, self.head):
            layer.build((None, length, width))
        self.built = True

    def logits(
        self, read: Int32[Tensor, "batch n"], first: Any = 0, past: Any = None
    ) -> tuple[Float[Tensor, "batch n codes"], list]:
        """Logits (batch, n, codes) of the code after each of `read` (batch, n), and the keys and values of the blocks.

        `read` are the inputs at the places from `first` on. `past` are the keys and values from the call for the places
        before `first`.
        """
        places = first + ops.arange(read.shape[1])
        features = ops.take(self.table, read, axis=0) + ops.take(self.places, places, axis=0)
        seen = []
        for index, block in enumerate(self.blocks):
            features, known = block(features, places, past and past[index])
            seen.append(known)
        return self.head(self.head_normalization(features)), seen

    def log_probabilities(self, codes: Int32[Tensor, "batch length"]) -> Float[Tensor, "batch length codes"]:
        """log p of every code at each place given the codes before it, (batch, length, codes), in nats."""
        logits, _ = self.logits(ops.concatenate([self._start(ops.shape(codes)[0]), codes[:, :-1]], axis=1))
        return ops.log_softmax(logits)

    def log_prob(self, codes: Int32[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """log p(codes), (batch, length) to (batch,), in nats."""
        return pick(self.log_probabilities(codes), codes)

    def sample(self, n: int, seed: int, temperature: float) -> Int32[Tensor, "{n} length"]:
        """`n` rows of codes (n, length), drawn one after the other; temperature 0 takes the most probable code."""
        generator = keras.random.SeedGenerator(seed)
        drawn, past = [self._start(n)], [block.empty_cache(n, self.length) for block in self.blocks]
        for place in range(self.length):
            logits, past = self.logits(drawn[-1], place, past)
            if temperature:
                scaled = logits[:, 0] / temperature
                drawn.append(keras.random.categorical(scaled, 1, dtype="int32", seed=generator))
            else:
                drawn.append(ops.cast(ops.argmax(logits, axis=-1), "int32"))
        return ops.concatenate(drawn[1:], axis=1)

    def _start(self, n: Any) -> Int32[Tensor, "n 1"]:
        return ops.full((n, 1), self.codes, dtype="int32")


def pick(
    log_probabilities: Float[Tensor, "batch length codes"], codes: Int32[Tensor, "batch length"]
) -> Float[Tensor, " batch"]:
    """The sum over places of the log-probability of the code at each place, shape (batch,)."""
    return ops.sum(ops.take_along_axis(log_probabilities, codes[..., None], axis=-1), axis=(1, 2))


class Block(layers.Layer):
    """Causal attention, then a dense layer of four times the width; each has a normalized input and is added to it."""

    def __init__(self, width: int, name: str):
        super().__init__(name=name)
        self.heads = max(1, width // HEAD_WIDTH)
        self.normalization = layers.LayerNormalization(name="normalization")
        self.query_key_value = layers.Dense(3 * width, name="query_key_value")
        self.attended = layers.Dense(width, name="attended")
        self.wide_normalization = layers.LayerNormalization(name="wide_normalization")
        self.wide = layers.Dense(4 * width, activation="relu", name="wide")
        self.narrow = layers.Dense(width, name="narrow")
        for layer in (self.normalization, self.query_key_value, self.attended, self.wide_normalization, self.wide):
            layer.build((None, None, width))
        self.narrow.build((None, None, 4 * width))
        self.built = True

    def empty_cache(
        self, n: int, length: int
    ) -> tuple[Float[Tensor, "{n} {length} heads width"], Float[Tensor, "{n} {length} heads width"]]:
        """Zeros for the keys and values of `n` rows at `length` places."""
        shape = (n, length, self.heads, self.attended.kernel.shape[0] // self.heads)
        return ops.zeros(shape), ops.zeros(shape)

    def call(
        self, features: Float[Tensor, "batch n width"], places: Integer[Tensor, " n"], past: Any = None
    ) -> tuple[Float[Tensor, "batch n width"], tuple[Any, Any]]:
        """Features (batch, n, width) at `places` (n,) to new ones, and the keys and values of all places so far."""
        batch, n, width = ops.shape(features)[0], features.shape[1], features.shape[2]
        parts = self.query_key_value(self.normalization(features))
        parts = ops.reshape(parts, (batch, n, 3, self.heads, width // self.heads))
        query, key, value = (parts[:, :, index] for index in range(3))
        if past is not None:
            start = (0, places[0], 0, 0)
            key, value = (ops.slice_update(old, start, new) for old, new in zip(past, (key, value), strict=True))
        scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * (width // self.heads) ** -0.5
        later = ops.arange(key.shape[1])[None] > places[:, None]
        weights = ops.softmax(ops.where(later, -1e9, scores))
        seen = ops.reshape(ops.einsum("bhqk,bkhd->bqhd", weights, value), (batch, n, width))
        features = features + self.attended(seen)
        return features + self.narrow(self.wide(self.wide_normalization(features))), (key, value)
