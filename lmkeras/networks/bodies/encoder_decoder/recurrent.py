"""LSTMs that read a source in both directions and write a target, with attention to the source.

Shape letters: B batch, T tokens, D width, V vocabulary, M sources, S tokens of a source, N rows of targets.
"""

from typing import ClassVar

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.cross_attention import LuongAttention
from lmkeras.layers.recurrent import LSTM
from lmkeras.networks.bodies.encoder_decoder.base import EmbeddingEncoderDecoder
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from lmkeras.networks.pooling import backwards
from lmkeras.networks.registry import register_body


@register_body("lstm", "encoder_decoders")
@keras.saving.register_keras_serializable("lmkeras")
class RecurrentEncoderDecoder(EmbeddingEncoderDecoder):
    """Embedding, LSTMs that read, LSTMs that write, and attention; `lstm_encoder_decoder` explains the sizes."""

    recurrent = True
    xla_on_gpu = False
    bfloat16_on_cpu = True

    SIZES: ClassVar = {
        "embedding_dim": 256,
        "units": 256,
        "num_layers": 1,
        "dropout": 0.2,
        "tie_embeddings": True,
        "source_vocabulary_size": None,
    }

    def settle_sizes(self):
        """Raises InputError if the two directions cannot have half of the units each."""
        if self.units > 0 and self.units % 2:
            raise InputError(f"units must be even, as each direction of the encoder has half of them: got {self.units}")

    def build(self, input_shape):
        """Makes the layers and builds all of them, on [B, T]."""
        # a last layer that is tied to the embedding needs states of the embedding's width
        self.width = self.summary_size = self.embedding_dim if self.tie_embeddings else self.units
        layers = range(self.num_layers)
        self.encoder_layers = [
            [LSTM(self.units // 2, return_sequences=True, name=f"{name}_{i}") for name in ("forward", "backward")]
            for i in layers
        ]
        self.bridges = [keras.layers.Dense(self.units, name=f"bridge_{i}") for i in layers]
        self.decoder_layers = [
            LSTM(self.units, return_sequences=True, return_state=True, name=f"decoder_{i}") for i in layers
        ]
        self.attention = LuongAttention(self.width, name="attention")
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        for layer in self._embeddings():
            layer.build(input_shape)
        inner, shape = (*input_shape, self.embedding_dim), (*input_shape, self.units)
        for directions, bridge, layer in zip(self.encoder_layers, self.bridges, self.decoder_layers, strict=True):
            for direction in directions:
                direction.build(inner)
            bridge.build((input_shape[0], self.units))
            layer.build(inner)
            inner = shape
        self.attention.build(shape, shape)
        self.built = True

    def layer_groups(self):
        """The embeddings; the two directions of each layer that reads together; then each other layer."""
        embeddings, *others = super().layer_groups()
        reading = [id(layer) for directions in self.encoder_layers for layer in directions]
        return [embeddings, *self.encoder_layers, *(group for group in others if id(group[0]) not in reading)]

    def _read(self, inputs, training=False):
        """The states of the sources' tokens, [M, S, units], and what each LSTM that writes begins with."""
        mask, begun = inputs["attention_mask"], []
        last = ops.sum(ops.cast(mask, "int32"), axis=1) - 1
        x = self.dropout_layer(self._source_vectors(inputs), training=training)
        for (forward, backward), bridge in zip(self.encoder_layers, self.bridges, strict=True):
            read = forward(x, training=training), backward(backwards(x, mask), training=training)
            # the cell states at the last tokens are not known, as layers that tell them would have to know the mask
            ends = ops.concatenate([tf.gather(y, last, batch_dims=1) for y in read], axis=-1)
            cells = bridge(ends)
            begun.append([ops.cast(one, self.compute_dtype) for one in (ops.tanh(cells), cells)])
            x = ops.concatenate([read[0], backwards(read[1], mask)], axis=-1)
            x = self.dropout_layer(x, training=training)
        return x, begun

    def _write(self, x, states, training=False):
        """The outputs [N, T, units] of the LSTMs that write for x [N, T, …], and their new states."""
        new_states = []
        for layer, states_of_layer in zip(self.decoder_layers, states, strict=True):
            x, *after = layer(x, initial_state=states_of_layer, training=training)
            x = self.dropout_layer(x, training=training)
            # whether cell states are float32 depends on how the layer ran; a state must keep its dtype in all steps
            new_states.append([ops.cast(one, self.compute_dtype) for one in after])
        return x, new_states

    def _written(self, inputs, training=False):
        """The outputs [B, T, units] of the last LSTM that writes, and the states of the sources' tokens."""
        ids, (memory, begun) = self._target_ids(inputs), self._read(inputs, training)
        x = self.dropout_layer(self.embedding(ids), training=training)
        return self._write(x, begun, training)[0], memory

    def attention_weights(self, inputs):
        """Those of its one attention, H = 1; see `EmbeddingEncoderDecoder.attention_weights`."""
        x, memory = self._written(inputs)
        return [self.attention.attention_weights(x, memory, memory_mask=inputs["attention_mask"])]

    def states(self, inputs, training=False):
        """The states [B, T, D] after every token of the targets."""
        x, memory = self._written(inputs, training)
        y = self.attention(x, memory, memory_mask=inputs["attention_mask"])
        return self.dropout_layer(y, training=training)

    def begin_targets(self, inputs, max_length=None):
        """The state before the first token of the targets, which does not grow, so that max_length is not used.

        Returns:
            A dictionary: "positions", int32 [M]; "layers", output and cell state of each LSTM that writes;
            "sources": keys and values of the attention, and the sources' mask.
        """
        memory, begun = self._read(inputs)
        return {
            "positions": ops.zeros((ops.shape(memory)[0],), "int32"),
            "layers": begun,
            "sources": {"attention": self.attention.sources(memory), "mask": inputs["attention_mask"]},
        }

    def step(self, ids, state):
        """The states [N, T, D] of the targets' next tokens and the new state; see `EncoderDecoder.step`."""
        sources = state["sources"]
        x, layers = self._write(self.embedding(ids), state["layers"])
        y = self.attention.step(x, sources["attention"], sources["mask"])
        return y, {"positions": state["positions"] + ops.shape(ids)[1], "layers": layers, "sources": sources}


def lstm_encoder_decoder(
    vocabulary_size: int,
    embedding_dim: int = 256,
    units: int = 256,
    num_layers: int = 1,
    dropout: float = 0.2,
    tie_embeddings: bool = True,
    source_vocabulary_size: int | None = None,
) -> Network:
    """Builds LSTMs that read a source in both directions and write a target, with attention to the source.

    What the encoder's LSTMs give for the last token that each direction reads, times a matrix, is the cell state with
    which the decoder's LSTM of the same number begins; tanh of it is the output before the first token. The state of a
    token is tanh([context; output] W), where the context is what attention makes of the source; it is not fed back.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        embedding_dim: width of the embedding.
        units: size of the state of each LSTM that writes, an even number; each direction of one that reads has half.
        num_layers: number of LSTM layers that read, and of those that write.
        dropout: share of the embedding's and of every layer's outputs dropped in training, in [0, 1).
        tie_embeddings: whether the embedding is also used as the last layer's matrix.
        source_vocabulary_size: number of ids of sources, which then have an embedding of their own; None: sources and
            targets share ids and embedding.

    Returns:
        A built network: a dictionary of int32 input_ids [B, S] (the source), attention_mask [B, S] and target_ids
        [B, T] → float32 logits [B, T, V] of the target's next tokens.

    Raises:
        InputError: units is odd.

    Source: Luong et al. 2015, with both directions and the beginning of Bahdanau et al. 2015.

    Example:
        >>> network = lstm_encoder_decoder(vocabulary_size=50, embedding_dim=8, units=8)
        >>> network({"input_ids": np.array([[7, 3, 0, 0]]), "target_ids": np.array([[1, 9, 4]])}).shape
        TensorShape([1, 3, 50])
    """
    body = RecurrentEncoderDecoder(
        vocabulary_size,
        embedding_dim=embedding_dim,
        units=units,
        num_layers=num_layers,
        dropout=dropout,
        tie_embeddings=tie_embeddings,
        source_vocabulary_size=source_vocabulary_size,
    )
    return Network(body, LanguageHead(vocabulary_size, tie_embeddings))
