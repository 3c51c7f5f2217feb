"""The recurrent reader: LSTM layers after an embedding, in one or both directions.

Shape letters: B batch, T tokens, D width, C classes.
"""

from typing import ClassVar, Literal

import keras
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.layers.recurrent import LSTM
from lmkeras.networks.bodies.embedding import EmbeddingReader
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.pooling import backwards, masked_max, masked_mean
from lmkeras.networks.registry import register_body


def _last(x, mask):
    """x [B, T, D] at the last token of each text, [B, D]; zeros if the text has no tokens."""
    following = ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
    return masked_mean(x, ops.logical_and(mask, ops.logical_not(following)))


_POOLINGS = {"last": _last, "max": masked_max, "mean": masked_mean}


@register_body("lstm", "readers")
@keras.saving.register_keras_serializable("lmkeras")
class RecurrentReader(EmbeddingReader):
    """Embedding and LSTM layers, in one or both directions; `lstm_classifier` explains the arguments."""

    xla_on_gpu = False

    SIZES: ClassVar = {
        "embedding_dim": 128,
        "units": 64,
        "num_layers": 1,
        "bidirectional": True,
        "pooling": "max",
        "dropout": 0.5,
    }

    def settle_sizes(self):
        """Raises InputError if there is no pooling of this name."""
        if self.pooling not in _POOLINGS:
            raise unknown_name("pooling", self.pooling, _POOLINGS)

    def build_layers(self, shape):
        """Makes the recurrent layers."""
        directions = ["forward", "backward"] if self.bidirectional else ["forward"]
        self.recurrent_layers = [
            [LSTM(self.units, return_sequences=True, name=f"{name}_{i}") for name in directions]
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
        """The last layer's outputs for every token, both directions side by side: [B, T, D]."""
        return self._beside(self._last_outputs(inputs, training), inputs["attention_mask"])

    def summary(self, inputs, training=False):
        """One vector for each text, pooled from the last layer's outputs, both directions side by side."""
        pool, mask = _POOLINGS[self.pooling], inputs["attention_mask"]
        return ops.concatenate([pool(y, mask) for y in self._last_outputs(inputs, training)], axis=-1)

    def _last_outputs(self, inputs, training):
        """The last layer's outputs [B, T, units], a tensor for each direction, in the order in which that one reads."""
        x, mask = self.embedding(inputs["input_ids"]), inputs["attention_mask"]
        for layers in self.recurrent_layers[:-1]:
            x = self.dropout_layer(
                self._beside(self._outputs(x, mask, layers=layers, training=training), mask), training=training
            )
        return self._outputs(x, mask, layers=self.recurrent_layers[-1], training=training)

    def _outputs(self, x, mask, layers, training):
        """The outputs of each direction, in the order in which it reads; in both, padding comes after all tokens."""
        inputs = (x, backwards(x, mask)) if self.bidirectional else (x,)
        return [layer(y, training=training) for layer, y in zip(layers, inputs, strict=True)]

    def _beside(self, outputs, mask):
        """Joins the outputs of the directions, each in its own reading order, in the text's order: [B, T, D]."""
        return ops.concatenate([outputs[0], *(backwards(back, mask) for back in outputs[1:])], axis=-1)

    def layer_groups(self):
        """The embedding, then the two directions of each layer together."""
        return [[self.embedding], *self.recurrent_layers]


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
        pooling: how the outputs for all tokens become one vector for the dense layer: each unit's largest output, its
            mean, or its last one in the direction of reading.
        dropout: share of values dropped in training between layers and before the dense layer, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C]. Padding is never read before a token, in either
        direction.

    Source: Hochreiter and Schmidhuber 1997; both directions: Graves and Schmidhuber 2005.

    Example:
        >>> lstm_classifier(vocabulary_size=50, num_classes=3, units=4)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    body = RecurrentReader(
        vocabulary_size,
        embedding_dim=embedding_dim,
        units=units,
        num_layers=num_layers,
        bidirectional=bidirectional,
        pooling=pooling,
        dropout=dropout,
    )
    return Network(body, ClassesHead(num_classes, dropout))
