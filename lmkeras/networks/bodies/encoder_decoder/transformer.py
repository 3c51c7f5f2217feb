"""The transformer that reads a source and writes a target.

Shape letters: B batch, T tokens, D width, V vocabulary, M sources, S tokens of a source, N rows of targets.
"""

from typing import ClassVar, Literal

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.layers.blocks import DecoderBlock, TransformerBlock
from lmkeras.layers.cache import rows_of
from lmkeras.layers.cross_blocks import CrossDecoderBlock, CrossTransformerBlock
from lmkeras.layers.fused import rms_norm
from lmkeras.layers.position import SinusoidalPositionEncoding
from lmkeras.networks.bodies.encoder_decoder.base import EmbeddingEncoderDecoder
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import register_body


@register_body("transformer", "encoder_decoders")
@keras.saving.register_keras_serializable("lmkeras")
class TransformerEncoderDecoder(EmbeddingEncoderDecoder):
    """Embedding, blocks that read, and blocks that write; `transformer_encoder_decoder` explains the sizes."""

    default_optimizer = "muon"
    bfloat16_on_cpu = True

    SIZES: ClassVar = {
        "d_model": 256,
        "num_heads": 4,
        "num_layers": 3,
        "decoder_layers": None,
        "dff": None,
        "max_length": 512,
        "max_target_length": 512,
        "dropout": 0.1,
        "block": "pre_norm",
        "tie_embeddings": True,
        "source_vocabulary_size": None,
    }

    def settle_sizes(self):
        """Sets the embedding's width to d_model; dff and decoder_layers, if they are None, to what follows."""
        self.embedding_dim, self.dff = self.d_model, 4 * self.d_model if self.dff is None else self.dff
        self.decoder_layers = self.num_layers if self.decoder_layers is None else self.decoder_layers
        if self.block not in ("pre_norm", "post_norm"):
            raise unknown_name("block", self.block, ("pre_norm", "post_norm"))

    def build(self, input_shape):
        """Makes the blocks and builds all layers, on [B, T]."""
        self.width = self.summary_size = self.d_model
        sizes = {"d_model": self.d_model, "num_heads": self.num_heads, "dff": self.dff, "rate": self.dropout}
        pre_norm, shape = self.block == "pre_norm", (*input_shape, self.d_model)
        reads, writes = (DecoderBlock, CrossDecoderBlock) if pre_norm else (TransformerBlock, CrossTransformerBlock)
        self.encoder_blocks = [reads(**sizes, causal=False, name=f"encoder_block_{i}") for i in range(self.num_layers)]
        self.encoder_norm = keras.layers.RMSNormalization(name="encoder_norm") if pre_norm else None
        self.decoder_blocks = [writes(**sizes, name=f"decoder_block_{i}") for i in range(self.decoder_layers)]
        self.decoder_norm = keras.layers.RMSNormalization(name="decoder_norm") if pre_norm else None
        self.source_positions = self.target_positions = None
        if not pre_norm:
            self.source_positions = SinusoidalPositionEncoding(self.max_length, name="source_positions")
            self.target_positions = SinusoidalPositionEncoding(self.max_target_length, name="target_positions")
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        for layer in self._embeddings():
            layer.build(input_shape)
        others = self.encoder_norm, self.decoder_norm, self.source_positions, self.target_positions
        for layer in (*self.encoder_blocks, *(layer for layer in others if layer is not None)):
            layer.build(shape)
        for block in self.decoder_blocks:
            block.build(shape, shape)
        self.built = True

    def _embedded(self, x, positions, start=0, training=False):
        """Embeddings [B, T, D] with positions, if the blocks have none of their own."""
        x = x if positions is None else positions(x, start=start)
        return self.dropout_layer(x, training=training) if self.dropout else x

    def _normed(self, x, norm):
        """The last block's outputs as others read them, [B, T, D]."""
        if norm is None:
            return x
        return rms_norm(x, norm.scale, epsilon=norm.epsilon, dtype=self.compute_dtype)

    def _memory(self, inputs, training=False):
        """The states of the sources' tokens, [M, S, D], in the precision in which the decoder's blocks read them."""
        x = self._embedded(self._source_vectors(inputs), self.source_positions, training=training)
        for block in self.encoder_blocks:
            x = block(x, mask=inputs["attention_mask"], training=training)
        return ops.cast(self._normed(x, self.encoder_norm), self.compute_dtype)

    def states(self, inputs, training=False):
        """The states [B, T, D] after every token of the targets."""
        ids, memory = self._target_ids(inputs), self._memory(inputs, training)
        x = self._embedded(self.embedding(ids), self.target_positions, training=training)
        for block in self.decoder_blocks:
            x = block(x, memory, inputs["attention_mask"], training=training)
        return self._normed(x, self.decoder_norm)

    def attention_weights(self, inputs):
        """Those of every block that writes; see `EmbeddingEncoderDecoder.attention_weights`."""
        memory, mask, found = self._memory(inputs), inputs["attention_mask"], []
        x = self._embedded(self.embedding(self._target_ids(inputs)), self.target_positions)
        for block in self.decoder_blocks:
            found.append(block.source_weights(x, memory, memory_mask=mask))
            x = block(x, memory, mask)
        return found

    def begin_targets(self, inputs, max_length=None):
        """The state before the first token of the targets; see `EncoderDecoder.begin_targets`.

        Returns:
            A dictionary: "positions", int32 [M]; "slots", int32 scalar, how many tokens of each target are in the
            caches; "caches", those of the decoder's blocks, of max_length slots; "sources": what its blocks know of
            the sources, and the sources' mask.
        """
        memory = self._memory(inputs)
        length = self.max_target_length if max_length is None else max_length
        rows = ops.shape(memory)[0]
        return {
            "positions": ops.zeros((rows,), "int32"),
            "slots": ops.zeros((), "int32"),
            "caches": [block.initial_cache(rows, length) for block in self.decoder_blocks],
            "sources": {
                "blocks": [block.sources(memory) for block in self.decoder_blocks],
                "mask": inputs["attention_mask"],
            },
        }

    def step(self, ids, state):
        """The states [N, T, D] of the targets' next tokens and the new state; see `EncoderDecoder.step`."""
        start, length, sources = state["slots"], ops.shape(ids)[1], state["sources"]
        x, caches = self._embedded(self.embedding(ids), self.target_positions, start=start), []
        for block, cache, known in zip(self.decoder_blocks, state["caches"], sources["blocks"], strict=True):
            x, cache = block.step(x, cache, start=start, sources=known, mask=sources["mask"])
            caches.append(cache)
        after = {"positions": state["positions"] + length, "slots": start + length, "caches": caches}
        return self._normed(x, self.decoder_norm), {**after, "sources": sources}

    def _target_rows(self, state, rows):
        caches = rows_of(state["caches"], rows, self.num_heads)
        return {"positions": tf.gather(state["positions"], rows), "slots": state["slots"], "caches": caches}


