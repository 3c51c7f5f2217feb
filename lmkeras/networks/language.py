"""What every language network has: logits at every position, one step at a time too, and exact evaluation.

Shape letters: B batch, T tokens, D width, V vocabulary.
"""

import keras
from keras import ops

from lmkeras.errors import InputError


def require_sizes(dropout: float, **sizes: int) -> None:
    """InputError, by name, for a size below 1 or a dropout outside [0, 1)."""
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} must be at least 1, got {size}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be from 0 to below 1, got {dropout}")


class LanguageNetwork(keras.Model):
    """int32 ids [B, T] → float32 logits [B, T, V] of the token that follows each prefix.

    Id 0 at the start of a text means that nothing stands before it, so position 0 of the inputs 0, w1, w2 …
    predicts w1. As a target, 0 says that the text ends there.

    Args:
        vocabulary_size: V, id 0 included.
        embedding_dim: width D of the embedding.
        tie_embeddings: whether the embedding, transposed, is also the last layer's matrix.

    Attributes:
        context_length: the most tokens that one pass can look at; None where there is no limit.
    """

    context_length: int | None = None

    def __init__(self, vocabulary_size: int, embedding_dim: int, tie_embeddings: bool, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.tie_embeddings = tie_embeddings
        if tie_embeddings:
            # as the last layer's matrix it needs that layer's scale: logits of about unit size
            spread = keras.initializers.RandomNormal(stddev=embedding_dim**-0.5)
            self.embedding = keras.layers.ReversibleEmbedding(
                vocabulary_size, embedding_dim, embeddings_initializer=spread, name="embedding"
            )
            self.head = None
        else:
            self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim, name="embedding")
            self.head = keras.layers.Dense(vocabulary_size, name="logits")

    def to_logits(self, x):
        """The last hidden states [..., D] → float32 logits [..., V]."""
        logits = self.embedding(x, reverse=True) if self.head is None else self.head(x)
        return ops.cast(logits, "float32")

    def initial_state(self, batch_size, max_length):
        """The state before the first token, for `batch_size` texts of at most `max_length` tokens."""
        raise NotImplementedError

    def step(self, ids, state):
        """Logits of the next tokens, given the state that the tokens before them left.

        Args:
            ids: int32 [B, T], the next T tokens (1 while generating, more to read a prompt at once).
            state: what `initial_state` or an earlier step returned.

        Returns:
            (float32 logits [B, T, V], the new state); the logits are those of one full pass.
        """
        raise NotImplementedError

    def test_step(self, data):
        """Keras' evaluation step, weighted by tokens: however texts are cut into batches, the loss is the same.

        Keras weights each batch's mean by its number of rows; rows here hold different numbers of real tokens.
        """
        ids, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        logits = self(ids, training=False)
        losses = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        weights = ops.ones_like(losses) if weights is None else ops.cast(weights, losses.dtype)
        total = ops.sum(weights)
        mean = ops.sum(losses * weights) / ops.maximum(total, 1e-9)
        self._loss_tracker.update_state(mean, sample_weight=total)
        return self.compute_metrics(ids, targets, logits, sample_weight=weights)

    def get_config(self):
        """The constructor's arguments; subclasses add theirs."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "tie_embeddings": self.tie_embeddings,
        }
