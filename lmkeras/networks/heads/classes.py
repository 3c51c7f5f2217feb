"""The head of a classifier: logits of classes.

Shape letters: B batch, S size of the summary, C classes.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.networks.heads.summary import SummaryHead


@keras.saving.register_keras_serializable("lmkeras")
class ClassesHead(SummaryHead):
    """Dropout, then Dense: the summary of a text [B, S] → float32 logits [B, C].

    Args:
        num_classes: C, at least 2.
        dropout: see SummaryHead.
        initializer_range: see SummaryHead.
    """

    problem_type = "single_label_classification"
    size_name = "num_classes"
    least = 2

    def __init__(self, num_classes: int, dropout: float = 0.0, initializer_range: float | None = None, **kwargs):
        super().__init__(num_classes, dropout, initializer_range, **kwargs)

    def answers(self, targets):
        """1 for the right class, 0 for the others, float32 [B, C]."""
        return tf.one_hot(targets, self.num_classes)

    def loss(self, outputs, targets, shares):
        """The sum over the texts of the cross-entropy of the right class, int32 [B], times the text's share."""
        return ops.sum(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, outputs) * shares)