def transformer_encoder_decoder(
    vocabulary_size: int,
    d_model: int = 256,
    num_heads: int = 4,
    num_layers: int = 3,
    decoder_layers: int | None = None,
    dff: int | None = None,
    max_length: int = 512,
    max_target_length: int = 512,
    dropout: float = 0.1,
    block: Literal["pre_norm", "post_norm"] = "pre_norm",
    tie_embeddings: bool = True,
    source_vocabulary_size: int | None = None,
) -> Network:
    """Builds a transformer that reads a source and writes a target.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        d_model: width D, a multiple of num_heads.
        num_heads: attention heads of each block.
        num_layers: number of blocks that read the source.
        decoder_layers: number of blocks that write the target; None for num_layers.
        dff: inner width of the feed-forward networks; None for 4 D.
        max_length: the most tokens of a source.
        max_target_length: the most tokens of a target.
        dropout: share dropped after the embeddings and in the blocks while training, in [0, 1).
        block: "pre_norm": RMSNorm, rotary positions; "post_norm": the original blocks, with sinusoidal positions.
        tie_embeddings: whether the embedding is also used as the last layer's matrix.
        source_vocabulary_size: number of ids of sources, if they have an embedding of their own; None: they share it.

    Returns:
        A built network: a dictionary of int32 input_ids [B, S] (the source), attention_mask [B, S] and target_ids
        [B, T] → float32 logits [B, T, V] of the target's next tokens.

    Raises:
        InputError: d_model is not a multiple of num_heads, or the block has another name.

    Source: Vaswani et al. 2017.

    Example:
        >>> network = transformer_encoder_decoder(vocabulary_size=50, d_model=16, num_layers=1)
        >>> network({"input_ids": np.array([[7, 3, 0, 0]]), "target_ids": np.array([[1, 9, 4]])}).shape
        TensorShape([1, 3, 50])
    """
    body = TransformerEncoderDecoder(
        vocabulary_size,
        d_model=d_model,
        num_heads=num_heads,
        num_layers=num_layers,
        decoder_layers=decoder_layers,
        dff=dff,
        max_length=max_length,
        max_target_length=max_target_length,
        dropout=dropout,
        block=block,
        tie_embeddings=tie_embeddings,
        source_vocabulary_size=source_vocabulary_size,
    )
    return Network(body, LanguageHead(vocabulary_size, tie_embeddings))
