"""Multi-head self-attention, over a whole text at once or token by token with a key/value cache.

Shape letters: B batch, T tokens, L cache length, D width, H heads, K key size of one head.
"""

import keras
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.position import rotate


def attend(queries, keys, values, allowed=None, dropout=None, training=False):
    """softmax(Q Kᵀ / sqrt(K)) V.

    Args:
        queries: [B, H, T, K].
        keys: [B, H, L, K].
        values: [B, H, L, K].
        allowed: bool, broadcastable to [B, H, T, L]: which keys a query may look at; None for all.
        dropout: a layer applied to the attention weights, or None.
        training: whether dropout is active.

    Returns:
        [B, H, T, K]; the softmax is computed in float32 whatever the inputs' precision.

    Source: Vaswani et al. 2017, equation 1.
    """
    scale = ops.cast(queries.shape[-1] ** -0.5, queries.dtype)
    scores = ops.cast(ops.matmul(queries * scale, ops.swapaxes(keys, 2, 3)), "float32")  # [B, H, T, L]
    if allowed is not None:
        # finite, so that a row with nothing allowed (padding) gives a mean and not NaN
        scores = ops.where(allowed, scores, -1e9)
    weights = ops.cast(ops.softmax(scores, axis=-1), values.dtype)
    if dropout is not None:
        weights = dropout(weights, training=training)
    return ops.matmul(weights, values)


def _placed(cache, new, start):
    """The cache [B, H, L, K] with `new` [B, H, T, K] at positions start .. start + T - 1.

    `ops.slice_update` would do, but outside XLA it is compiled anew for every shape, and not every server has it.
    """
    positions = ops.arange(ops.shape(cache)[2]) - start  # [L], those of `new` from 0 to T - 1
    length = ops.shape(new)[2]
    spread = ops.take(ops.cast(new, cache.dtype), ops.clip(positions, 0, length - 1), axis=2)
    inside = ops.logical_and(positions >= 0, positions < length)
    return ops.where(inside[:, None], spread, cache)


@keras.saving.register_keras_serializable("lmkeras")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention: [B, T, D] → [B, T, D].

    Args:
        num_heads: H.
        key_dim: K, size of one head; D / H where it is None.
        causal: whether a token sees itself and earlier tokens only.
        rotary: whether queries and keys are rotated by their positions (K must be even).
        normalize_qk: whether queries and keys are scaled to root mean square 1 (keeps large steps stable).
        use_bias: whether the four projections have a bias.
        dropout: share of attention weights dropped in training, in [0, 1).

    Call arguments:
        x: [B, T, D].
        mask: bool [B, T], True for real tokens; padding is never looked at.

    Source: Vaswani et al. 2017, section 3.2; rotations: Su et al. 2021; normalised queries and keys: Henry et al. 2020.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int | None = None,
        causal: bool = False,
        rotary: bool = False,
        normalize_qk: bool = False,
        use_bias: bool = True,
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.causal = causal
        self.rotary = rotary
        self.normalize_qk = normalize_qk
        self.use_bias = use_bias
        self.dropout = dropout

    def build(self, input_shape):
        """Creates one matrix for queries, keys and values together, and one for the output."""
        d_model = input_shape[-1]
        if self.num_heads < 1:
            raise InputError(f"num_heads must be at least 1, got {self.num_heads}")
        if self.key_dim is None and d_model % self.num_heads:
            raise InputError(f"the width {d_model} must be a multiple of num_heads={self.num_heads}")
        self._key_dim = self.key_dim or d_model // self.num_heads
        if self.rotary and self._key_dim % 2:
            raise InputError(f"rotary positions need an even key size, got {self._key_dim}; choose fewer heads")
        inner = self.num_heads * self._key_dim
        common = {"use_bias": self.use_bias, "dtype": self.dtype_policy}
        # three square matrices' variance, not that of one wide matrix
        spread = keras.initializers.VarianceScaling(2 * d_model / (d_model + inner), "fan_in", "uniform")
        self._qkv = keras.layers.Dense(3 * inner, kernel_initializer=spread, name="query_key_value", **common)
        self._qkv.build(input_shape)
        self._output = keras.layers.Dense(d_model, name="output", **common)
        self._output.build((*input_shape[:-1], inner))
        self._dropout = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy) if self.dropout else None

    def _project(self, x, start=0):
        """x [B, T, D] → queries, keys, values, each [B, H, T, K], rotated where asked."""
        batch, length = ops.shape(x)[0], ops.shape(x)[1]
        heads = ops.reshape(self._qkv(x), (batch, length, 3, self.num_heads, self._key_dim))
        queries, keys, values = ops.unstack(ops.transpose(heads, (2, 0, 3, 1, 4)), 3, axis=0)
        if self.normalize_qk:
            queries, keys = ops.rms_normalization(queries), ops.rms_normalization(keys)
        if self.rotary:
            queries, keys = rotate(queries, start), rotate(keys, start)
        return queries, keys, values

    def _join(self, heads):
        """heads [B, H, T, K] → [B, T, D]."""
        batch, length = ops.shape(heads)[0], ops.shape(heads)[2]
        joined = ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (batch, length, self.num_heads * self._key_dim))
        return self._output(joined)

    def call(self, x, mask=None, training=False):
        """Attention over the whole text."""
        queries, keys, values = self._project(x)
        allowed = None
        if self.causal:
            positions = ops.arange(ops.shape(x)[1])
            allowed = (positions[:, None] >= positions)[None, None]  # [1, 1, T, T]
        if mask is not None:
            real = ops.cast(mask, "bool")[:, None, None, :]  # [B, 1, 1, T]
            allowed = real if allowed is None else ops.logical_and(allowed, real)
        return self._join(attend(queries, keys, values, allowed, self._dropout, training))

    def initial_cache(self, batch_size, max_length):
        """An empty cache for `max_length` tokens: keys and values, each zeros [B, H, L, K]."""
        shape = (batch_size, self.num_heads, max_length, self._key_dim)
        return {name: ops.zeros(shape, self.compute_dtype) for name in ("keys", "values")}

    def step(self, x, cache, start):
        """Attention of the next tokens over those in the cache and themselves; causal whatever `causal` says.

        Args:
            x: [B, T, D], the tokens at positions start .. start + T - 1.
            cache: what `initial_cache` or an earlier step returned.
            start: number of tokens already in the cache, a scalar.

        Returns:
            ([B, T, D], the cache with these tokens added).
        """
        queries, keys, values = self._project(x, start)
        keys, values = _placed(cache["keys"], keys, start), _placed(cache["values"], values, start)
        at = start + ops.arange(ops.shape(x)[1])
        allowed = (at[:, None] >= ops.arange(ops.shape(keys)[2]))[None, None]  # [1, 1, T, L]
        return self._join(attend(queries, keys, values, allowed)), {"keys": keys, "values": values}

    def get_config(self):
        """The constructor's arguments."""
        names = ("num_heads", "key_dim", "causal", "rotary", "normalize_qk", "use_bias", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
