"""Attention of the tokens of targets to the states of sources: by several heads, or by Luong's formula.

What belongs to a source, its keys and values, is computed once and held once, however many rows are written for it: in
beam search, a source has several rows. Rows of one source stand together, so their tokens can be taken for more tokens
of one row, and one product serves them all.

Shape letters: M sources, S tokens of a source, N rows, a multiple of M, T tokens of a row, D width of a row's token,
E width of a source's token, H heads, K key size of one head.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.attention import attend, attention_weights
from lmkeras.layers.fused import dense, rms_norm, scaled_softmax


class _OverSources(keras.layers.Layer):
    """Attention to sources; subclasses have `sources`, `_attended` and `attention_weights`."""

    def sources(self, memory):
        """What is computed once for each source: "keys" and "values", from its states [M, S, E]."""
        raise NotImplementedError

    def _attended(self, x, sources, mask):
        """The outputs for the tokens x [M, T, D] of one row for each source; the other arguments as for `step`."""
        raise NotImplementedError

    def attention_weights(self, x, memory, memory_mask=None):
        """How much each token looks at each token of its source: float32 [M, H, T, S]; rows sum to 1.

        The arguments are those of `call`.
        """
        raise NotImplementedError

    def call(self, x, memory, memory_mask=None):
        """Attention of whole targets: [M, T, D] and [M, S, E] → [M, T, outputs]."""
        return self._attended(x, self.sources(memory), memory_mask)

    def step(self, x, sources, mask=None):
        """Attention of the next tokens of all rows.

        Args:
            x: [N, T, D]; the rows of a source stand together, in the order of the sources.
            sources: what the method of this name returned.
            mask: bool [M, S], False for padding; None if there is none.

        Returns:
            [N, T, outputs].
        """
        rows, length = ops.shape(x)[:2]
        y = self._attended(ops.reshape(x, (ops.shape(sources["keys"])[0], -1, x.shape[-1])), sources, mask)
        return ops.reshape(y, (rows, length, y.shape[-1]))


@keras.saving.register_keras_serializable("lmkeras")
class CrossAttention(_OverSources):
    """Multi-head attention to sources: [M, T, D] and [M, S, E] → [M, T, D].

    Args:
        num_heads: H.
        normalize_qk: whether queries and keys are scaled to root mean square 1.
        use_bias: whether the projections have a bias.

    Call arguments:
        x: [M, T, D], tokens of targets.
        memory: [M, S, E], states of sources.
        memory_mask: bool [M, S], False for padding, which no token looks at; None if there is none.

    Source: Vaswani et al. 2017, section 3.2.3; normalised queries and keys: Henry et al. 2020.
    """

    def __init__(self, num_heads: int, normalize_qk: bool = False, use_bias: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.num_heads, self.normalize_qk, self.use_bias = num_heads, normalize_qk, use_bias

    def build(self, x_shape, memory_shape):
        """Creates a matrix for queries, one for keys and values together, and one for the output."""
        d_model = x_shape[-1]
        if d_model % self.num_heads:
            raise InputError(f"the width {d_model} must be a multiple of num_heads={self.num_heads}")
        self._key_dim = d_model // self.num_heads
        common = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        # gives the one wide matrix the variance that two separate matrices would have
        spread = keras.initializers.VarianceScaling(
            2 * memory_shape[-1] / (memory_shape[-1] + d_model), "fan_in", "uniform"
        )
        self._query = keras.layers.Dense(d_model, name="query", **common)
        self._query.build(x_shape)
        self._key_value = keras.layers.Dense(2 * d_model, kernel_initializer=spread, name="key_value", **common)
        self._key_value.build(memory_shape)
        self._output = keras.layers.Dense(d_model, name="output", **common)
        self._output.build(x_shape)

    def sources(self, memory):
        """Keys and values of sources, each [M, H, S, K], from their states [M, S, E]."""
        heads = ops.reshape(dense(self._key_value, memory), (*ops.shape(memory)[:2], 2, self.num_heads, self._key_dim))
        keys, values = ops.unstack(ops.transpose(heads, (2, 0, 3, 1, 4)), 2, axis=0)
        return {"keys": self._normed(keys), "values": values}

    def _normed(self, heads):
        if not self.normalize_qk:
            return heads
        return rms_norm(heads, ops.ones((self._key_dim,)), epsilon=1e-7, dtype=self.compute_dtype)

    def _queries(self, x):
        """The queries of tokens, [M, H, T, K]."""
        heads = ops.reshape(dense(self._query, x), (*ops.shape(x)[:2], self.num_heads, self._key_dim))
        return ops.transpose(self._normed(heads), (0, 2, 1, 3))

    def attention_weights(self, x, memory, memory_mask=None):
        """How much each token looks at each token of its source: float32 [M, H, T, S]; rows sum to 1."""
        return attention_weights(self._queries(x), self.sources(memory)["keys"], allowed=_over_heads(memory_mask))

    def _attended(self, x, sources, mask):
        rows, length = ops.shape(x)[:2]
        keys, values = sources["keys"], sources["values"]
        heads = attend(self._queries(x), keys=keys, values=values, allowed=_over_heads(mask))  # [M, H, T, K]
        joined = ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (rows, length, self.num_heads * self._key_dim))
        return dense(self._output, joined)

    def get_config(self):
        """The constructor's arguments."""
        own = {name: getattr(self, name) for name in ("num_heads", "normalize_qk", "use_bias")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("lmkeras")
class LuongAttention(_OverSources):
    """tanh([context; x] W), where softmax(x A sᵀ) s is the context of x, over the states s: [M, T, D] → [M, T, units].

    Args:
        units: width of the outputs.

    Call arguments: those of `CrossAttention`.

    Source: Luong et al. 2015, equations 5 to 8, with the score that they call general.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, x_shape, memory_shape):
        """Creates the matrix of the score and that of the outputs."""
        common = {"use_bias": False, "dtype": self.dtype_policy}
        self._score = keras.layers.Dense(x_shape[-1], name="score", **common)
        self._score.build(memory_shape)
        self._combine = keras.layers.Dense(self.units, name="combine", **common)
        self._combine.build((*x_shape[:-1], memory_shape[-1] + x_shape[-1]))

    def sources(self, memory):
        """Keys [M, S, D] and values [M, S, E] of sources, from their states [M, S, E]."""
        return {"keys": dense(self._score, memory), "values": ops.cast(memory, self.compute_dtype)}

    def attention_weights(self, x, memory, memory_mask=None):
        """How much each token looks at each token of its source: float32 [M, 1, T, S]; rows sum to 1."""
        return self._weights(x, self.sources(memory)["keys"], memory_mask, dtype="float32")[:, None]

    def _weights(self, x, keys, mask, dtype):
        """softmax(x keysᵀ), [M, T, S]."""
        allowed = ops.ones((1, 1, 1), "bool") if mask is None else mask[:, None]  # [M, 1, S]
        scores = tf.matmul(ops.cast(x, self.compute_dtype), keys, transpose_b=True)
        return scaled_softmax(scores, allowed, scale=1.0, dtype=dtype)

    def _attended(self, x, sources, mask):
        x = ops.cast(x, self.compute_dtype)
        weights = self._weights(x, sources["keys"], mask, dtype=self.compute_dtype)
        context = tf.matmul(weights, sources["values"])
        return ops.tanh(dense(self._combine, ops.concatenate([context, x], axis=-1)))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units}


def _over_heads(mask):
    """The mask [M, S] of sources for queries and keys of several heads, [M, 1, 1, S]."""
    return None if mask is None else mask[:, None, None]
