"""The head of a classifier: logits of classes.

Shape letters: B batch, S size of the summary, C classes.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.networks.contract import Head, require_sizes


@keras.saving.register_keras_serializable("lmkeras")
class ClassesHead(Head):
    """Dropout, then Dense: the summary of a text [B, S] → float32 logits [B, C].

    Args:
        num_classes: C, at least 2.
        dropout: share of the summary dropped in training, in [0, 1).
        initializer_range: standard deviation of the new matrix; values beyond two standard deviations are drawn again.
            None for Glorot and Bengio's uniform values.
    """

    def __init__(self, num_classes: int, dropout: float = 0.0, initializer_range: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise InputError(f"num_classes must be at least 2, got {num_classes}")
        require_sizes(dropout)
        self.num_classes, self.dropout, self.initializer_range = num_classes, dropout, initializer_range
        self.dropout_layer = keras.layers.Dropout(dropout)
        fresh = keras.initializers.TruncatedNormal(stddev=initializer_range) if initializer_range else "glorot_uniform"
        self.dense = keras.layers.Dense(num_classes, kernel_initializer=fresh, name="logits")

    def build(self, input_shape):
        """Builds the last layer on [B, S]."""
        self.dense.build(input_shape)

    def call(self, summary, training=False):
        """Logits [B, C]."""
        return ops.cast(self.dense(self.dropout_layer(summary, training=training)), "float32")

    def loss(self, outputs, targets, shares):
        """The sum over the texts of the cross-entropy of the right class, int32 [B], times the text's share."""
        return ops.sum(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, outputs) * shares)

    def get_config(self):
        """The constructor's arguments."""
        names = ("num_classes", "dropout", "initializer_range")
        return {name: getattr(self, name) for name in names}
