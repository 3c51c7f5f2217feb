"""Readers of words and of the characters that they are made of: a vector for each word, from its spelling and context.

Shape letters: B batch, T characters, W words, D width, V vocabulary of characters.
"""

from typing import ClassVar

import keras
import tensorflow as tf
from keras import ops

from lmkeras.layers.blocks import TransformerBlock
from lmkeras.layers.position import SinusoidalPositionEncoding
from lmkeras.layers.recurrent import LSTM
from lmkeras.layers.word_features import CharacterKinds, character_kinds, spelling
from lmkeras.networks.bodies.embedding import Sized
from lmkeras.networks.contract import Body
from lmkeras.networks.registry import register_body

_LONGEST_WORD = 24  # characters that the convolution reads: the first ones


class WordReader(Sized, Body, keras.layers.Layer):
    """A word's vector is made of its spelling; subclasses add what its context says.

    Features of the spelling (the word, its lower case, its first and last letters, its shape) are hashed to vectors,
    which are summed by kind; a convolution over the word's characters stands beside them. All is computed from the ids
    of characters, so that no word is unknown.

    Source: character convolutions beside words: Ma and Hovy 2016; hashed features of words: Bojanowski et al. 2017.
    """

    default_optimizer = "adagrad"

    def __init__(self, vocabulary_size: int, **sizes):
        super().__init__(autocast=False)
        self._set_sizes(vocabulary_size, sizes)
        self.embedding = keras.layers.Embedding(self.buckets, self.embedding_dim, name="embedding")

    def build(self, input_shape):
        """Builds all layers, and what is known of the characters."""
        self.embedding.build(input_shape)
        table = {"shape": (self.vocabulary_size,), "dtype": "int32", "trainable": False}
        self.folded = self.add_weight(name="folded", initializer=_each_itself, **table)
        self.shapes = self.add_weight(name="shapes", initializer="ones", **table)
        dim = self.character_dim
        self.character_embedding = keras.layers.Embedding(self.vocabulary_size, dim, name="embeddings_of_characters")
        self.convolution = keras.layers.Conv1D(2 * dim, 3, padding="same", name="convolution")
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        self.word_dropout_layer = keras.layers.Dropout(self.word_dropout)
        self.character_embedding.build(input_shape)
        self.convolution.build((None, None, dim))
        self.build_layers((None, None, 3 * self.embedding_dim + 2 * dim))
        self.built = True

    def build_layers(self, shape):
        """Makes and builds the layers that read the words' vectors, on [B, W, D]; sets `width`."""
        raise NotImplementedError

    def begin(self, batches, tokenizer, head):
        """Learns which characters are capitals, digits and so on."""
        kinds = character_kinds(tokenizer, self.vocabulary_size)
        for table, values in zip((self.folded, self.shapes), kinds, strict=True):
            table.assign(values)
        return ""

    def word_vectors(self, inputs, training=False):
        """The vectors of words without their context, [B, W, D]."""
        ids, starts, ends = inputs["input_ids"], inputs["word_starts"], inputs["word_ends"]
        kinds = CharacterKinds(tf.convert_to_tensor(self.folded), tf.convert_to_tensor(self.shapes))
        found = spelling(ids, starts, ends=ends, kinds=kinds, affixes=self.affixes, buckets=self.buckets)
        # a word as a whole is left out now and then, so that its parts and its context learn to do without it
        words, affixes, shapes = (
            ops.sum(ops.cast(self.embedding(part), self.compute_dtype), axis=-2) for part in found
        )
        if training and self.word_dropout:
            kept = self.word_dropout_layer(ops.ones_like(words[..., :1]), training=training)
            words = words * ops.cast(kept > 0, words.dtype)
        return ops.concatenate([words, affixes, shapes, self._convolved(ids, starts, ends)], axis=-1)

    def _convolved(self, ids, starts, ends):
        """What the convolution finds in the characters of each word: its largest outputs, [B, W, 2 character_dim]."""
        at = starts[..., None] + tf.range(tf.minimum(tf.reduce_max(ends - starts), _LONGEST_WORD))
        inside = at < ends[..., None]
        characters = tf.gather(ids, tf.minimum(at, tf.shape(ids)[1] - 1), axis=1, batch_dims=1)
        x = ops.cast(self.character_embedding(characters), self.compute_dtype)
        x *= ops.cast(inside, self.compute_dtype)[..., None]
        shape = tf.shape(x)
        y = self.convolution(tf.reshape(x, [-1, shape[2], self.character_dim]))
        y = tf.reshape(y, [shape[0], shape[1], shape[2], 2 * self.character_dim])
        y = tf.where(inside[..., None], y, tf.cast(-1e4, y.dtype))
        return tf.nn.relu(tf.reduce_max(y, axis=2))


