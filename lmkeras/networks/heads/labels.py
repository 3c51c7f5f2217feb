"""The head of a multi-label classifier: a logit for each label, which is decided without regard to the others.

Shape letters: B batch, S size of the summary, C labels.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.networks.heads.summary import SummaryHead


@keras.saving.register_keras_serializable("lmkeras")
class LabelsHead(SummaryHead):
    """Dropout, then Dense: the summary of a text [B, S] → float32 logits [B, C]; sigmoid makes probabilities of them.

    Args:
        num_labels: C, at least 1.
        dropout: see SummaryHead.
        initializer_range: see SummaryHead.
    """

    problem_type = "multi_label_classification"
    size_name = "num_labels"

    def __init__(self, num_labels: int, dropout: float = 0.0, initializer_range: float | None = None, **kwargs):
        super().__init__(num_labels, dropout, initializer_range, **kwargs)

    def answers(self, targets):
        """1 for labels that a text has, 0 for the others, float32 [B, C]."""
        return tf.cast(targets, tf.float32)

    def loss(self, outputs, targets, shares):
        """The sum over texts and labels of the binary cross-entropy of 0 or 1, [B, C], times the share, [B, C].

        A text's weight counts for each of its labels, so that with equal weights the loss is the mean over the labels.
        """
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=ops.cast(targets, "float32"), logits=outputs)
        return ops.sum(losses * shares)
