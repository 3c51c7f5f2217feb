"""What every classification network has: logits of classes, whatever the padding, and layers in groups.

Shape letters: B batch, T tokens, D width, C classes.
"""

import keras
from keras import ops

from lmkeras.errors import InputError
from lmkeras.networks.language import require_sizes


class ClassificationNetwork(keras.Model):
    """int32 ids [B, T] → float32 logits [B, C] of the classes. Id 0 is padding and never changes a text's logits.

    Args:
        num_classes: C, at least 2.

    Attributes:
        max_length: the most tokens that one pass can look at; None where there is no limit.
        takes_token_types: whether inputs may also be a dictionary of input_ids and token_type_ids, both int32 [B, T],
            the latter 1 in the second text of a pair.
    """

    max_length: int | None = None
    takes_token_types: bool = False

    def __init__(self, num_classes: int, **kwargs):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise InputError(f"num_classes must be at least 2, got {num_classes}")
        self.num_classes = num_classes

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """All layers with weights, in groups from the embedding up to the last layer: what is frozen, or learns
        slowly, begins at the bottom."""
        raise NotImplementedError


class EmbeddingClassifier(ClassificationNetwork):
    """Embedding, features of the whole text, dropout, Dense; subclasses say what the features are.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        embedding_dim: width D of the embedding.
        dropout: share of the features dropped in training, in [0, 1).
    """

    default_optimizer = "adamw"
    default_learning_rate = 0.001
    xla_on_cpu = False

    def __init__(self, vocabulary_size: int, num_classes: int, embedding_dim: int, dropout: float, **kwargs):
        require_sizes(dropout, vocabulary_size=vocabulary_size, embedding_dim=embedding_dim)
        super().__init__(num_classes, **kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")
        self.dropout_layer = keras.layers.Dropout(dropout)
        self.head = keras.layers.Dense(num_classes, name="logits")

    def build(self, input_shape):
        """Builds the layers on [B, T]."""
        self.embedding.build(input_shape)
        features = self.build_features((*input_shape, self.embedding_dim))
        self.head.build((input_shape[0], features))
        self.built = True

    def build_features(self, shape) -> int:
        """Builds what stands between embedding [B, T, D] and last layer; returns the number of features."""
        raise NotImplementedError

    def features(self, x, mask, training):
        """Embeddings [B, T, D] and bool [B, T], True for tokens, which come first → [B, features]."""
        raise NotImplementedError

    def call(self, ids, training=False):
        """Logits [B, C]."""
        ids = padding_last(ids)
        features = self.features(self.embedding(ids), ids != 0, training)
        return ops.cast(self.head(self.dropout_layer(features, training=training)), "float32")

    def layer_groups(self) -> list[list[keras.layers.Layer]]:
        """The embedding, each layer of the middle, the last layer."""
        between = [layer for layer in self.layers if layer not in (self.embedding, self.head) and layer.weights]
        return [[self.embedding], *([layer] for layer in between), [self.head]]

    def get_config(self):
        """The constructor's arguments; subclasses add theirs."""
        names = ("name", "vocabulary_size", "num_classes", "embedding_dim", "dropout")
        return {name: getattr(self, name) for name in names}


def padding_last(ids):
    """Ids [B, T] in their order, every 0 after the rest: Keras' pad_sequences puts zeros first."""
    length = ops.shape(ids)[1]
    return ops.take_along_axis(ids, ops.argsort(ops.arange(length) + length * ops.cast(ids == 0, "int32"), axis=1), 1)


def masked_mean(x, mask):
    """The mean of x [B, T, D] over the tokens where mask [B, T] is True; zeros where there are none: [B, D]."""
    weights = ops.expand_dims(ops.cast(mask, x.dtype), -1)
    return ops.sum(x * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)


def masked_max(x, mask):
    """The largest of x [B, T, D] over the tokens where mask [B, T] is True; zeros where there are none: [B, D]."""
    mask = ops.expand_dims(mask, -1)
    largest = ops.max(ops.where(mask, x, ops.cast(-1e4, x.dtype)), axis=1)
    return ops.where(ops.any(mask, axis=1), largest, ops.zeros_like(largest))
