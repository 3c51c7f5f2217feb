"""The head of a language model: logits of the next token.

Shape letters: B batch, T tokens, D width, V vocabulary.
"""

import functools

import keras
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.fused import product
from lmkeras.layers.norm import Unset
from lmkeras.layers.vocabulary_loss import vocabulary_loss
from lmkeras.networks.contract import Head, Writer


@keras.saving.register_keras_serializable("lmkeras")
class LanguageHead(Head):
    """States [..., D] → float32 logits [..., V] of the token that follows each state.

    Args:
        vocabulary_size: V.
        tied: whether the body's embedding, transposed, is used as the last matrix.
        every_position: True gives logits after every token of a text, [B, T, V]; False only after the last, [B, V].
        use_bias: whether a matrix of its own has a bias.
        weights_dtype: precision of a matrix of its own that will be read from a file, and so has no fresh values; None
            for a fresh one, in the head's precision. Logits are computed in the head's.
        label_smoothing: share of the training loss, from 0 to below 1, that is the mean loss over all V tokens in place
            of the target's; evaluations never have it.

    Source: Vaswani et al. 2017, "Attention Is All You Need", 5.4 (label smoothing of 0.1).
    """

    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def __init__(
        self,
        vocabulary_size: int,
        tied: bool = False,
        every_position: bool = True,
        use_bias: bool = True,
        weights_dtype: str | None = None,
        label_smoothing: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing must be from 0 to below 1, got {label_smoothing}")
        self.use_bias, self.weights_dtype, self.label_smoothing = use_bias, weights_dtype, label_smoothing
        if label_smoothing:
            self.keras_loss = None  # Keras has none that is smoothed in training alone
        self.vocabulary_size, self.tied, self.every_position = vocabulary_size, tied, every_position
        self.reads = "states" if every_position else "summary"
        self.dense = None
        if not tied:
            kernel = "glorot_uniform" if weights_dtype is None else Unset()
            options = {"use_bias": use_bias, "kernel_initializer": kernel, "dtype": weights_dtype, "name": "logits"}
            self.dense = keras.layers.Dense(vocabulary_size, **options)

    def connect(self, body: Writer) -> None:
        """Lets a tied head use the body's embedding; InputError if the body was made without tie_embeddings."""
        if self.tied and not body.tie_embeddings:
            raise InputError(
                "a tied head is for a body with tie_embeddings=True, whose states have the embedding's width"
            )
        # functions, because Keras would list the embedding among the head's own weights if it were an attribute
        self._embedding = functools.partial(getattr, body, "embedding")
        self._trained_below = functools.partial(getattr, body, "trainable_variables")

    def build(self, input_shape):
        """Builds the last layer on [..., D]."""
        if self.dense is not None:
            self.dense.build(input_shape)

    def call(self, states, training=False):
        """Logits [..., V]."""
        kernel, bias = self._last_layer()
        options = {"dtype": self.compute_dtype, "bias": bias, "transpose": self.tied}
        if self.tied and len(states.shape) == 3:
            options["few_rows"] = states.shape[1] == 1  # one token of each text
        return ops.cast(product(states, kernel=kernel, **options), "float32")

    def _last_layer(self):
        return (self._embedding().embeddings, None) if self.tied else (self.dense.kernel, self.dense.bias)

    def loss(self, outputs, targets, shares):
        """The sum over the targets, int32 [B, T] (or [B]), of the cross-entropy times the target's share."""
        losses = ops.sparse_categorical_crossentropy(targets, outputs, from_logits=True)
        return ops.sum(losses * shares)

    def training_loss(self, outputs, targets, shares):
        """The same with `label_smoothing`."""
        loss = self.loss(outputs, targets, shares)
        if not self.label_smoothing:
            return loss
        of_all = ops.logsumexp(outputs, axis=-1) - ops.mean(outputs, axis=-1)
        return (1 - self.label_smoothing) * loss + self.label_smoothing * ops.sum(of_all * shares)

    def direct_loss(self, states, targets, shares, training):
        """The same value, computed without holding the logits of all tokens in memory together."""
        if self.compute_dtype == "float16":
            return None  # gradients of single logits are too small for float16 unless the loss is scaled first
        kernel, bias = self._last_layer()
        return vocabulary_loss(
            ops.reshape(states, (-1, states.shape[-1])),
            kernel,
            bias,
            targets=ops.cast(ops.reshape(targets, (-1,)), "int32"),
            weights=ops.reshape(shares, (-1,)),
            dtype=self.compute_dtype,
            transposed=self.tied,
            training=training,
            hidden_trainable=bool(self._trained_below()),
            label_smoothing=self.label_smoothing,
        )

    def get_config(self):
        """The constructor's arguments."""
        names = ("vocabulary_size", "tied", "every_position", "use_bias", "weights_dtype", "label_smoothing")
        return {name: getattr(self, name) for name in names}
