"""A faster form of BERT for exported models on CPUs: it does not compute padding and has few operations.

The tokens of all texts are packed into one array without padding, so that products with weights are not computed for
padding; only attention uses a padded batch. After the attention of the last block only the first token of each text is
kept, because the summary uses no other.

TensorFlow can fuse a product with its bias and with the exact GELU or the residual that follows into one operation, and
the scaling and masking of attention scores into another. It recognises only certain forms of these formulas, so keep
them as they are written here.

Shape letters: B batch, T tokens, N tokens of all texts, D width, H heads, K key size of one head.
"""

import math
from collections.abc import Mapping

import keras
import tensorflow as tf

from lmkeras.errors import unknown_name
from lmkeras.layers.blocks import TransformerBlock

_PRECISIONS = ("float32", "bfloat16")


class PackedBert:
    """The summary of a text that a BERT gives outside training, within rounding.

    Args:
        bert: a built BERT.
        dtype: precision of the products with the blocks' matrices, "float32" or "bfloat16"; all else is float32.

    Attributes:
        weights: the network's variables that are used. With "bfloat16" the blocks' matrices and biases are not among
            them, because the products use copies of them, and the copies are constants, not variables.

    Raises:
        InputError: `dtype` is neither of the two.
    """

    def __init__(self, bert: keras.Model, dtype: str = "float32"):
        if dtype not in _PRECISIONS:
            raise unknown_name("dtype", dtype, _PRECISIONS)
        self._bert = bert
        # copies are constants, because TensorFlow brings a constant into the layout of its products only once; for
        # float32 matrices this gains nothing, so these stay variables
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
        ids = inputs["input_ids"]
        tokens = _Tokens(inputs["attention_mask"], bert.num_attention_heads)
        numbers = {
            bert.word_embeddings: tokens.of(ids),
            bert.position_embeddings: tokens.positions,
        }
        if bert.takes_token_types:
            types = inputs.get("token_type_ids")
            types = tf.zeros_like(tokens.positions) if types is None else tokens.of(types)
            numbers[bert.token_type_embeddings] = types
        embeddings = [tf.gather(layer.embeddings.value, number) for layer, number in numbers.items()]
        x = _norm(bert.embeddings_norm, tf.add_n(embeddings))  # [N, D]
        for block in bert.blocks[:-1]:
            x = self._after_attention(block, x, tf.gather(self._attend(block, x, tokens), tokens.in_heads))
        heads = self._attend(bert.blocks[-1], x, tokens, only_first=True)
        x = self._after_attention(bert.blocks[-1], tf.gather(x, tokens.firsts), heads)  # [B, D]
        return bert.pooler(x)

    def _attend(self, block: TransformerBlock, x: tf.Tensor, tokens: "_Tokens", only_first: bool = False) -> tf.Tensor:
        """The outputs of all heads: x [N, D] → [B H T, K], for the padded batch; [B H, K] for first tokens only."""
        key_dim = block.d_model // block.num_heads
        heads = tf.reshape(tf.cast(self._dense(block._attention._qkv, x), x.dtype), [-1, key_dim])
        queries, keys, values = (tf.gather(heads, place) for place in tokens.in_queries_keys_values)  # [B, H, T, K]
        scores = tf.matmul(queries[:, :, :1] if only_first else queries, keys, transpose_b=True)
        weights = tf.nn.softmax(scores * tf.constant(key_dim**-0.5) + tokens.mask)
        return tf.reshape(tf.matmul(weights, values), [-1, key_dim])

    def _after_attention(self, block: TransformerBlock, x: tf.Tensor, heads: tf.Tensor) -> tf.Tensor:
        """The rest of a block: its input x [N, D] and its heads' outputs for the same tokens → its output [N, D]."""
        y = tf.reshape(heads, [-1, block.d_model])
        x = _norm(block._attention_norm, tf.add_n([x, tf.cast(self._dense(block._attention._output, y), x.dtype)]))
        y = self._dense(block._contract, _activated(block, self._dense(block._expand, x)))
        return _norm(block._feed_forward_norm, tf.add_n([x, tf.cast(y, x.dtype)]))

    def _dense(self, layer: keras.layers.Dense, x: tf.Tensor) -> tf.Tensor:
        kernel, bias = (tf.convert_to_tensor(self._copies.get(id(w), w.value)) for w in (layer.kernel, layer.bias))
        return tf.nn.bias_add(tf.matmul(tf.cast(x, kernel.dtype), kernel), bias)


class _Tokens:
    """Indices that convert between the packed tokens of all texts, the padded batch and the arrays of attention.

    Attributes:
        positions: int32 [N], the position of each token in its text.
        firsts: int32 [B], the index among the packed tokens at which each text begins.
        mask: float32 [B, 1, 1, T], 0 for tokens and a large negative number for padding.
        in_queries_keys_values: for queries, keys and values an array int32 [B, H, T] of row indices into the packed
            projections [N 3 H, K].
        in_heads: int32 [N, H], row indices into the outputs of attention [B H T, K].
    """

    def __init__(self, real: tf.Tensor, num_heads: int):
        length, flat = tf.shape(real)[1], tf.reshape(real, [-1])
        self._places = tf.cast(tf.where(flat)[:, 0], tf.int32)
        self.positions = self._places % length
        self.mask = tf.where(real, 0.0, -1e9)[:, None, None]
        # a padding position gets the index of the token before it, which does no harm, as attention masks it
        rows = tf.reshape(tf.cumsum(tf.cast(flat, tf.int32)) - 1, tf.shape(real))  # [B, T], indices of packed tokens
        self.firsts = rows[:, 0]
        parts = tf.range(3 * num_heads)[:, None]
        self.in_queries_keys_values = tf.split(rows[:, None] * (3 * num_heads) + parts, 3, axis=1)
        before = (self._places - self.positions) * num_heads + self.positions  # index in the first head's rows
        self.in_heads = before[:, None] + tf.range(num_heads) * length

    def of(self, padded: tf.Tensor) -> tf.Tensor:
        """Packs a padded batch: takes the values [B, T] at the positions of tokens: [N]."""
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
