"""Transformers: language networks of today's decoder blocks, and both kinds of the documents' post-norm blocks.

Shape letters: B batch, T tokens, D width, V vocabulary, C classes.
"""

from typing import Literal

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError, unknown_name
from lmkeras.layers.blocks import DecoderBlock, TransformerBlock
from lmkeras.layers.fused import rms_norm
from lmkeras.layers.position import SinusoidalPositionEncoding
from lmkeras.networks.classification import EmbeddingClassifier, masked_mean
from lmkeras.networks.language import LanguageNetwork, require_sizes
from lmkeras.networks.registry import register


@keras.saving.register_keras_serializable("lmkeras")
class TransformerLanguageNetwork(LanguageNetwork):
    """Embedding - blocks - Dense; `transformer_language_model` builds one and explains the arguments."""

    default_optimizer = "muon"
    xla_on_cpu = True  # 18.7k tokens/s with XLA, 15.3k without (4 x 128, context 64, float32)
    steps_with_xla = True
    bfloat16_on_cpu = True

    def __init__(
        self,
        vocabulary_size,
        d_model,
        num_heads,
        num_layers,
        dff,
        context_length,
        dropout,
        block,
        tie_embeddings,
        **kwargs,
    ):
        sizes = {"num_heads": num_heads, "num_layers": num_layers, "dff": dff, "context_length": context_length}
        require_sizes(dropout, vocabulary_size=vocabulary_size, d_model=d_model, **sizes)
        if context_length < 2:
            raise InputError(f"context_length must be at least 2, got {context_length}")
        super().__init__(vocabulary_size, d_model, tie_embeddings, **kwargs)
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.dff = dff
        self.context_length = context_length
        self.dropout = dropout
        self.block = block
        self.positions = self.norm = None
        names = [f"block_{i}" for i in range(num_layers)]
        if block == "pre_norm":
            self.blocks = [DecoderBlock(d_model, num_heads, dff, dropout, name=name) for name in names]
            self.norm = keras.layers.RMSNormalization(name="norm")
        elif block == "post_norm":
            self.blocks = [TransformerBlock(d_model, num_heads, dff, dropout, causal=True, name=name) for name in names]
            self.positions = SinusoidalPositionEncoding(context_length, name="positions")
        else:
            raise unknown_name("block", block, ("pre_norm", "post_norm"))
        self.dropout_layer = keras.layers.Dropout(dropout)

    def build(self, input_shape):
        """Builds the layers on [B, T]."""
        self.embedding.build(input_shape)
        hidden_shape = (*input_shape, self.embedding_dim)
        for layer in (*self.blocks, self.positions, self.norm, self.head):
            if layer is not None:
                layer.build(hidden_shape)
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

    def hidden(self, ids, training=False):
        """The states [B, T, D] after every token, T <= context_length."""
        if ids.shape[1] is not None and ids.shape[1] > self.context_length:
            raise InputError(f"got {ids.shape[1]} tokens: the network's context_length is {self.context_length}")
        x = self._embed(ids, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return self._normed(x)

    def initial_state(self, rows, max_length=None):
        """Empty key/value caches of max_length slots, context_length where it is None.

        Returns:
            "positions": int32 [B], tokens of each row; "slots": int32 scalar, how many slots of the caches, which the
            rows share, have been written (a row's tokens stand in the last of them); "caches": each block's.
        """
        length = self.context_length if max_length is None else max_length
        caches = [block.initial_cache(rows, length) for block in self.blocks]
        return {"positions": ops.zeros((rows,), "int32"), "slots": ops.zeros((), "int32"), "caches": caches}

    def step(self, ids, state, mask=None):
        """Logits [B, T, V] of the next tokens and the new state; see `LanguageNetwork.step`."""
        start, length = state["slots"], ops.shape(ids)[1]
        tokens = length if mask is None else ops.sum(ops.cast(mask, "int32"), axis=1)
        positions = state["positions"] + tokens
        x, caches = self._embed(ids, positions - length), []
        for block, cache in zip(self.blocks, state["caches"], strict=True):
            x, cache = block.step(x, cache, start, positions)
            caches.append(cache)
        return self.to_logits(self._normed(x)), {"positions": positions, "slots": start + length, "caches": caches}

    def replace_rows(self, state, rows, other):
        """The state with some rows of another one; see `LanguageNetwork.replace_rows`."""
        turn, caches = state["slots"] - other["slots"], zip(state["caches"], other["caches"], strict=True)
        return {
            "positions": tf.tensor_scatter_nd_update(state["positions"], rows[:, None], other["positions"]),
            "slots": state["slots"],
            "caches": [
                block.replace_rows(cache, rows, new, turn)
                for block, (cache, new) in zip(self.blocks, caches, strict=True)
            ],
        }

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        names = ("num_heads", "num_layers", "dff", "context_length", "dropout", "block")
        return {"d_model": config.pop("embedding_dim"), **config, **{name: getattr(self, name) for name in names}}


@register("transformer")
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
) -> TransformerLanguageNetwork:
    """Builds a causal transformer.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        d_model: width D, a multiple of num_heads.
        num_heads: attention heads of each block.
        num_layers: number of blocks.
        dff: inner width of the feed-forward networks; 4 D where it is None.
        context_length: the most tokens one pass looks at.
        dropout: share dropped after the embedding and in the blocks while training, in [0, 1).
        block: "pre_norm" stacks DecoderBlock (RMSNorm, rotary positions); "post_norm" the documents' TransformerBlock
            with sinusoidal positions and a causal mask.
        tie_embeddings: whether the embedding is also the last layer's matrix.

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, T, V].

    Raises:
        InputError: d_model is no multiple of num_heads, or the block has another name.

    Example:
        >>> network = transformer_language_model(vocabulary_size=50, d_model=16, num_layers=2)
        >>> network(np.array([[0, 7, 3]])).shape
        TensorShape([1, 3, 50])
    """
    network = TransformerLanguageNetwork(
        vocabulary_size,
        d_model,
        num_heads,
        num_layers,
        4 * d_model if dff is None else dff,
        context_length,
        dropout,
        block,
        tie_embeddings,
    )
    network.build((None, None))
    return network


