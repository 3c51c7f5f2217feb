"""The recurrent writer: LSTM (or GRU, or simple RNN) layers after an embedding.

Shape letters: B batch, T tokens, D width, V vocabulary.
"""

import contextlib
import functools
from typing import ClassVar, Literal

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.layers.recurrent import GRU, LSTM
from lmkeras.networks.bodies.embedding import EmbeddingWriter
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import register_body
from lmkeras.training import policy

_CELLS = {"lstm": LSTM, "gru": GRU, "simple_rnn": keras.layers.SimpleRNN}


@keras.saving.register_keras_serializable("lmkeras")
class RecurrentWriter(EmbeddingWriter):
    """Embedding and recurrent layers; `lstm_language_model` explains the arguments."""

    xla_on_cpu = False  # slower for a loop over time: 6.2k tokens/s, 6.8k without XLA (2 x 200, vocabulary 10,000)
    recurrent = True
    steps_with_xla = False  # slower: 3.1k tokens/s with XLA, 3.6k without (16 texts, 512 units)
    training_length = 64
    bfloat16_on_cpu = True  # for the cells that keep their digits

    SIZES: ClassVar = {
        "embedding_dim": 256,
        "units": 128,
        "num_layers": 1,
        "dropout": 0.0,
        "cell": "lstm",
        "tie_embeddings": False,
    }

    def settle_sizes(self):
        """Raises InputError if there is no cell of this name."""
        if self.cell not in _CELLS:
            raise unknown_name("cell", self.cell, _CELLS)

    @property
    def keeps_digits(self) -> bool:
        """True for LSTMs, whose cell states stay float32; the states of the others would lose digits in bfloat16."""
        return self.cell == "lstm"

    @property
    def xla_on_gpu(self) -> bool:
        """True for the simple recurrence, for which cuDNN has no kernel here."""
        return self.cell == "simple_rnn"

    def build(self, input_shape):
        """Makes the recurrent layers and builds all layers, on [B, T]."""
        self.recurrent_layers = [
            _CELLS[self.cell](self.units, return_sequences=True, return_state=True, name=f"{self.cell}_{i}")
            for i in range(self.num_layers)
        ]
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        # a last layer that is tied to the embedding needs states of the embedding's width
        self.resize = keras.layers.Dense(self.embedding_dim, name="resize") if self.tie_embeddings else None
        self.embedding.build(input_shape)
        width = self.embedding_dim
        for layer in self.recurrent_layers:
            layer.build((*input_shape, width))
            width = self.units
        if self.resize is not None:
            self.resize.build((*input_shape, width))
        self.width = self.summary_size = self.embedding_dim if self.tie_embeddings else self.units
        self.built = True

    def states(self, inputs, training=False):
        """The states [B, T, D] after every token."""
        return self._resized(self._outputs(inputs, training))

    def summary(self, inputs, training=False):
        """The state after the last token, [B, D]."""
        return self._resized(self._outputs(inputs, training)[:, -1])

    def _outputs(self, inputs, training):
        x = self.dropout_layer(self.embedding(inputs["input_ids"]), training=training)
        for layer in self.recurrent_layers:
            x = self.dropout_layer(layer(x, training=training)[0], training=training)
        return x

    def _resized(self, x):
        return x if self.resize is None else self.resize(x)

    def initial_state(self, rows, max_length=None):
        """Zeros [B, units] for the states of every layer; max_length is not used, as states do not grow with a text."""
        zeros = ops.zeros((rows, self.units), self.compute_dtype)
        states = 2 if self.cell == "lstm" else 1  # an LSTM has an output and a cell state
        return {"positions": ops.zeros((rows,), "int32"), "layers": [[zeros] * states for _ in self.recurrent_layers]}

    def step(self, ids, state, mask=None):
        """The states [B, T, D] of the next tokens and the new state; see `Writer.step`."""
        x, tokens = self.embedding(ids), ops.shape(ids)[1]
        if mask is None:
            x, layers = self._recur(x, state["layers"], None)
        else:
            tokens = ops.sum(ops.cast(mask, "int32"), axis=1)
            # recurrent layers are slower with a mask, so they get it only if there is filler
            unmasked, masked = (functools.partial(self._recur, x, states=state["layers"], mask=m) for m in (None, mask))
            x, layers = tf.cond(tf.reduce_all(mask), unmasked, masked)
        return self._resized(x), {"positions": state["positions"] + tokens, "layers": layers}

    def _recur(self, x, states, mask):
        """x [B, T, D] → the last layer's outputs, and every layer's new states, which filler does not change."""
        new_states = []
        for layer, layer_states in zip(self.recurrent_layers, states, strict=True):
            # cuDNN takes filler after a text, here it comes before
            with contextlib.nullcontext() if mask is None else policy.without_cudnn():
                x, *layer_states = layer(x, initial_state=layer_states, mask=mask)
            # whether an LSTM's cell states are float32 depends on how it ran; a state must keep its dtype in all steps
            new_states.append([ops.cast(one, self.compute_dtype) for one in layer_states])
        return x, new_states


def lstm_language_model(
    vocabulary_size: int,
    embedding_dim: int = 256,
    units: int = 128,
    num_layers: int = 1,
    dropout: float = 0.0,
    cell: Literal["lstm", "gru", "simple_rnn"] = "lstm",
    return_sequences: bool = True,
    tie_embeddings: bool = False,
) -> Network:
    """Builds a language model of the layers Embedding, LSTM (one or several) and Dense.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        embedding_dim: width of the embedding.
        units: size of each recurrent layer's state.
        num_layers: number of recurrent layers.
        dropout: share of the embedding's and of every layer's outputs dropped in training, in [0, 1).
        cell: the kind of recurrent layer.
        return_sequences: True gives a distribution at every position, logits [B, T, V]; False gives the next word
            after the whole prefix, logits [B, V].
        tie_embeddings: whether the embedding is also used as the last layer's matrix.

    Returns:
        A built network, int32 ids [B, T] → float32 logits, whose `softmax` is the distribution of the next token.

    Source: LSTM: Hochreiter and Schmidhuber 1997; dropout between layers: Zaremba et al. 2014.

    Example:
        >>> network = lstm_language_model(vocabulary_size=50, embedding_dim=8, units=16)
        >>> network(np.array([[0, 7, 3]])).shape
        TensorShape([1, 3, 50])
    """
    body = RecurrentWriter(
        vocabulary_size,
        embedding_dim=embedding_dim,
        units=units,
        num_layers=num_layers,
        dropout=dropout,
        cell=cell,
        tie_embeddings=tie_embeddings,
    )
    return Network(body, LanguageHead(vocabulary_size, tie_embeddings, every_position=return_sequences))


for _cell in _CELLS:
    register_body(_cell, "writers")(functools.partial(RecurrentWriter, cell=_cell))
