"""What heads that answer with some logits for a whole text have in common.

Shape letters: B batch, S size of the summary, C logits.
"""

from typing import ClassVar

import keras
import numpy as np
from keras import ops

from lmkeras.errors import InputError
from lmkeras.networks.contract import Head, require_sizes


class SummaryHead(Head):
    """Dropout, then Dense: the summary of a text [B, S] → float32 logits [B, C]. Derived heads define the loss.

    Args:
        size: C, at least `least`.
        dropout: share of the summary dropped in training, in [0, 1).
        initializer_range: standard deviation of the new matrix; values beyond two standard deviations are drawn again.
            None for Glorot and Bengio's uniform values.

    Attributes of derived classes: `size_name`, the name of their argument C, `least`, its least value, and
    `problem_type`.
    """

    architecture = "ForSequenceClassification"
    size_name: ClassVar[str]
    least: ClassVar[int] = 1
    #: what a published config.json calls the kind of answers
    problem_type: ClassVar[str]

    def __init__(self, size: int, dropout: float = 0.0, initializer_range: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if size < self.least:
            raise InputError(f"{self.size_name} must be at least {self.least}, got {size}")
        require_sizes(dropout)
        setattr(self, self.size_name, size)
        self.dropout, self.initializer_range = dropout, initializer_range
        self.dropout_layer = keras.layers.Dropout(dropout)
        fresh = keras.initializers.TruncatedNormal(stddev=initializer_range) if initializer_range else "glorot_uniform"
        self.dense = keras.layers.Dense(size, kernel_initializer=fresh, name="logits")

    def build(self, input_shape):
        """Builds the last layer on [B, S]."""
        self.dense.build(input_shape)

    def call(self, summary, training=False):
        """Logits [B, C]."""
        return ops.cast(self.dense(self.dropout_layer(summary, training=training)), "float32")

    @property
    def num_answers(self):
        """C."""
        return getattr(self, self.size_name)

    def answer_by(self, size, scores):
        """See `Head.answer_by`."""
        kernel = np.eye(size, self.num_answers, dtype=np.float32)
        if size < self.num_answers:  # the eigenvectors of the largest eigenvalues, which numpy gives last
            kernel = np.linalg.eigh(scores.T @ scores)[1][:, -size:].T.astype(np.float32)
        self.dense.kernel.assign(np.concatenate([kernel, self.dense.kernel.numpy()[size:]]))
        return kernel

    def published_config(self, labels):
        """Dropout, the kind of answers and their names; InputError unless there is a name for each."""
        names = [f"LABEL_{i}" for i in range(self.num_answers)] if labels is None else list(labels)
        if len(names) != self.num_answers:
            raise InputError(f"expected {self.num_answers} labels, one for each class, got {len(names)}")
        named = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        return {"classifier_dropout": self.dropout, "problem_type": self.problem_type, **named}

    def get_config(self):
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in (self.size_name, "dropout", "initializer_range")}
