"""The simplest classification network: the mean of the words' vectors, then dense layers.

Shape letters: B batch, T tokens, D width, C classes.
"""

import keras

from lmkeras.networks.classification import EmbeddingClassifier, masked_mean
from lmkeras.networks.language import require_sizes
from lmkeras.networks.registry import register


@keras.saving.register_keras_serializable("lmkeras")
class DenseClassifier(EmbeddingClassifier):
    """Mean of embeddings - Dense; `dense_classifier` builds one and explains the arguments."""

    default_learning_rate = 0.01  # in a mean, each word's share of the gradient is small

    def __init__(self, vocabulary_size, num_classes, embedding_dim, units, dropout, **kwargs):
        if units is not None:
            require_sizes(dropout, units=units)
        super().__init__(vocabulary_size, num_classes, embedding_dim, dropout, **kwargs)
        self.units = units
        self.hidden = None if units is None else keras.layers.Dense(units, "relu", name="hidden")

    def build_features(self, shape) -> int:
        """Builds the hidden layer, where there is one."""
        if self.hidden is None:
            return self.embedding_dim
        self.hidden.build((shape[0], self.embedding_dim))
        return self.units

    def features(self, x, mask, training):
        """The mean over the tokens, and the hidden layer of it."""
        mean = masked_mean(x, mask)
        return mean if self.hidden is None else self.hidden(mean)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "units": self.units}


@register("dense", task="classification")
def dense_classifier(
    vocabulary_size: int, num_classes: int, embedding_dim: int = 128, units: int | None = None, dropout: float = 0.5
) -> DenseClassifier:
    """Builds a classifier of the mean of a text's word vectors.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        embedding_dim: width D of the embedding.
        units: size of a hidden layer with relu between the mean and the last layer; None for no such layer.
        dropout: share of what enters the last layer dropped in training, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C].

    Source: Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification"; Iyyer et al. 2015.

    Example:
        >>> dense_classifier(vocabulary_size=50, num_classes=3)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    network = DenseClassifier(vocabulary_size, num_classes, embedding_dim, units, dropout)
    network.build((None, None))
    return network
