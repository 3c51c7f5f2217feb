"""Base classes of the bodies that begin with an embedding: one for readers and one for writers.

Shape letters: B batch, T tokens, D width.
"""

import keras

from lmkeras.networks.contract import Body, Writer, require_sizes


class EmbeddingReader(Body, keras.layers.Layer):
    """A reader that begins with an embedding; subclasses say what comes after it.

    Args:
        vocabulary_size: V, number of ids.
        embedding_dim: width of the embedding.
        dropout: share of values dropped in training, in [0, 1): before a classifier's last layer, and where the
            subclass says.
    """

    default_learning_rate = 0.001

    def __init__(self, vocabulary_size: int, embedding_dim: int, dropout: float, **kwargs):
        require_sizes(dropout, vocabulary_size=vocabulary_size, embedding_dim=embedding_dim)
        super().__init__(autocast=False, **kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")

    def build(self, input_shape):
        """Builds the embedding on [B, T] and the other layers on [B, T, D]."""
        self.embedding.build(input_shape)
        self.width = self.summary_size = self.embedding_dim  # a subclass may change these
        self.build_layers((*input_shape, self.embedding_dim))
        self.built = True

    def build_layers(self, shape) -> None:
        """Makes and builds the layers after the embedding, on [B, T, D]; may set `width` and `summary_size`."""

    def states(self, inputs, training=False):
        """The embeddings [B, T, D]."""
        return self.embedding(inputs["input_ids"])

    def call(self, inputs, training=False):
        """The states [B, T, D]."""
        return self.states(self.inputs(inputs), training)

    def get_config(self):
        """The constructor's arguments; subclasses add theirs."""
        return {name: getattr(self, name) for name in ("vocabulary_size", "embedding_dim", "dropout")}


class EmbeddingWriter(Writer, keras.layers.Layer):
    """A writer that begins with an embedding; subclasses say what comes after it.

    Args:
        vocabulary_size: V, number of ids.
        embedding_dim: D, width of the embedding.
        tie_embeddings: whether the embedding, transposed, is also the last matrix of a language model.
        dropout: share of values dropped in training, in [0, 1), where the subclass says.
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int, tie_embeddings: bool, dropout: float, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.tie_embeddings = tie_embeddings
        self.dropout = dropout
        if tie_embeddings:
            # the embedding is also the last matrix: this scale gives logits of about unit size
            spread = keras.initializers.RandomNormal(stddev=embedding_dim**-0.5)
            self.embedding = keras.layers.ReversibleEmbedding(
                vocabulary_size, embedding_dim, embeddings_initializer=spread, name="embedding"
            )
        else:
            self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")

    def summary(self, inputs, training=False):
        """The state after the last token, [B, D]."""
        return self.states(inputs, training)[:, -1]

    def call(self, inputs, training=False):
        """The states [B, T, D]."""
        return self.states(self.inputs(inputs), training)

    def get_config(self):
        """The constructor's arguments; subclasses add theirs."""
        names = ("vocabulary_size", "embedding_dim", "tie_embeddings", "dropout")
        return {name: getattr(self, name) for name in names}