@keras.saving.register_keras_serializable("lmkeras")
class TransformerClassifier(EmbeddingClassifier):
    """Embedding - positions - TransformerBlocks - mean - Dense; `transformer_classifier` builds one."""

    xla_on_cpu = False  # it compiles anew for every length that a batch may have: 40 s for what else takes 5
    bfloat16_on_cpu = True

    def __init__(
        self, vocabulary_size, num_classes, d_model, num_heads, num_layers, dff, max_length, dropout, **kwargs
    ):
        sizes = {"num_heads": num_heads, "num_layers": num_layers, "dff": dff, "max_length": max_length}
        require_sizes(dropout, d_model=d_model, **sizes)
        super().__init__(vocabulary_size, num_classes, d_model, dropout, **kwargs)
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.dff = dff
        self.max_length = max_length
        self.positions = SinusoidalPositionEncoding(max_length, name="positions")
        self.blocks = [TransformerBlock(d_model, num_heads, dff, dropout, name=f"block_{i}") for i in range(num_layers)]

    def build_features(self, shape) -> int:
        """Builds positions and blocks."""
        for layer in (self.positions, *self.blocks):
            layer.build(shape)
        return self.embedding_dim

    def features(self, x, mask, training):
        """The mean over the tokens of what the last block gives."""
        x = self.dropout_layer(self.positions(x), training=training)
        for block in self.blocks:
            x = block(x, mask=mask, training=training)
        return masked_mean(x, mask)

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        names = ("num_heads", "num_layers", "dff", "max_length")
        return {"d_model": config.pop("embedding_dim"), **config, **{name: getattr(self, name) for name in names}}


@register("transformer", task="classification")
def transformer_classifier(
    vocabulary_size: int,
    num_classes: int,
    d_model: int = 64,
    num_heads: int = 4,
    num_layers: int = 1,
    dff: int | None = None,
    max_length: int = 512,
    dropout: float = 0.1,
) -> TransformerClassifier:
    """Builds a classifier of the documents' TransformerBlocks.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        d_model: width D, a multiple of num_heads.
        num_heads: attention heads of each block.
        num_layers: number of blocks.
        dff: inner width of the feed-forward networks; 4 D where it is None.
        max_length: the most tokens one pass looks at.
        dropout: share dropped after the positions, in the blocks and before the last layer in training, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C], T <= max_length.

    Raises:
        InputError: d_model is no multiple of num_heads.

    Source: the encoder of Vaswani et al. 2017, section 3.1, and the mean of its outputs.

    Example:
        >>> transformer_classifier(vocabulary_size=50, num_classes=3)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    dff = 4 * d_model if dff is None else dff
    network = TransformerClassifier(
        vocabulary_size, num_classes, d_model, num_heads, num_layers, dff, max_length, dropout
    )
    network.build((None, None))
    return network
