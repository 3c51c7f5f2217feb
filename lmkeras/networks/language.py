"""What every language network has: logits at every position, one step at a time too, and exact evaluation.

Shape letters: B batch, T tokens, D width, V vocabulary.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.fused import product
from lmkeras.layers.vocabulary_loss import vocabulary_loss


def require_sizes(dropout: float, **sizes: int) -> None:
    """InputError, by name, for a size that no array has or a dropout outside [0, 1)."""
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} must be at least 1, got {size}")
        if size >= 2**31:
            raise InputError(f"{name} must be less than {2**31}, got {size}")
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
        recurrent: whether the state after a text is all that is needed of the text, and of one size however long the
            text is. Scoring then carries the state from piece to piece, and generation never has to read a text anew.
        steps_with_xla: whether steps of one token were measured to be faster on a CPU when XLA compiles them.
    """

    context_length: int | None = None
    recurrent: bool = False
    steps_with_xla: bool = False

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

    def hidden(self, ids, training=False):
        """int32 ids [B, T] → the states [B, T, D] that the last layer makes logits of."""
        raise NotImplementedError

    def call(self, ids, training=False):
        """Logits [B, T, V] after every token."""
        return self.to_logits(self.hidden(ids, training))

    def to_logits(self, x):
        """The last hidden states [..., D] → float32 logits [..., V]."""
        kernel, bias = self._last_layer()
        return ops.cast(product(x, kernel, self.compute_dtype, bias, transpose=self.head is None), "float32")

    def _last_layer(self):
        return (self.embedding.embeddings, None) if self.head is None else (self.head.kernel, self.head.bias)

    def initial_state(self, rows, max_length):
        """The state before the first token, for so many texts of at most `max_length` tokens.

        Returns:
            A dictionary of tensors, nested; its "positions", int32 [B], are the tokens that each row has had so far.
        """
        raise NotImplementedError

    def step(self, ids, state, mask=None):
        """Logits of the next tokens, given the state that the tokens before them left.

        Args:
            ids: int32 [B, T], the next T tokens (1 while generating, more to read prompts at once).
            state: what `initial_state` or an earlier step returned.
            mask: bool [B, T], False for filler, which may stand only before a row's first token: texts of different
                lengths are read together by letting them end at the same place. None where all are tokens.

        Returns:
            (float32 logits [B, T, V], the new state). Each row's logits are those of one full pass over its own
            tokens; those of filler, and of a row that has had more tokens than `context_length`, mean nothing.
        """
        raise NotImplementedError

    def replace_rows(self, state, rows, other):
        """A state with some rows as another state has them; for networks with a `context_length` alone.

        Args:
            state: of B rows.
            rows: int32 [N], which of them to replace.
            other: the state of N rows that take their places, of the same max_length as `state`.

        Returns:
            A state of B rows.
        """
        raise NotImplementedError

    def train_step(self, data):
        """Keras' training step; with the harness' loss and no metrics the logits are never held together."""
        ids, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        # float16 gradients of single logits are too small but where Keras has scaled the loss before
        if weights is not None or self.compute_dtype == "float16" or not self._needs_loss_alone(ids, targets):
            return super().train_step(data)
        with tf.GradientTape() as tape:
            loss, _ = self._token_loss(ids, targets, None, training=True)
            self._loss_tracker.update_state(loss, sample_weight=ids.shape[0])
            # replicas' gradients are added up
            scaled = self.optimizer.scale_loss(loss / tf.distribute.get_strategy().num_replicas_in_sync)
        self.optimizer.apply(tape.gradient(scaled, self.trainable_variables), self.trainable_variables)
        return self.get_metrics_result()

    def test_step(self, data):
        """Keras' evaluation step, weighted by tokens: however texts are cut into batches, the loss is the same.

        Keras weights each batch's mean by its number of rows; rows here hold different numbers of real tokens.
        """
        ids, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if self._needs_loss_alone(ids, targets) and (weights is None or weights.shape == targets.shape):
            self._loss_tracker.update_state(*self._token_loss(ids, targets, weights))
            return self.get_metrics_result()
        logits = self(ids, training=False)
        losses = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
        weights = ops.ones_like(losses) if weights is None else ops.cast(weights, losses.dtype)
        total = ops.sum(weights)
        mean = ops.sum(losses * weights) / ops.maximum(total, 1e-9)
        self._loss_tracker.update_state(mean, sample_weight=total)
        return self.compute_metrics(ids, targets, logits, sample_weight=weights)

    def _needs_loss_alone(self, ids, targets) -> bool:
        """Whether nothing but the mean loss of the harness is asked for, of a known number of targets."""
        harness_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        plain = type(self.loss) is type(harness_loss) and self.loss.get_config() == harness_loss.get_config()
        known = None not in ids.shape and None not in targets.shape
        return plain and known and len(self.metrics) == 1 and not self.losses

    def _token_loss(self, ids, targets, weights, training=False):
        """The mean loss of the targets by their weights, and the sum of these."""
        x = self.hidden(ids, training)
        x = ops.reshape(x, (-1, x.shape[-1]))
        weights = ops.ones(targets.shape) if weights is None else ops.cast(weights, "float32")
        total = ops.sum(weights)
        share = ops.reshape(weights / ops.maximum(total, 1e-9), (-1,))
        kernel, bias = self._last_layer()
        targets = ops.cast(ops.reshape(targets, (-1,)), "int32")
        options = {"transposed": self.head is None, "training": training}
        return vocabulary_loss(x, kernel, bias, targets, share, self.compute_dtype, **options), total

    def get_config(self):
        """The constructor's arguments; subclasses add theirs."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "tie_embeddings": self.tie_embeddings,
        }
