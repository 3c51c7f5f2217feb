"""Recurrent networks: LSTM (or GRU, or simple RNN) layers between an embedding and a vocabulary or classes.

Shape letters: B batch, T tokens, D width, V vocabulary, C classes.
"""

import contextlib
import functools
from typing import Literal

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.layers.recurrent import LSTM
from lmkeras.networks.classification import EmbeddingClassifier, masked_max, masked_mean
from lmkeras.networks.language import LanguageNetwork, require_sizes
from lmkeras.networks.registry import register

_CELLS = {"lstm": LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}


@keras.saving.register_keras_serializable("lmkeras")
class RecurrentLanguageNetwork(LanguageNetwork):
    """Embedding - recurrent layers - Dense; `lstm_language_model` builds one and explains the arguments."""

    default_optimizer = "adamw"
    xla_on_cpu = False  # the loop over time: 6.2k tokens/s with XLA, 6.8k without (2 x 200, vocabulary 10,000)
    steps_with_xla = False  # 16 texts of 512 units came at 3.1k tokens/s with XLA, 3.6k without
    recurrent = True

    def __init__(
        self,
        vocabulary_size,
        embedding_dim,
        units,
        num_layers,
        dropout,
        cell,
        return_sequences,
        tie_embeddings,
        **kwargs,
    ):
        if cell not in _CELLS:
            raise unknown_name("cell", cell, _CELLS)
        sizes = {"embedding_dim": embedding_dim, "units": units, "num_layers": num_layers}
        require_sizes(dropout, vocabulary_size=vocabulary_size, **sizes)
        super().__init__(vocabulary_size, embedding_dim, tie_embeddings, **kwargs)
        self.units = units
        self.num_layers = num_layers
        self.dropout = dropout
        self.cell = cell
        self.return_sequences = return_sequences
        self.recurrent_layers = [
            _CELLS[cell](units, return_sequences=True, return_state=True, name=f"{cell}_{i}") for i in range(num_layers)
        ]
        self.dropout_layer = keras.layers.Dropout(dropout)
        # a tied last layer needs the embedding's width
        self.resize = keras.layers.Dense(embedding_dim, name="resize") if tie_embeddings else None

    @property
    def bfloat16_on_cpu(self) -> bool:
        """Whether bfloat16 products serve: an LSTM's cell states stay float32, a GRU's outputs are states too."""
        return self.cell == "lstm"

    def build(self, input_shape):
        """Builds the layers on [B, T]."""
        self.embedding.build(input_shape)
        width = self.embedding_dim
        for layer in self.recurrent_layers:
            layer.build((*input_shape, width))
            width = self.units
        if self.resize is None:
            self.head.build((*input_shape, width))
        else:
            self.resize.build((*input_shape, width))
        self.built = True

    def hidden(self, ids, training=False):
        """The states [B, T, D] after every token, or [B, D] after the last where return_sequences is False."""
        x = self.dropout_layer(self.embedding(ids), training=training)
        for layer in self.recurrent_layers:
            x = self.dropout_layer(layer(x, training=training)[0], training=training)
        return self._resized(x if self.return_sequences else x[:, -1])

    def _resized(self, x):
        return x if self.resize is None else self.resize(x)

    def initial_state(self, rows, max_length=None):
        """Zeros [B, units] for every layer's states; the length of the text does not matter."""
        zeros = ops.zeros((rows, self.units), self.compute_dtype)
        states = 2 if self.cell == "lstm" else 1  # an LSTM has an output and a cell state
        return {"positions": ops.zeros((rows,), "int32"), "layers": [[zeros] * states for _ in self.recurrent_layers]}

    def step(self, ids, state, mask=None):
        """Logits [B, T, V] of the next tokens and the new state; see `LanguageNetwork.step`."""
        x, tokens = self.embedding(ids), ops.shape(ids)[1]
        if mask is None:
            x, layers = self._recur(x, state["layers"], None)
        else:
            tokens = ops.sum(ops.cast(mask, "int32"), axis=1)
            # a recurrence that leaves filler out is slower: it serves only where there is filler
            unmasked, masked = (functools.partial(self._recur, x, state["layers"], m) for m in (None, mask))
            x, layers = tf.cond(tf.reduce_all(mask), unmasked, masked)
        return self.to_logits(self._resized(x)), {"positions": state["positions"] + tokens, "layers": layers}

    def _recur(self, x, states, mask):
        """x [B, T, D] → the last layer's outputs and every layer's new states, which filler leaves as they are."""
        new_states = []
        for layer, layer_states in zip(self.recurrent_layers, states, strict=True):
            with _without_cudnn(layer):
                x, *layer_states = layer(x, initial_state=layer_states, mask=mask)
            # an LSTM gives cell states in float32 or not, by how it ran; here a state keeps its dtype from step to step
            new_states.append([ops.cast(one, self.compute_dtype) for one in layer_states])
        return x, new_states

    def get_config(self):
        """The constructor's arguments."""
        names = ("units", "num_layers", "dropout", "cell", "return_sequences")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


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
) -> RecurrentLanguageNetwork:
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
    network = RecurrentLanguageNetwork(
        vocabulary_size, embedding_dim, units, num_layers, dropout, cell, return_sequences, tie_embeddings
    )
    network.build((None, None))
    return network