def _each_itself(shape, dtype=None):
    return ops.arange(shape[0], dtype=dtype)


@register_body("lstm", "taggers", tokenizer="characters")
@keras.saving.register_keras_serializable("lmkeras")
class RecurrentWordReader(WordReader):
    """LSTM layers in both directions over the words' vectors."""

    xla_on_gpu = False

    SIZES: ClassVar = {
        "embedding_dim": 64,
        "character_dim": 25,
        "affixes": 4,
        "buckets": 2**17,
        "units": 128,
        "num_layers": 1,
        "dropout": 0.5,
        "word_dropout": 0.1,
    }

    def build_layers(self, shape):
        """Makes the recurrent layers."""
        self.recurrent_layers, width = [], shape[-1]
        for i in range(self.num_layers):
            layers = [LSTM(self.units, return_sequences=True, name=f"{name}_{i}") for name in ("forward", "backward")]
            for layer in layers:
                layer.build((None, None, width))
            self.recurrent_layers.append(layers)
            width = 2 * self.units
        self.width = width

    def word_states(self, inputs, training=False):
        """The last layer's outputs in both directions, [B, W, 2 units]."""
        x = self.dropout_layer(self.word_vectors(inputs, training), training=training)
        lengths = tf.reduce_sum(tf.cast(inputs["word_ends"] > inputs["word_starts"], tf.int32), axis=1)
        for layers in self.recurrent_layers:
            forward, backward = layers
            if layers is not self.recurrent_layers[0]:
                x = self.dropout_layer(x, training=training)
            turned = backward(tf.reverse_sequence(x, lengths, seq_axis=1), training=training)
            x = ops.concatenate(
                [forward(x, training=training), tf.reverse_sequence(turned, lengths, seq_axis=1)], axis=-1
            )
        return x


@register_body("transformer", "taggers", tokenizer="characters")
@keras.saving.register_keras_serializable("lmkeras")
class TransformerWordReader(WordReader):
    """TransformerBlocks over the words' vectors, with the words' positions."""

    bfloat16_on_cpu = True
    max_length = 2048  # characters, and so at most as many words

    SIZES: ClassVar = {
        "embedding_dim": 64,
        "character_dim": 25,
        "affixes": 4,
        "buckets": 2**17,
        "d_model": 128,
        "num_heads": 4,
        "num_layers": 2,
        "dff": None,
        "dropout": 0.2,
        "word_dropout": 0.1,
    }

    def settle_sizes(self):
        """If dff is None, sets it to 4 · d_model."""
        self.dff = 4 * self.d_model if self.dff is None else self.dff

    def build_layers(self, shape):
        """Makes the projection to d_model, positions and blocks."""
        self.projection = keras.layers.Dense(self.d_model, name="projection")
        self.positions = SinusoidalPositionEncoding(self.max_length, name="positions")
        sizes = {"d_model": self.d_model, "num_heads": self.num_heads, "dff": self.dff, "rate": self.dropout}
        self.blocks = [TransformerBlock(**sizes, name=f"block_{i}") for i in range(self.num_layers)]
        self.projection.build(shape)
        for layer in (self.positions, *self.blocks):
            layer.build((None, None, self.d_model))
        self.width = self.d_model

    def word_states(self, inputs, training=False):
        """The last block's output for every word, [B, W, d_model]."""
        x = self.positions(self.projection(self.word_vectors(inputs, training)))
        x = self.dropout_layer(x, training=training)
        # the first place is never masked, so that softmax has something to look at where there are no words
        words = inputs["word_ends"] > inputs["word_starts"]
        mask = ops.logical_or(words, ops.arange(ops.shape(words)[1]) == 0)
        for block in self.blocks:
            x = block(x, mask=mask, training=training)
        return x
