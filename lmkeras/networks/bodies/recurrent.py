"""Recurrent bodies: LSTM (or GRU, or simple RNN) layers after an embedding.

Shape letters: B batch, T tokens, D width, V vocabulary, C classes.
"""

import contextlib
import functools
from typing import Literal

import keras
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.layers.recurrent import LSTM
from lmkeras.networks.bodies.embedding import EmbeddingReader, EmbeddingWriter
from lmkeras.networks.contract import masked_max, masked_mean, require_sizes
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import register_body

_CELLS = {"lstm": LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}


@keras.saving.register_keras_serializable("lmkeras")
class RecurrentWriter(EmbeddingWriter):
    """Embedding and recurrent layers; `lstm_language_model` explains the arguments."""

    xla_on_cpu = False  # the loop over time: 6.2k tokens/s with XLA, 6.8k without (2 x 200, vocabulary 10,000)
    recurrent = True
    training_length = 64

    def __init__(
        self,
        vocabulary_size,
        embedding_dim: int = 256,
        units: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
        cell: Literal["lstm", "gru", "simple_rnn"] = "lstm",
        tie_embeddings: bool = False,
        **kwargs,
    ):
        if cell not in _CELLS:
            raise unknown_name("cell", cell, _CELLS)
        sizes = {"embedding_dim": embedding_dim, "units": units, "num_layers": num_layers}
        require_sizes(dropout, vocabulary_size=vocabulary_size, **sizes)
        super().__init__(vocabulary_size, embedding_dim, tie_embeddings, dropout, **kwargs)
        self.units = units
        self.num_layers = num_layers
        self.cell = cell

    @property
    def bfloat16_on_cpu(self) -> bool:
        """Whether bfloat16 products serve: an LSTM's cell states stay float32, a GRU's outputs are states too."""
        return self.cell == "lstm"

    def build(self, input_shape):
        """Makes the recurrent layers and builds all layers, on [B, T]."""
        self.recurrent_layers = [
            _CELLS[self.cell](self.units, return_sequences=True, return_state=True, name=f"{self.cell}_{i}")
            for i in range(self.num_layers)
        ]
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        # a tied last layer needs the embedding's width
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
        """Zeros for every layer; the length of the text does not matter."""
        zeros = ops.zeros((rows, self.units), self.compute_dtype)
        states = 2 if self.cell == "lstm" else 1  # an LSTM has an output and a cell state
        return [[zeros] * states for _ in self.recurrent_layers]

    def step(self, ids, state, mask=None):
        """The states [B, T, D] of the next tokens and the new state."""
        x, new_state = self.embedding(ids), []
        for layer, layer_state in zip(self.recurrent_layers, state, strict=True):
            with _without_cudnn(layer):
                x, *layer_state = layer(x, initial_state=layer_state)
            new_state.append(layer_state)
        return self._resized(x), new_state

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in ("units", "num_layers", "cell")}}


@contextlib.contextmanager
def _without_cudnn(layer: keras.layers.RNN):
    """A graph traced with cuDNN's kernel runs on GPUs alone; what is exported goes through `step` and runs anywhere."""
    if not hasattr(layer, "use_cudnn"):  # a simple recurrence has no such kernel
        yield
        return
    before, layer.use_cudnn = layer.use_cudnn, False
    try:
        yield
    finally:
        layer.use_cudnn = before


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
    """Builds the documents' Embedding - LSTM - Dense language model.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        embedding_dim: width of the embedding.
        units: size of each recurrent layer's state.
        num_layers: number of recurrent layers.
        dropout: share of the embedding's and of every layer's outputs dropped in training, in [0, 1).
        cell: the recurrence.
        return_sequences: True gives a distribution at every position, logits [B, T, V]; False gives the next word
            after the whole prefix, logits [B, V].
        tie_embeddings: whether the embedding is also the last layer's matrix.

    Returns:
        A built network, int32 ids [B, T] → float32 logits. `softmax` of the logits is the documents' output.

    Source: LSTM: Hochreiter and Schmidhuber 1997; dropout between layers: Zaremba et al. 2014.

    Example:
        >>> network = lstm_language_model(vocabulary_size=50, embedding_dim=8, units=16)
        >>> network(np.array([[0, 7, 3]])).shape
        TensorShape([1, 3, 50])
    """
    body = RecurrentWriter(vocabulary_size, embedding_dim, units, num_layers, dropout, cell, tie_embeddings)
    return Network(body, LanguageHead(vocabulary_size, tie_embeddings, every_position=return_sequences))


for _cell in _CELLS:
    register_body(_cell, "writers")(functools.partial(RecurrentWriter, cell=_cell))


