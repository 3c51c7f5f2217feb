"""Blocks of the decoder of an encoder-decoder: between a block's two halves, its tokens look at the source.

Shape letters: M sources, S tokens of a source, N rows, a multiple of M, T tokens of a row, D width.
"""

import keras
from keras import ops

from lmkeras.layers.blocks import DecoderBlock, TransformerBlock
from lmkeras.layers.cross_attention import CrossAttention


class _LooksAtSources:
    """Mixin for blocks, which has `_cross_attention`, `_cross_norm` and `_cross_dropout` of its constructor.

    Call arguments:
        x: [M, T, D], tokens of targets.
        memory: [M, S, D], states of sources.
        memory_mask: bool [M, S], False for padding, which no token looks at; None if there is none.
    """

    def _look_at_sources(self, norm, **options):
        """Makes what stands between the halves; for the constructor."""
        policy = self.dtype_policy
        self._cross_attention = CrossAttention(self.num_heads, dtype=policy, name="cross_attention", **options)
        self._cross_norm, self._cross_dropout = norm, keras.layers.Dropout(self.rate, dtype=policy)

    def build(self, x_shape, memory_shape):
        """Builds all sublayers."""
        super().build(x_shape)
        self._cross_attention.build(x_shape, memory_shape)
        self._cross_norm.build(x_shape)

    def call(self, x, memory, memory_mask=None, training=False):
        """The block over whole targets: [M, T, D] → [M, T, D]."""

        def look(y):
            return self._cross_attention(y, memory, memory_mask=memory_mask)

        return self._over_targets(x, look, training)

    def source_weights(self, x, memory, memory_mask=None):
        """How much each token looks at each token of its source: float32 [M, H, T, S]; the arguments as for `call`."""
        found = []

        def look(y):
            found.append(self._cross_attention.attention_weights(y, memory, memory_mask=memory_mask))
            return y  # what follows is not needed

        self._over_targets(x, look, training=False)
        return found[0]

    def _over_targets(self, x, look, training):
        x, itself = ops.cast(x, self._residual_dtype), lambda y: self._attention(y, training=training)
        return self._apply(x, itself, training, between=lambda x: self._with_sources(x, look, training))

    def compute_mask(self, *inputs, **masks):
        """None: later layers need no mask, as padding stands behind all tokens of a target."""
        return

    def sources(self, memory):
        """What is computed once for each source, from its states [M, S, D]; see `CrossAttention.sources`."""
        return self._cross_attention.sources(memory)

    def step(self, x, cache, start, sources, mask=None):
        """The block over the next tokens of rows that have all read as many tokens.

        Args:
            x: [N, T, D]; the rows of a source stand together, in the order of the sources.
            cache: of N rows, see `SelfAttention.step`.
            start: a scalar, how many tokens were written to the cache before.
            sources: what the method of this name returned for the M sources.
            mask: bool [M, S], False for padding; None if there is none.

        Returns:
            ([N, T, D], the cache with these tokens added).
        """

        def look(y):
            return self._cross_attention.step(y, sources, mask)

        return super().step(x, cache, start=start, between=lambda x: self._with_sources(x, look, training=False))

    def _with_sources(self, x, look, training):
        return self._added(x, look, norm=self._cross_norm, rate=self._cross_dropout, training=training)

    def get_config(self):
        """The constructor's arguments."""
        config, fixed = super().get_config(), ("key_dim", "causal", "activation", "epsilon", "attention_dropout")
        return {name: value for name, value in config.items() if name not in (*fixed, "kernel_initializer")}


@keras.saving.register_keras_serializable("lmkeras")
class CrossTransformerBlock(_LooksAtSources, TransformerBlock):
    """The original, post-norm decoder block: x = norm(x + y), where y is what causal self-attention, attention to the
    source and the feed-forward network make of x, one after the other.

    Args:
        d_model: width D.
        num_heads: attention heads.
        dff: inner width of the feed-forward network.
        rate: dropout of what the three sublayers give, in [0, 1).

    Source: Vaswani et al. 2017, section 3.1.
    """

    def __init__(self, d_model: int, num_heads: int, dff: int, rate: float = 0.1, **kwargs):
        super().__init__(d_model, num_heads, dff=dff, rate=rate, causal=True, **kwargs)
        norm = keras.layers.LayerNormalization(epsilon=self.epsilon, dtype=self.dtype_policy, name="cross_norm")
        self._look_at_sources(norm)


@keras.saving.register_keras_serializable("lmkeras")
class CrossDecoderBlock(_LooksAtSources, DecoderBlock):
    """A pre-norm block: x += y, where y is what causal self-attention, attention to the source and the feed-forward
    network make of norm(x), one after the other.

    Args:
        d_model: width D.
        num_heads: attention heads.
        dff: inner width of the feed-forward network.
        rate: dropout of what the three sublayers give, in [0, 1).

    Source: that of `DecoderBlock`.
    """

    def __init__(self, d_model: int, num_heads: int, dff: int, rate: float = 0.0, **kwargs):
        super().__init__(d_model, num_heads, dff=dff, rate=rate, **kwargs)
        norm = keras.layers.RMSNormalization(dtype=self.dtype_policy, name="cross_norm")
        self._look_at_sources(norm, normalize_qk=True, use_bias=False)
