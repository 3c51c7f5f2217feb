"""Attention of published decoders: several heads of queries share one head of keys and values.

Keys and values are never repeated for the queries that share them: the queries of a group are stacked as if they were
more tokens, so that one matrix product serves them all.

Shape letters: B batch, T tokens, L keys (cache length in slots), D width, H heads of queries, S heads of keys and
values, G = H / S heads in a group, K key size of one head.
"""

import dataclasses

import keras
import tensorflow as tf
from keras import ops

from lmkeras.layers.cache import placed, with_rows_of
from lmkeras.layers.fused import product
from lmkeras.layers.norm import Norm, Unset, scaled_by_size
from lmkeras.layers.rotary import turned

_BLOCK = 256  # queries that look at their keys together, when a whole text is read


@dataclasses.dataclass(frozen=True)
class BlockSettings:
    """What all blocks of a published decoder have in common."""

    d_model: int
    """D."""
    num_heads: int
    """H."""
    num_key_value_heads: int
    """S, which divides H."""
    key_dim: int
    """K."""
    dff: int
    """inner width of the feed-forward network."""
    norm: str
    """"rms" or "layer"."""
    norm_epsilon: float
    """see `Norm`."""
    norm_shift: float
    """see `Norm`."""
    norms_after: bool
    """whether what attention and the feed-forward network add is normalised too."""
    normalize_qk: bool
    """whether each head's queries and keys are normalised before they are turned."""
    qkv_bias: bool
    """whether queries, keys and values have biases."""
    output_bias: bool
    """whether attention's last matrix has a bias."""
    feed_forward_bias: bool
    """whether the matrices of the feed-forward network have biases."""
    gated: bool
    """whether the activation of one matrix's outputs is multiplied by the outputs of another one."""
    activation: str
    """a name in ACTIVATIONS."""
    attention_scale: float
    """what products of queries and keys are multiplied by."""
    weights_dtype: str
    """precision in which weights are held. All is computed in float32."""


def dense(units: int, use_bias: bool, settings: BlockSettings, name: str) -> keras.layers.Dense:
    """A dense layer whose weights will be read from a file."""
    unset = {"kernel_initializer": Unset(), "bias_initializer": Unset()}
    return keras.layers.Dense(units, use_bias=use_bias, dtype=settings.weights_dtype, name=name, **unset)


def dense_product(layer: keras.layers.Dense, x):
    """The output of a dense layer, computed in float32 from weights of any precision."""
    return product(x, kernel=layer.kernel, dtype="float32", bias=layer.bias)