for _cell in _CELLS:
    register(_cell)(functools.partial(lstm_language_model, cell=_cell, return_sequences=True))


@keras.saving.register_keras_serializable("lmkeras")
class RecurrentClassifier(EmbeddingClassifier):
    """Embedding - LSTM layers, in one or both directions - Dense; `lstm_classifier` builds one."""

    def __init__(
        self,
        vocabulary_size,
        num_classes,
        embedding_dim,
        units,
        num_layers,
        bidirectional,
        pooling,
        dropout,
        **kwargs,
    ):
        require_sizes(dropout, units=units, num_layers=num_layers)
        if pooling not in _POOLINGS:
            raise unknown_name("pooling", pooling, _POOLINGS)
        super().__init__(vocabulary_size, num_classes, embedding_dim, dropout, **kwargs)
        self.units = units
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.directions = ["forward", "backward"] if bidirectional else ["forward"]
        self.recurrent_layers = [
            # cuDNN's kernel runs on GPUs alone, and what is exported shall run anywhere
            [LSTM(units, return_sequences=True, use_cudnn=False, name=f"{name}_{i}") for name in self.directions]
            for i in range(num_layers)
        ]

    def build_features(self, shape) -> int:
        """Builds the recurrent layers."""
        width = shape[-1]
        for layers in self.recurrent_layers:
            for layer in layers:
                layer.build((*shape[:-1], width))
            width = self.units * len(layers)
        return width

    def features(self, x, mask, training):
        """One vector a text of the last layer's outputs, each direction's beside the other's."""
        for layers in self.recurrent_layers[:-1]:
            outputs = self._outputs(x, mask, layers)
            x = ops.concatenate([outputs[0], *(_turned(back, mask) for back in outputs[1:])], axis=-1)
            x = self.dropout_layer(x, training=training)
        pool = _POOLINGS[self.pooling]
        return ops.concatenate([pool(y, mask) for y in self._outputs(x, mask, self.recurrent_layers[-1])], axis=-1)

    def _outputs(self, x, mask, layers):
        """Each direction's outputs [B, T, units] in the order in which it reads: no padding comes before a token."""
        inputs = (x, _turned(x, mask)) if self.bidirectional else (x,)
        return [layer(y) for layer, y in zip(layers, inputs, strict=True)]

    def layer_groups(self):
        """The embedding, the two directions of each layer together, the last layer."""
        return [[self.embedding], *self.recurrent_layers, [self.head]]

    def get_config(self):
        """The constructor's arguments."""
        names = ("units", "num_layers", "bidirectional", "pooling")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _turned(x, mask):
    """x [B, T, D] with the tokens of each text, which come first, in reverse; the padding stays where it is."""
    at, length = ops.arange(ops.shape(x)[1]), ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
    return ops.take_along_axis(x, ops.expand_dims(ops.where(mask, length - 1 - at, at), -1), axis=1)


def _last(x, mask):
    """x [B, T, D] at each text's last token; zeros where there is none: [B, D]."""
    following = ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
    return masked_mean(x, ops.logical_and(mask, ops.logical_not(following)))


_POOLINGS = {"last": _last, "max": masked_max, "mean": masked_mean}


@register("lstm", task="classification")
def lstm_classifier(
    vocabulary_size: int,
    num_classes: int,
    embedding_dim: int = 128,
    units: int = 64,
    num_layers: int = 1,
    bidirectional: bool = True,
    pooling: Literal["max", "mean", "last"] = "max",
    dropout: float = 0.5,
) -> RecurrentClassifier:
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
    network = RecurrentClassifier(
        vocabulary_size, num_classes, embedding_dim, units, num_layers, bidirectional, pooling, dropout
    )
    network.build((None, None))
    return network
