"""The block that published decoders are stacked from.

Shape letters: B batch, T tokens, D width.
"""

import keras
import tensorflow as tf

from lmkeras.layers.activations import ACTIVATIONS
from lmkeras.layers.grouped_attention import BlockSettings, GroupedAttention, dense, dense_product
from lmkeras.layers.norm import Norm


class PublishedBlock(keras.layers.Layer):
    """x += attention(norm(x)); x += feed_forward(norm(x)), in float32; with `norms_after`, what is added is normed too.

    Args:
        settings: what all blocks have in common.
        window: see `GroupedAttention`.
    """

    def __init__(self, settings: BlockSettings, window: int | None = None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.settings = settings
        self.activation = keras.activations.get(ACTIVATIONS[settings.activation])
        self.attention = GroupedAttention(settings, window, name="attention")

    def build(self, input_shape):
        """Builds attention, norms and the feed-forward network on [B, T, D]."""
        s = self.settings
        self.attention.build(input_shape)
        self.attention_norm, self.feed_forward_norm = self._norm("attention_norm"), self._norm("feed_forward_norm")
        self.attention_norm_after = self.feed_forward_norm_after = None
        if s.norms_after:
            self.attention_norm_after = self._norm("attention_norm_after")
            self.feed_forward_norm_after = self._norm("feed_forward_norm_after")
        # where there is a gate, its matrix and the other one are side by side in one
        self.expand = dense((2 if s.gated else 1) * s.dff, s.feed_forward_bias, settings=s, name="expand")
        self.expand.build(input_shape)
        self.contract = dense(s.d_model, s.feed_forward_bias, settings=s, name="contract")
        self.contract.build((*input_shape[:-1], s.dff))
        self.built = True

    def _norm(self, name: str) -> Norm:
        s = self.settings
        norm = Norm(s.norm, s.norm_epsilon, s.norm_shift, dtype=s.weights_dtype, name=name)
        norm.build((s.d_model,))
        return norm

    def _rest(self, x, attended):
        """The block's output, from its input and what attention gives: all [B·T, D]."""
        s = self.settings
        x = x + (self.attention_norm_after(attended) if s.norms_after else attended)
        y = dense_product(self.expand, self.feed_forward_norm(x))
        if s.gated:
            gate, y = tf.split(y, 2, axis=-1)
            y = self.activation(gate) * y
        else:
            y = self.activation(y)
        y = dense_product(self.contract, y)
        return x + (self.feed_forward_norm_after(y) if s.norms_after else y)

    def whole(self, x, length, angles, first=None):
        """The block over texts that are read from their start; see `GroupedAttention.whole`."""
        attended, new = self.attention.whole(self.attention_norm(x), length=length, angles=angles, first=first)
        return self._rest(x, attended), new

    def step(self, x, **others):
        """The block over the next tokens; see `GroupedAttention.step`."""
        attended, cache = self.attention.step(self.attention_norm(x), **others)
        return self._rest(x, attended), cache
