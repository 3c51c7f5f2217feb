"""Multi-head self-attention, over a whole text at once or token by token with a key/value cache.

cache.py says how a cache is laid out.

Shape letters: B batch, T tokens, L cache length in slots, D width, H heads, K key size of one head.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.cache import place_of, placed, visible, with_rows_of
from lmkeras.layers.dropout import dropout
from lmkeras.layers.fused import dense, rotation, scaled_softmax
from lmkeras.layers.position import rotation_angles


def attention_weights(queries, keys, allowed=None):
    """softmax(Q Kᵀ / sqrt(K)): how much each query looks at each key.

    Args:
        queries: [B, H, T, K].
        keys: [B, H, L, K].
        allowed: bool, broadcastable to [B, H, T, L]: which keys a query may look at; None for all.

    Returns:
        float32 [B, H, T, L], whatever the inputs' precision. Each row sums to 1; a query that may look at no key gets
        equal weights for all.

    Source: Vaswani et al. 2017, equation 1.
    """
    return _weights(queries, keys=keys, allowed=allowed, dtype="float32")


def _weights(queries, keys, allowed, dtype, bounded=False):
    allowed = ops.ones((1, 1, 1, 1), "bool") if allowed is None else allowed
    scores = tf.matmul(queries, keys, transpose_b=True)  # [B, H, T, L]
    return scaled_softmax(scores, allowed, scale=queries.shape[-1] ** -0.5, dtype=dtype, bounded=bounded)


def attend(queries, keys, values, allowed=None, dropout_layer=None, training=False, bounded=False):
    """softmax(Q Kᵀ / sqrt(K)) V: for each query the mean of the values, weighted by `attention_weights`: [B, H, T, K].

    Args:
        queries: [B, H, T, K].
        keys: [B, H, L, K].
        values: [B, H, L, K].
        allowed: as for `attention_weights`.
        dropout_layer: a Dropout layer applied to the attention weights, or None.
        training: whether dropout is active.
        bounded: see `scaled_softmax`.

    Source: Vaswani et al. 2017, equation 1.
    """
    weights = _weights(
        queries, keys=keys, allowed=allowed, dtype=keras.backend.standardize_dtype(values.dtype), bounded=bounded
    )
    if dropout_layer is not None:
        weights = dropout(dropout_layer, weights, training)
    return ops.matmul(weights, values)


def unprojected_self_attention(x, mask=None, causal=False):
    """softmax(x xᵀ / sqrt(D)) x: self-attention in which the input itself is query, key and value.

    Args:
        x: floats [B, T, D].
        mask: as for `SelfAttention`.
        causal: whether a token sees itself and earlier tokens only.

    Returns:
        [B, T, D], each token a weighted mean of the tokens it may look at.

    Example:
        >>> np.asarray(unprojected_self_attention(np.array([[[2.0, 0.0], [0.0, 2.0]]]))).round(2).tolist()
        [[[1.89, 0.11], [0.11, 1.89]]]
    """
    heads = ops.convert_to_tensor(x)[:, None]  # [B, 1, T, D]
    return ops.squeeze(
        attend(heads, keys=heads, values=heads, allowed=_allowed(ops.shape(heads)[2], mask, causal)), axis=1
    )


def _allowed(length, mask, causal):
    """bool [B or 1, 1, T or 1, T], which keys each query may look at; None for all. See `SelfAttention` for `mask`."""
    allowed = None
    if causal:
        positions = ops.arange(length)
        allowed = (positions[:, None] >= positions)[None, None]  # [1, 1, T, T]
    if mask is not None:
        mask = ops.cast(mask, "bool")
        mask = mask[:, None, None] if len(mask.shape) == 2 else mask[:, None]  # [B, 1, 1, T], [B, 1, T, T]
        allowed = mask if allowed is None else ops.logical_and(allowed, mask)
    return allowed


def fresh(initializer):
    """A copy of an initializer that draws new values: one Keras initializer gives the same values at every call."""
    return initializer.clone() if isinstance(initializer, keras.initializers.Initializer) else initializer


def token_mask(mask):
    """The mask for later layers: a mask of tokens [B, T] itself; None instead of one of pairs of tokens [B, T, T]."""
    return mask if mask is None or len(mask.shape) == 2 else None


@keras.saving.register_keras_serializable("lmkeras")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention: [B, T, D] → [B, T, D].

    Args:
        num_heads: H.
        key_dim: K, size of one head; None for D / H.
        causal: whether a token sees itself and earlier tokens only.
        rotary: whether queries and keys are rotated by their positions (K must be even).
        normalize_qk: whether queries and keys are scaled to root mean square 1 (keeps large steps stable).
        use_bias: whether the four projections have a bias.
        dropout: share of attention weights dropped in training, in [0, 1).
        kernel_initializer: Keras initializer of the matrices; None for the uniform one of Glorot and Bengio.

    Call arguments:
        x: [B, T, D].
        mask: bool [B, T], True for tokens and False for padding, which no token looks at; or bool [B, T, T], True where
            a query (second dimension, which may be 1 for all queries alike) may look at a key (third dimension).

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
        kernel_initializer=None,
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
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

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
        # gives the one wide matrix the variance that three separate matrices would have
        spread = keras.initializers.VarianceScaling(2 * d_model / (d_model + inner), "fan_in", "uniform")
        first, last = fresh(self.kernel_initializer) or spread, fresh(self.kernel_initializer) or "glorot_uniform"
        self._qkv = keras.layers.Dense(3 * inner, kernel_initializer=first, name="query_key_value", **common)
        self._qkv.build(input_shape)
        self._output = keras.layers.Dense(d_model, kernel_initializer=last, name="output", **common)
        self._output.build((*input_shape[:-1], inner))
        self._dropout = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy) if self.dropout else None

    def _project(self, x, start=0):
        """x [B, T, D] → queries, keys, values, each [B, H, T, K], rotated if `rotary`; `start` as for `rotate`."""
        batch, length = ops.shape(x)[0], ops.shape(x)[1]
        heads = ops.reshape(dense(self._qkv, x), (batch, length, 3, self.num_heads, self._key_dim))
        queries, keys, values = ops.unstack(ops.transpose(heads, (2, 0, 3, 1, 4)), 3, axis=0)
        if self.rotary:
            angles = rotation_angles(length, self._key_dim, start)
            options = {"normalize": self.normalize_qk, "dtype": self.compute_dtype}
            queries, keys = rotation(queries, *angles, **options), rotation(keys, *angles, **options)
        elif self.normalize_qk:
            queries, keys = ops.rms_normalization(queries), ops.rms_normalization(keys)
        return queries, keys, values

    def _join(self, heads):
        """heads [B, H, T, K] → [B, T, D]."""
        batch, length = ops.shape(heads)[0], ops.shape(heads)[2]
        joined = ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (batch, length, self.num_heads * self._key_dim))
        return dense(self._output, joined)

    def call(self, x, mask=None, training=False):
        """Attention over the whole text."""
        queries, keys, values = self._project(x)
        allowed = _allowed(ops.shape(x)[1], mask, self.causal)
        # normalised queries and keys give scaled scores of at most sqrt(K); without a mask each token sees itself
        bounded = self.normalize_qk and mask is None and self._key_dim <= 1024
        return self._join(
            attend(
                queries,
                keys=keys,
                values=values,
                allowed=allowed,
                dropout_layer=self._dropout,
                training=training,
                bounded=bounded,
            )
        )

    def attention_weights(self, x, mask=None):
        """How much each token looks at each other: float32 [B, H, T, T], query by key; rows sum to 1, no dropout."""
        queries, keys, _ = self._project(x)
        return attention_weights(queries, keys, _allowed(ops.shape(x)[1], mask, self.causal))

    def compute_mask(self, x, previous_mask=None):
        """The mask for later layers, see `token_mask`."""
        return token_mask(previous_mask)

    def initial_cache(self, batch_size, max_length):
        """An empty cache of `max_length` slots: keys and values, each zeros [B·H, L, K].

        Texts and heads share a dimension. With a separate dimension of size 1, for a single text, XLA would copy the
        cache.
        """
        shape = (batch_size * self.num_heads, max_length, self._key_dim)
        return {name: ops.zeros(shape, self.compute_dtype) for name in ("keys", "values")}

    def step(self, x, cache, start, lengths=None):
        """Attention of the next tokens over those in the cache and themselves; causal whatever `causal` says.

        Args:
            x: [B, T, D], the next tokens: several only where their slots are not used yet.
            cache: what `initial_cache` or an earlier step returned.
            start: a scalar, how many tokens earlier steps have written to the cache, filler included.
            lengths: int32 [B], how many tokens each text has up to the end of x, filler not counted. This gives the
                tokens' positions, and how much filler stands before each text. None if there is no filler.

        Returns:
            ([B, T, D], the cache with these tokens added). Results for filler have no meaning.
        """
        batch, length = ops.shape(x)[0], ops.shape(x)[1]
        rows = (batch * self.num_heads, length, self._key_dim)
        lengths = start + length if lengths is None else lengths
        queries, keys, values = (ops.reshape(heads, rows) for heads in self._project(x, lengths - length))
        place = place_of(cache["keys"], start, length)
        keys, values = placed(cache["keys"], keys, place), placed(cache["values"], values, place)
        if len(getattr(lengths, "shape", ())) == 1:
            lengths = ops.repeat(lengths, self.num_heads)[:, None, None]  # [B·H, 1, 1]
        allowed, _ = visible(start, ops.shape(keys)[1], length=length, lengths=lengths)  # [T, L] or [B·H, T, L]
        heads = attend(queries, keys=keys, values=values, allowed=allowed)  # [B·H, T, K]
        heads = ops.reshape(heads, (batch, self.num_heads, length, self._key_dim))
        return self._join(heads), {"keys": keys, "values": values}

    def replace_rows(self, cache, rows, other, turn):
        """The cache of B texts in which the texts `rows`, int32 [N], are replaced by those of the cache `other`.

        The slots of `other` are moved on by `turn`, so that all texts end in the same slot.
        """
        return with_rows_of(other, cache, rows=rows, turn=turn, num_heads=self.num_heads)

    def get_config(self):
        """The constructor's arguments."""
        names = ("num_heads", "key_dim", "causal", "rotary", "normalize_qk", "use_bias", "dropout")
        initializer = self.kernel_initializer and keras.initializers.serialize(self.kernel_initializer)
        config = {**super().get_config(), "kernel_initializer": initializer}
        return {**config, **{name: getattr(self, name) for name in names}}
