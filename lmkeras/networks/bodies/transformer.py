"""Transformers: writers of new, pre-norm decoder blocks, and readers and writers of the original post-norm blocks.

Shape letters: B batch, T tokens, D width, V vocabulary, C classes.
"""

from typing import ClassVar, Literal

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError, unknown_name
from lmkeras.layers.blocks import DecoderBlock, TransformerBlock
from lmkeras.layers.cache import rows_of, with_texts_of
from lmkeras.layers.fused import rms_norm
from lmkeras.layers.position import SinusoidalPositionEncoding
from lmkeras.networks.bodies.embedding import EmbeddingReader, EmbeddingWriter
from lmkeras.networks.contract import require_sizes
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import register_body


@register_body("transformer", "writers")
@keras.saving.register_keras_serializable("lmkeras")
class TransformerDecoder(EmbeddingWriter):
    """Embedding and causal blocks; `transformer_language_model` explains the arguments."""

    default_optimizer = "muon"
    xla_on_cpu = True  # 18.7k tokens/s with XLA, 15.3k without (4 x 128, context 64, float32)
    bfloat16_on_cpu = True
    steps_with_xla = True

    SIZES: ClassVar = {
        "d_model": 128,
        "num_heads": 4,
        "num_layers": 4,
        "dff": None,
        "context_length": 128,
        "dropout": 0.0,
        "block": "pre_norm",
        "tie_embeddings": False,
    }

    def settle_sizes(self):
        """Sets the embedding's width to d_model and, if dff is None, dff to 4 · d_model; checks the other sizes."""
        self.embedding_dim, self.dff = self.d_model, 4 * self.d_model if self.dff is None else self.dff
        require_sizes(self.dropout, context_length=self.context_length)
        if self.context_length < 2:
            raise InputError(f"context_length must be at least 2, got {self.context_length}")
        if self.block not in ("pre_norm", "post_norm"):
            raise unknown_name("block", self.block, ("pre_norm", "post_norm"))

    def build(self, input_shape):
        """Makes the blocks and builds all layers, on [B, T]."""
        self.width = self.summary_size = self.d_model
        self.positions = self.norm = None
        sizes = {"d_model": self.d_model, "num_heads": self.num_heads, "dff": self.dff, "rate": self.dropout}
        names = [f"block_{i}" for i in range(self.num_layers)]
        if self.block == "pre_norm":
            self.blocks = [DecoderBlock(**sizes, name=name) for name in names]
            self.norm = keras.layers.RMSNormalization(name="norm")
        else:
            self.blocks = [TransformerBlock(**sizes, causal=True, name=name) for name in names]
            self.positions = SinusoidalPositionEncoding(self.context_length, name="positions")
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        self.embedding.build(input_shape)
        for layer in (*self.blocks, self.positions, self.norm):
            if layer is not None:
                layer.build((*input_shape, self.d_model))
        self.built = True

    def _embed(self, ids, start=0, training=False):
        x = self.embedding(ids)
        if self.positions is not None:
            x = self.positions(x, start=start)
        return self.dropout_layer(x, training=training) if self.dropout else x

    def _normed(self, x):
        if self.norm is None:
            return x
        return rms_norm(x, self.norm.scale, epsilon=self.norm.epsilon, dtype=self.compute_dtype)

    def states(self, inputs, training=False):
        """The states [B, T, D] after every token, T <= context_length."""
        ids = inputs["input_ids"]
        if ids.shape[1] is not None and ids.shape[1] > self.context_length:
            raise InputError(f"got {ids.shape[1]} tokens: the network's context_length is {self.context_length}")
        x = self._embed(ids, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return self._normed(x)

    def initial_state(self, rows, max_length=None):
        """Empty key/value caches of max_length slots; of context_length slots if it is None.

        Returns:
            A dictionary: "positions", int32 [B], number of tokens of each row; "slots", int32 scalar, number of slots
            in use, the same for all rows (a row's tokens are in the last of them); "caches", those of the blocks.
        """
        length = self.context_length if max_length is None else max_length
        caches = [block.initial_cache(rows, length) for block in self.blocks]
        return {"positions": ops.zeros((rows,), "int32"), "slots": ops.zeros((), "int32"), "caches": caches}

    def step(self, ids, state, mask=None):
        """The states [B, T, D] of the next tokens and the new state; see `Writer.step`."""
        start, length = state["slots"], ops.shape(ids)[1]
        tokens = length if mask is None else ops.sum(ops.cast(mask, "int32"), axis=1)
        positions = state["positions"] + tokens
        x, caches = self._embed(ids, positions - length), []
        for block, cache in zip(self.blocks, state["caches"], strict=True):
            x, cache = block.step(x, cache, start=start, lengths=positions)
            caches.append(cache)
        return self._normed(x), {"positions": positions, "slots": start + length, "caches": caches}

    def replace_rows(self, state, rows, other):
        """The state with some rows of another one; see `Writer.replace_rows`."""
        return with_texts_of(state, rows, other=other, layers=self.blocks)

    def with_rows(self, state, rows):
        """The state of other rows; see `Writer.with_rows`."""
        caches = rows_of(state["caches"], rows, self.num_heads)
        return {"positions": tf.gather(state["positions"], rows), "slots": state["slots"], "caches": caches}


def transformer_language_model(
    vocabulary_size: int,
    d_model: int = 128,
    num_heads: int = 4,
    num_layers: int = 4,
    dff: int | None = None,
    context_length: int = 128,
    dropout: float = 0.0,
    block: Literal["pre_norm", "post_norm"] = "pre_norm",
    tie_embeddings: bool = False,
) -> Network:
    """Builds a causal transformer.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        d_model: width D, a multiple of num_heads.
        num_heads: attention heads of each block.
        num_layers: number of blocks.
        dff: inner width of the feed-forward networks; None for 4 D.
        context_length: the most tokens one pass looks at.
        dropout: share dropped after the embedding and in the blocks while training, in [0, 1).
        block: "pre_norm" stacks DecoderBlock (RMSNorm, rotary positions); "post_norm" stacks the original
            TransformerBlock, with sinusoidal positions and a causal mask.
        tie_embeddings: whether the embedding is also used as the last layer's matrix.

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, T, V].

    Raises:
        InputError: d_model is not a multiple of num_heads, or the block has another name.

    Example:
        >>> network = transformer_language_model(vocabulary_size=50, d_model=16, num_layers=2)
        >>> network(np.array([[0, 7, 3]])).shape
        TensorShape([1, 3, 50])
    """
    body = TransformerDecoder(
        vocabulary_size,
        d_model=d_model,
        num_heads=num_heads,
        num_layers=num_layers,
        dff=dff,
        context_length=context_length,
        dropout=dropout,
        block=block,
        tie_embeddings=tie_embeddings,
    )
    return Network(body, LanguageHead(vocabulary_size, tie_embeddings))


@register_body("transformer", "readers")
@keras.saving.register_keras_serializable("lmkeras")
class TransformerEncoder(EmbeddingReader):
    """Embedding, positions, TransformerBlocks; `transformer_classifier` explains the arguments."""

    xla_on_cpu = False  # XLA compiles anew for every length of a batch: 40 s for what takes 5 s without
    bfloat16_on_cpu = True

    SIZES: ClassVar = {"d_model": 64, "num_heads": 4, "num_layers": 1, "dff": None, "max_length": 512, "dropout": 0.1}

    def settle_sizes(self):
        """Sets the embedding's width to d_model and, if dff is None, dff to 4 · d_model."""
        self.embedding_dim, self.dff = self.d_model, 4 * self.d_model if self.dff is None else self.dff

    def build_layers(self, shape):
        """Makes positions and blocks."""
        self.positions = SinusoidalPositionEncoding(self.max_length, name="positions")
        sizes = {"d_model": self.d_model, "num_heads": self.num_heads, "dff": self.dff, "rate": self.dropout}
        self.blocks = [TransformerBlock(**sizes, name=f"block_{i}") for i in range(self.num_layers)]
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        for layer in (self.positions, *self.blocks):
            layer.build(shape)

    def states(self, inputs, training=False):
        """The last block's output for every token, [B, T, D]."""
        x = self.dropout_layer(self.positions(self.embedding(inputs["input_ids"])), training=training)
        for block in self.blocks:
            x = block(x, mask=inputs["attention_mask"], training=training)
        return x


def transformer_classifier(
    vocabulary_size: int,
    num_classes: int,
    d_model: int = 64,
    num_heads: int = 4,
    num_layers: int = 1,
    dff: int | None = None,
    max_length: int = 512,
    dropout: float = 0.1,
) -> Network:
    """Builds a classifier from TransformerBlocks.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        d_model: width D, a multiple of num_heads.
        num_heads: attention heads of each block.
        num_layers: number of blocks.
        dff: inner width of the feed-forward networks; None for 4 D.
        max_length: the most tokens one pass looks at.
        dropout: share of values dropped in training after the positions, in the blocks and before the last layer, in
            [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C], T <= max_length.

    Raises:
        InputError: d_model is not a multiple of num_heads.

    Source: the encoder of Vaswani et al. 2017, section 3.1, and the mean of its outputs.

    Example:
        >>> transformer_classifier(vocabulary_size=50, num_classes=3)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    body = TransformerEncoder(
        vocabulary_size,
        d_model=d_model,
        num_heads=num_heads,
        num_layers=num_layers,
        dff=dff,
        max_length=max_length,
        dropout=dropout,
    )
    return Network(body, ClassesHead(num_classes, dropout))