class GroupedAttention(keras.layers.Layer):
    """Causal self-attention with grouped heads, on the tokens of all texts: [B·T, D] → [B·T, D].

    Args:
        settings: of the block.
        window: how many tokens a token looks at, itself included; None for all before it.
    """

    def __init__(self, settings: BlockSettings, window: int | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.settings, self.window = settings, window

    def build(self, input_shape):
        """Makes one matrix for queries, keys and values together, one for the output, and the norms of heads."""
        s = self.settings
        joined = s.num_heads + 2 * s.num_key_value_heads
        self.qkv = dense(joined * s.key_dim, s.qkv_bias, settings=s, name="qkv")
        self.qkv.build(input_shape)
        self.output_layer = dense(s.d_model, s.output_bias, settings=s, name="output")
        self.output_layer.build((*input_shape[:-1], s.num_heads * s.key_dim))
        self.query_norm = self.key_norm = None
        if s.normalize_qk:
            norm = {"kind": "rms", "epsilon": s.norm_epsilon, "shift": s.norm_shift, "dtype": s.weights_dtype}
            self.query_norm, self.key_norm = Norm(**norm, name="query_norm"), Norm(**norm, name="key_norm")
            for layer in (self.query_norm, self.key_norm):
                layer.build((s.key_dim,))
        self.built = True

    def _project(self, x, length, angles):
        """Queries [B·S, G, T, K], times the scale, keys and values, each [B·S, T, K]; arguments as for `whole`."""
        s = self.settings
        both, shared = s.num_heads + s.num_key_value_heads, s.num_key_value_heads
        heads, values = tf.split(dense_product(self.qkv, x), [both * s.key_dim, shared * s.key_dim], axis=-1)
        heads = tf.reshape(heads, (-1, both, s.key_dim))
        if s.normalize_qk:
            scales = zip((self.query_norm, self.key_norm), (s.num_heads, shared), strict=True)
            scale = tf.concat([tf.repeat(norm.shifted_scale()[None], n, axis=0) for norm, n in scales], axis=0)
            heads = scaled_by_size(heads, scale, s.norm_epsilon)
        if angles is not None:
            heads = turned(heads, *angles)
        queries, keys = tf.split(heads, [s.num_heads, shared], axis=1)
        queries = queries * s.attention_scale
        if isinstance(length, int) and length == 1:  # no need to move anything
            queries = tf.reshape(queries, (-1, s.num_heads // shared, 1, s.key_dim))
            return queries, *(tf.reshape(one, (-1, 1, s.key_dim)) for one in (keys, values))
        queries = tf.reshape(queries, (-1, length, shared, s.num_heads // shared, s.key_dim))
        queries = tf.reshape(tf.transpose(queries, (0, 2, 3, 1, 4)), (-1, s.num_heads // shared, length, s.key_dim))
        return queries, *(self._by_head(one, length) for one in (keys, values))

    def _by_head(self, x, length):
        """Keys or values of tokens, [B·T, S·K] in any shape, as [B·S, T, K]."""
        s = self.settings
        x = tf.transpose(tf.reshape(x, (-1, length, s.num_key_value_heads, s.key_dim)), (0, 2, 1, 3))
        return tf.reshape(x, (-1, length, s.key_dim))

    def _attend(self, queries, keys, values, allowed):
        """For each query the mean of the values, weighted by how well their keys suit it.

        Args:
            queries: [B·S, G, T, K], times the scale.
            keys: [B·S, L, K].
            values: [B·S, L, K].
            allowed: bool [B·S, 1, T, L], or [1, 1, T, L]: which keys a query may look at.

        Returns:
            [B·S, G, T, K].
        """
        group, length = queries.shape[1], ops.shape(queries)[2]
        if isinstance(length, int) and length == 1:
            scores = tf.matmul(queries[:, :, 0], keys, transpose_b=True)  # [B·S, G, L]
            weights = tf.nn.softmax(tf.where(allowed[:, 0], scores, -1e9))
            return tf.matmul(weights, values)[:, :, None]
        rows = tf.reshape(queries, (-1, group * length, self.settings.key_dim))
        scores = tf.matmul(rows, keys, transpose_b=True)
        scores = tf.reshape(scores, (-1, group, length, ops.shape(keys)[1]))
        weights = tf.nn.softmax(tf.where(allowed, scores, -1e9))  # not minus infinity: filler looks at nothing
        heads = tf.matmul(tf.reshape(weights, (-1, group * length, ops.shape(keys)[1])), values)
        return tf.reshape(heads, (-1, group, length, self.settings.key_dim))

    def _join(self, heads, length):
        """heads [T, B·S, G, K] → [B·T, D]."""
        inner = self.settings.num_heads * self.settings.key_dim
        heads = tf.transpose(tf.reshape(heads, (length, -1, inner)), (1, 0, 2))
        return dense_product(self.output_layer, tf.reshape(heads, (-1, inner)))

    def whole(self, x, length, angles, first=None):
        """Attention over texts that are read from their start.

        Args:
            x: [B·T, D], the tokens of all texts.
            length: T.
            angles: what `Rotary.angles` gives; None if nothing is turned.
            first: int32 [B], the column of each text's first token; what stands before is filler. None: all begin at 0.

        Returns:
            ([B·T, D], keys and values by name, each [B·S, T, K]). Results for filler have no meaning.
        """
        queries, keys, values = self._project(x, length=length, angles=angles)
        if first is not None:
            first = tf.repeat(first, self.settings.num_key_value_heads)[:, None, None, None]

        def block(begin):
            """What the queries from `begin` on see, [T, B·S, G, K]; no key that none of them looks at is touched."""
            end = min(begin + _BLOCK, length) if isinstance(begin, int) else tf.minimum(begin + _BLOCK, length)
            low = 0
            if self.window is not None:
                low = tf.maximum(0, begin - self.window + 1) if tf.is_tensor(begin) else max(0, begin - self.window + 1)
            queries_at, keys_at = tf.range(begin, end)[:, None], tf.range(low, end)
            allowed = (keys_at <= queries_at)[None, None]
            if self.window is not None:
                allowed &= keys_at > queries_at - self.window
            if first is not None:
                allowed &= keys_at >= first
            parts = queries[:, :, begin:end], keys[:, low:end], values[:, low:end]
            return tf.transpose(self._attend(*parts, allowed), (2, 0, 1, 3))

        heads = tf.ensure_shape(_in_blocks(block, length), [None, None, queries.shape[1], queries.shape[3]])
        return self._join(heads, length), {"keys": keys, "values": values}

    def initial_cache(self, batch_size, max_length):
        """An empty cache of `max_length` slots: keys and values, each zeros [B·S, L, K]."""
        shape = (batch_size * self.settings.num_key_value_heads, max_length, self.settings.key_dim)
        return {name: ops.zeros(shape, "float32") for name in ("keys", "values")}

    def filled(self, cache, new):
        """An empty cache with the keys and values of T tokens, each [B·S, T, K], in its first slots."""
        slots = ops.shape(cache["keys"])[1]
        return {name: tf.pad(new[name], [[0, 0], [0, slots - ops.shape(new[name])[1]], [0, 0]]) for name in cache}

    def step(self, x, length, angles, cache, place, allowed):
        """Attention of the next tokens over those in the cache and themselves.

        Args:
            x: [B·T, D], the next tokens: several only where their slots are not used yet.
            length: T.
            angles: as for `whole`.
            cache: what `initial_cache` or an earlier step returned.
            place: where the tokens are written, see `place_of`.
            allowed: bool [B·S, 1, T, L], which slots a token may look at, its window considered.

        Returns:
            ([B·T, D], the cache with these tokens added).
        """
        queries, keys, values = self._project(x, length=length, angles=angles)
        keys, values = placed(cache["keys"], keys, place), placed(cache["values"], values, place)
        heads = self._attend(queries, keys=keys, values=values, allowed=allowed)
        if isinstance(length, int) and length == 1:
            inner = self.settings.num_heads * self.settings.key_dim
            y = dense_product(self.output_layer, tf.reshape(heads, (-1, inner)))
        else:
            y = self._join(tf.transpose(heads, (2, 0, 1, 3)), length)
        return y, {"keys": keys, "values": values}

    def replace_rows(self, cache, rows, other, turn):
        """The cache with some texts of another one; see `with_rows_of`."""
        return with_rows_of(other, cache, rows=rows, turn=turn, num_heads=self.settings.num_key_value_heads)


def _in_blocks(block, length):
    """block(0), block(_BLOCK) and so on, until `length` rows are there, one after the other along the first axis."""
    if isinstance(length, int):
        return tf.concat([block(begin) for begin in range(0, max(length, 1), _BLOCK)], axis=0)
    count = (length + _BLOCK - 1) // _BLOCK
    parts = tf.TensorArray(tf.float32, size=count, infer_shape=False)
    parts = tf.while_loop(
        lambda i, _: i < count,
        lambda i, parts: (i + 1, parts.write(i, block(i * _BLOCK))),
        (0, parts),
        parallel_iterations=1,
    )[1]
    return parts.concat()
