"""BERT as an exported model runs it: without padding, in few operations, for a CPU.

The tokens of all texts stand one behind the other, so that no product with weights is spent on padding; only attention
sees them as rows of a padded batch. Behind the last block's attention there are the first tokens alone, as nothing else
is looked at. The formulas are spelled so that TensorFlow makes one operation each of a product with its bias and its
exact GELU or its residual, and of scaled and masked scores; in other spellings they stay as many operations.

Shape letters: B batch, T tokens, N tokens of all texts, D width, H heads, K key size of one head.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from lmkeras.errors import unknown_name
from lmkeras.layers.blocks import TransformerBlock

if TYPE_CHECKING:
    from lmkeras.networks.bodies.bert.encoder import Bert

_PRECISIONS = ("float32", "bfloat16")


class PackedBert:
    """The summary of a text that a BERT gives outside training, within rounding.

    Args:
        bert: a built BERT.
        dtype: precision of the products with the blocks' matrices, "float32" or "bfloat16"; all else is float32.

    Attributes:
        weights: the variables that it reads; copies in another precision are none.

    Raises:
        InputError: another dtype.
    """

    def __init__(self, bert: "Bert", dtype: str = "float32"):
        if dtype not in _PRECISIONS:
            raise unknown_name("dtype", dtype, _PRECISIONS)
        self._bert = bert
        # as constants, which TensorFlow lays out for its products once; of float32 ones it makes nothing better
        self._copies = {}
        if dtype != "float32":
            layers = [layer for block in bert.blocks for layer in _dense_layers(block)]
            for weight in (weight for layer in layers for weight in layer.weights):
                self._copies[id(weight)] = tf.cast(weight.value, dtype).numpy()
        self.weights = [weight.value for weight in bert.weights if id(weight) not in self._copies]

    def __call__(self, inputs: tf.Tensor | Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The pooled vectors, float32 [B, D].

        Args:
            inputs: as the body takes them; at least one text and one token, or padding.
        """
        bert, inputs = self._bert, self._bert.inputs(inputs)
        ids, types = inputs["input_ids"], inputs.get("token_type_ids")
        tokens = _Tokens(inputs["attention_mask"], bert.num_attention_heads)
        numbers = {
            bert.word_embeddings: tokens.of(ids),
            bert.position_embeddings: tokens.positions,
            bert.token_type_embeddings: tf.zeros_like(tokens.positions) if types is None else tokens.of(types),
        }
        embeddings = [tf.gather(layer.embeddings.value, number) for layer, number in numbers.items()]
        x = _norm(bert.embeddings_norm, tf.add_n(embeddings))  # [N, D]
        for block in bert.blocks[:-1]:
            x = self._after_attention(block, x, tf.gather(self._attend(block, x, tokens), tokens.in_heads))
        heads = self._attend(bert.blocks[-1], x, tokens, only_first=True)
        x = self._after_attention(bert.blocks[-1], tf.gather(x, tokens.firsts), heads)  # [B, D]
        return bert.pooler(x)

    def _attend(self, block: TransformerBlock, x: tf.Tensor, tokens: "_Tokens", only_first: bool = False) -> tf.Tensor:
        """x [N, D] → what each head gives for each token of the padded batch [B H T, K], or for each text's first."""
        key_dim = block.d_model // block.num_heads
        heads = tf.reshape(tf.cast(self._dense(block._attention._qkv, x), x.dtype), [-1, key_dim])
        queries, keys, values = (tf.gather(heads, place) for place in tokens.in_queries_keys_values)  # [B, H, T, K]
        scores = tf.matmul(queries[:, :, :1] if only_first else queries, keys, transpose_b=True)
        weights = tf.nn.softmax(scores * tf.constant(key_dim**-0.5) + tokens.mask)
        return tf.reshape(tf.matmul(weights, values), [-1, key_dim])

    def _after_attention(self, block: TransformerBlock, x: tf.Tensor, heads: tf.Tensor) -> tf.Tensor:
        """x [N, D], and what the heads give for the same tokens → what the block gives, [N, D]."""
        y = tf.reshape(heads, [-1, block.d_model])
        x = _norm(block._attention_norm, tf.add_n([x, tf.cast(self._dense(block._attention._output, y), x.dtype)]))
        y = self._dense(block._contract, _activated(block, self._dense(block._expand, x)))
        return _norm(block._feed_forward_norm, tf.add_n([x, tf.cast(y, x.dtype)]))

    def _dense(self, layer: keras.layers.Dense, x: tf.Tensor) -> tf.Tensor:
        kernel, bias = (tf.convert_to_tensor(self._copies.get(id(w), w.value)) for w in (layer.kernel, layer.bias))
        return tf.nn.bias_add(tf.matmul(tf.cast(x, kernel.dtype), kernel), bias)


class _Tokens:
    """Where the tokens of all texts are: in the padded batch, and in what attention makes of it.

    Attributes:
        positions: int32 [N], the position of each in its text.
        firsts: int32 [B], where each text begins among them.
        mask: float32 [B, 1, 1, T], 0 for tokens and a large negative number for padding.
        in_queries_keys_values: three times int32 [B, H, T], a vector [K] of [N 3 H, K] each.
        in_heads: int32 [N, H], a vector [K] of [B H T, K] each.
    """

    def __init__(self, real: tf.Tensor, num_heads: int):
        length, flat = tf.shape(real)[1], tf.reshape(real, [-1])
        self._places = tf.cast(tf.where(flat)[:, 0], tf.int32)
        self.positions = self._places % length
        self.mask = tf.where(real, 0.0, -1e9)[:, None, None]
        # padding is masked: it may be whatever the token before it is
        rows = tf.reshape(tf.cumsum(tf.cast(flat, tf.int32)) - 1, tf.shape(real))  # [B, T], among the N
        self.firsts = rows[:, 0]
        parts = tf.range(3 * num_heads)[:, None]
        self.in_queries_keys_values = tf.split(rows[:, None] * (3 * num_heads) + parts, 3, axis=1)
        before = (self._places - self.positions) * num_heads + self.positions  # in the first head
        self.in_heads = before[:, None] + tf.range(num_heads) * length

    def of(self, padded: tf.Tensor) -> tf.Tensor:
        """Of a padded batch [B, T] what belongs to tokens: [N]."""
        return tf.gather(tf.reshape(padded, [-1]), self._places)


def _dense_layers(block: TransformerBlock) -> list[keras.layers.Dense]:
    return [block._attention._qkv, block._attention._output, block._expand, block._contract]


def _norm(norm: keras.layers.LayerNormalization, x: tf.Tensor) -> tf.Tensor:
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    return centred * (tf.math.rsqrt(variance + norm.epsilon) * norm.gamma.value) + norm.beta.value


def _activated(block: TransformerBlock, x: tf.Tensor) -> tf.Tensor:
    if block.activation is not keras.activations.gelu:
        return block.activation(x)
    one, half, root = (tf.constant(value, x.dtype) for value in (1.0, 0.5, math.sqrt(0.5)))
    return (tf.math.erf(x * root) + one) * (x * half)
