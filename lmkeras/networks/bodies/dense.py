"""The simplest reader: the mean of the word vectors of a text, optionally followed by a hidden layer.

Shape letters: B batch, T tokens, D width.
"""

from typing import ClassVar

import keras

from lmkeras.networks.bodies.embedding import EmbeddingReader
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.pooling import masked_mean
from lmkeras.networks.registry import register_body


@register_body("dense", "readers")
@keras.saving.register_keras_serializable("lmkeras")
class MeanEmbedding(EmbeddingReader):
    """Embedding, mean, hidden layer; `dense_classifier` explains the arguments."""

    default_learning_rate = 0.01  # in a mean, each word's share of the gradient is small

    SIZES: ClassVar = {"embedding_dim": 128, "units": None, "dropout": 0.5}

    def build_layers(self, shape):
        """Makes the hidden layer, if `units` asks for one."""
        self.hidden = None
        if self.units is not None:
            self.hidden = keras.layers.Dense(self.units, "relu", name="hidden")
            self.hidden.build((shape[0], self.embedding_dim))
            self.summary_size = self.units

    def summary(self, inputs, training=False):
        """The mean over the tokens, passed through the hidden layer if there is one."""
        mean = masked_mean(self.states(inputs), inputs["attention_mask"])
        return mean if self.hidden is None else self.hidden(mean)


def dense_classifier(
    vocabulary_size: int, num_classes: int, embedding_dim: int = 128, units: int | None = None, dropout: float = 0.5
) -> Network:
    """Builds a classifier of the mean of a text's word vectors.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        embedding_dim: width D of the embedding.
        units: size of a hidden layer with relu between the mean and the last layer; None for no such layer.
        dropout: share of the last layer's inputs dropped in training, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C].

    Source: Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification"; Iyyer et al. 2015.

    Example:
        >>> dense_classifier(vocabulary_size=50, num_classes=3)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    body = MeanEmbedding(vocabulary_size, embedding_dim=embedding_dim, units=units, dropout=dropout)
    return Network(body, ClassesHead(num_classes, dropout))
