"""The head of a multi-label classifier: a logit for each label, which is decided without regard to the others.

Shape letters: B batch, S size of the summary, C labels.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.networks.contract import Head, require_sizes


@keras.saving.register_keras_serializable("lmkeras")
class LabelsHead(Head):
    """Dropout, then Dense: the summary of a text [B, S] → float32 logits [B, C]; sigmoid makes probabilities of them.

    Args:
        num_labels: C, at least 1.
        dropout: share of the summary dropped in training, in [0, 1).
        initializer_range: standard deviation of the new matrix; values beyond two standard deviations are drawn again.
            None for Glorot and Bengio's uniform values.
    """

    def __init__(self, num_labels: int, dropout: float = 0.0, initializer_range: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if num_labels < 1:
            raise InputError(f"num_labels must be at least 1, got {num_labels}")
        require_sizes(dropout)
        self.num_labels, self.dropout, self.initializer_range = num_labels, dropout, initializer_range
        self.dropout_layer = keras.layers.Dropout(dropout)
        fresh = keras.initializers.TruncatedNormal(stddev=initializer_range) if initializer_range else "glorot_uniform"
        self.dense = keras.layers.Dense(num_labels, kernel_initializer=fresh, name="logits")

    def build(self, input_shape):
        """Builds the last layer on [B, S]."""
        self.dense.build(input_shape)

    def call(self, summary, training=False):
        """Logits [B, C]."""
        return ops.cast(self.dense(self.dropout_layer(summary, training=training)), "float32")

    def loss(self, outputs, targets, shares):
        """The sum over texts and labels of the binary cross-entropy of 0 or 1, [B, C], times the share, [B, C].

        A text's weight counts for each of its labels, so that with equal weights the loss is the mean over the labels.
        """
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=ops.cast(targets, "float32"), logits=outputs)
        return ops.sum(losses * shares)

    def get_config(self):
        """The constructor's arguments."""
        names = ("num_labels", "dropout", "initializer_range")
        return {name: getattr(self, name) for name in names}
