"""A faster form of BERT for exported models on CPUs: it does not compute padding and has few operations.

The tokens of all texts are packed into one array without padding, so that products with weights are not computed for
padding; only attention uses a padded batch. For the summary, only the first token of each text is kept after the
attention of the last block, because it uses no other.

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
from lmkeras.networks.contract import Body
from lmkeras.networks.pooling import chosen

_PRECISIONS = ("float32", "bfloat16")


class PackedBert(Body):
    """What a BERT gives the head of its network outside training, within rounding.

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

    def inputs(self, inputs):
        """Those of the BERT; there must be at least one text and one token, or padding."""
        return self._bert.inputs(inputs)

    def summary(self, inputs, training=False):
        """The pooled vectors, float32 [B, D]."""
        tokens, x = self._begin(inputs)
        last = self._bert.blocks[-1]
        heads = self._attend(last, x, tokens, only_first=True)
        return self._bert.pooler(self._after_attention(last, tf.gather(x, tokens.firsts), heads))  # [B, D]

    def states(self, inputs, training=False):
        """The last block's output for every token, float32 [B, T, D]; padding has that of the token before it."""
        tokens, x = self._begin(inputs)
        return tf.gather(self._block(self._bert.blocks[-1], x, tokens), tokens.rows)

    def chosen_states_and_summary(self, inputs, training=False):
        """See `Body`; both are from one pass."""
        states = self.states(inputs)
        return {"states": chosen(states, inputs), "summary": self._bert.pooler(states[:, 0])}

    def _begin(self, inputs: Mapping[str, tf.Tensor]) -> tuple["_Tokens", tf.Tensor]:
        """The indices of the tokens, and what the last block reads, [N, D]."""
        bert = self._bert
        tokens = _Tokens(inputs["attention_mask"], bert.num_attention_heads)
        ids = inputs["input_ids"]
        numbers = {
            bert.word_embeddings: tokens.of(ids),
            bert.position_embeddings: tokens.positions if bert.pad_token_id is None else tokens.of(bert.positions(ids)),
        }
        if bert.family.has_token_types:
            types = inputs.get("token_type_ids")
            types = tf.zeros_like(tokens.positions) if types is None else tokens.of(types)
            numbers[bert.token_type_embeddings] = types
        embeddings = [tf.gather(layer.embeddings.value, number) for layer, number in numbers.items()]
        x = _norm(bert.embeddings_norm, tf.add_n(embeddings))
        for block in bert.blocks[:-1]:
            x = self._block(block, x, tokens)
        return tokens, x

    def _block(self, block: TransformerBlock, x: tf.Tensor, tokens: "_Tokens") -> tf.Tensor:
        """A block's output for all tokens, [N, D]."""
        return self._after_attention(block, x, tf.gather(self._attend(block, x, tokens), tokens.in_heads))

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
        rows: int32 [B, T], the index of each token among the packed ones; padding has that of the token before it.
        firsts: int32 [B], the index at which each text begins.
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
        # that padding has the index of a token does no harm, as attention masks it
        self.rows = tf.reshape(tf.cumsum(tf.cast(flat, tf.int32)) - 1, tf.shape(real))
        self.firsts = self.rows[:, 0]
        parts = tf.range(3 * num_heads)[:, None]
        self.in_queries_keys_values = tf.split(self.rows[:, None] * (3 * num_heads) + parts, 3, axis=1)
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