def _turned(x, mask):
    """x [B, T, D] with the tokens of each text, which come first, in reverse; the padding stays where it is."""
    at, length = ops.arange(ops.shape(x)[1]), ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
    return ops.take_along_axis(x, ops.expand_dims(ops.where(mask, length - 1 - at, at), -1), axis=1)


def _last(x, mask):
    """x [B, T, D] at each text's last token; zeros where there is none: [B, D]."""
    following = ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
    return masked_mean(x, ops.logical_and(mask, ops.logical_not(following)))


_POOLINGS = {"last": _last, "max": masked_max, "mean": masked_mean}


@register_body("lstm", "readers")
@keras.saving.register_keras_serializable("lmkeras")
class RecurrentReader(EmbeddingReader):
    """Embedding and LSTM layers, in one or both directions; `lstm_classifier` explains the arguments."""

    def __init__(
        self,
        vocabulary_size,
        embedding_dim: int = 128,
        units: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        pooling: Literal["max", "mean", "last"] = "max",
        dropout: float = 0.5,
        **kwargs,
    ):
        require_sizes(dropout, units=units, num_layers=num_layers)
        if pooling not in _POOLINGS:
            raise unknown_name("pooling", pooling, _POOLINGS)
        super().__init__(vocabulary_size, embedding_dim, dropout, **kwargs)
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling

    def build_layers(self, shape):
        """Makes the recurrent layers."""
        directions = ["forward", "backward"] if self.bidirectional else ["forward"]
        self.recurrent_layers = [
            # cuDNN's kernel runs on GPUs alone, and what is exported shall run anywhere
            [LSTM(self.units, return_sequences=True, use_cudnn=False, name=f"{name}_{i}") for name in directions]
            for i in range(self.num_layers)
        ]
        self.dropout_layer = keras.layers.Dropout(self.dropout)
        width = shape[-1]
        for layers in self.recurrent_layers:
            for layer in layers:
                layer.build((*shape[:-1], width))
            width = self.units * len(layers)
        self.width = self.summary_size = width

    def states(self, inputs, training=False):
        """The last layer's outputs [B, T, D] for every token, each direction's beside the other's."""
        return self._beside(self._last_outputs(inputs, training), inputs["attention_mask"])

    def summary(self, inputs, training=False):
        """One vector a text of the last layer's outputs, each direction's beside the other's."""
        pool, mask = _POOLINGS[self.pooling], inputs["attention_mask"]
        return ops.concatenate([pool(y, mask) for y in self._last_outputs(inputs, training)], axis=-1)

    def _last_outputs(self, inputs, training):
        """Each direction's outputs [B, T, units] of the last layer, in the order in which it reads."""
        x, mask = self.embedding(inputs["input_ids"]), inputs["attention_mask"]
        for layers in self.recurrent_layers[:-1]:
            x = self.dropout_layer(self._beside(self._outputs(x, mask, layers), mask), training=training)
        return self._outputs(x, mask, self.recurrent_layers[-1])

    def _outputs(self, x, mask, layers):
        """Each direction's outputs in the order in which it reads, in which no padding comes before a token."""
        inputs = (x, _turned(x, mask)) if self.bidirectional else (x,)
        return [layer(y) for layer, y in zip(layers, inputs, strict=True)]

    def _beside(self, outputs, mask):
        """Outputs of each direction, in the order in which it reads → all in the text's order, [B, T, D]."""
        return ops.concatenate([outputs[0], *(_turned(back, mask) for back in outputs[1:])], axis=-1)

    def layer_groups(self):
        """The embedding, then the two directions of each layer together."""
        return [[self.embedding], *self.recurrent_layers]

    def get_config(self):
        """The constructor's arguments."""
        names = ("units", "num_layers", "bidirectional", "pooling")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def lstm_classifier(
    vocabulary_size: int,
    num_classes: int,
    embedding_dim: int = 128,
    units: int = 64,
    num_layers: int = 1,
    bidirectional: bool = True,
    pooling: Literal["max", "mean", "last"] = "max",
    dropout: float = 0.5,
) -> Network:
    """Builds an LSTM classifier.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        embedding_dim: width D of the embedding.
        units: size of each layer's state, in each direction.
        num_layers: number of layers.
        bidirectional: whether each layer also reads the text from its end.
        pooling: what the last layer hears of the outputs over the text: the largest of each unit, the mean, or the
            last alone.
        dropout: share dropped between layers and before the last one in training, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C]. Padding is never read before a token, in either
        direction.

    Source: Hochreiter and Schmidhuber 1997; both directions: Graves and Schmidhuber 2005.

    Example:
        >>> lstm_classifier(vocabulary_size=50, num_classes=3, units=4)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    body = RecurrentReader(vocabulary_size, embedding_dim, units, num_layers, bidirectional, pooling, dropout)
    return Network(body, ClassesHead(num_classes, dropout))
