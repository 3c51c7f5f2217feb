"""The head that finds a span of a text, such as the answer to a question: where it starts and where it ends.

Shape letters: B batch, T tokens, D width of a token's state.
"""

import keras
from keras import ops

from lmkeras.networks.contract import Head, require_sizes

_NEVER = -1e9  # the logit of padding: its probability is 0


@keras.saving.register_keras_serializable("lmkeras")
class SpanHead(Head):
    """Dropout, then Dense: the states of tokens [B, T, D] → float32 logits [B, T, 2] of being a span's start and end.

    The softmax over the T tokens of a text makes probabilities of the logits, once of the starts and once of the ends.

    Args:
        dropout: share of the states dropped in training, in [0, 1).
        initializer_range: standard deviation of the new matrix; values beyond two standard deviations are drawn again.
            None for Glorot and Bengio's uniform values.

    Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 4.2.
    """

    reads = "masked_states"
    architecture = "ForQuestionAnswering"

    def __init__(self, dropout: float = 0.0, initializer_range: float | None = None, **kwargs):
        super().__init__(**kwargs)
        require_sizes(dropout)
        self.dropout, self.initializer_range = dropout, initializer_range
        self.dropout_layer = keras.layers.Dropout(dropout)
        fresh = keras.initializers.TruncatedNormal(stddev=initializer_range) if initializer_range else "glorot_uniform"
        self.dense = keras.layers.Dense(2, kernel_initializer=fresh, name="logits")

    def build(self, input_shape):
        """Builds the last layer on [B, T, D]."""
        self.dense.build(input_shape)

    def call(self, features, training=False):
        """Logits [B, T, 2]; those of padding are -1e9."""
        states, mask = features
        logits = ops.cast(self.dense(self.dropout_layer(states, training=training)), "float32")
        return ops.where(ops.expand_dims(mask, -1), logits, _NEVER)

    def loss(self, outputs, targets, shares):
        """The sum of the cross-entropies of start and end, int32 [B, 2], each times its share, [B, 2].

        A text's weight counts for both, so that with equal weights the loss is the mean of both cross-entropies.
        """
        logits = ops.transpose(outputs, (0, 2, 1))
        return ops.sum(ops.sparse_categorical_crossentropy(targets, logits, from_logits=True) * shares)

    def get_config(self):
        """The constructor's arguments."""
        return {"dropout": self.dropout, "initializer_range": self.initializer_range}
