"""The head that fills in masked words: logits of what stood in each chosen place.

Shape letters: B batch, M chosen tokens, D width, E width of the embedding, S size of the summary, V vocabulary.
"""

import functools

import keras
from keras import ops

from lmkeras.errors import unknown_name
from lmkeras.layers.activations import ACTIVATIONS
from lmkeras.layers.fused import layer_norm, product
from lmkeras.layers.vocabulary_loss import vocabulary_loss
from lmkeras.networks.contract import Body, Head

#: the names of the targets, where there are both
WORDS, NEXT_SENTENCE = "masked_words", "next_sentence"


@keras.saving.register_keras_serializable("lmkeras")
class MaskedHead(Head):
    """States [B, M, D] → float32 logits [B, M, V]: dense, activation, norm, the body's embedding transposed, a bias.

    With `next_sentence`, outputs and targets are dictionaries: "masked_words" has these logits, and "next_sentence" has
    two logits for each text, [B, 2], from its summary: 0 for a second sentence that follows the first, 1 for another.

    Args:
        vocabulary_size: V.
        next_sentence: whether it is also asked which of the pairs of sentences follow one another.
        activation: of the dense layer, by the name in a config.json, such as "gelu".
        epsilon: number that the norm adds to variances.
        initializer_range: standard deviation of new matrices; None for Glorot and Bengio's uniform values.

    Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 3.1.
    """

    is_pretrained = True

    def __init__(
        self,
        vocabulary_size: int,
        next_sentence: bool = False,
        activation: str = "gelu",
        epsilon: float = 1e-12,
        initializer_range: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        self.vocabulary_size, self.next_sentence = vocabulary_size, next_sentence
        self.activation, self.epsilon, self.initializer_range = activation, epsilon, initializer_range
        self.reads = "chosen_states_and_summary" if next_sentence else "chosen_states"
        self.targets = (WORDS, NEXT_SENTENCE) if next_sentence else None
        self.architecture = "ForPreTraining" if next_sentence else "ForMaskedLM"

    def connect(self, body: Body) -> None:
        """Notes the embedding, whose matrix is also the last one."""
        # functions, because Keras would list the embedding among the head's own weights if it were an attribute
        self._embedding = functools.partial(getattr, body, "embedding")
        self._summary_size = functools.partial(getattr, body, "summary_size")

    def build(self, input_shape):
        """Builds the layers on [B, M, D]."""
        width = self._embedding().embeddings.shape[1]
        self.transform = self._dense(width, "transform", activation=ACTIVATIONS[self.activation])
        self.transform.build(input_shape)
        self.norm = keras.layers.LayerNormalization(epsilon=self.epsilon, name="norm")
        self.norm.build((*input_shape[:-1], width))
        self.bias = self.add_weight((self.vocabulary_size,), "zeros", name="bias")
        if self.next_sentence:
            self.next_sentence_dense = self._dense(2, "next_sentence")
            self.next_sentence_dense.build((None, self._summary_size()))

    def _dense(self, units, name, activation=None):
        spread = self.initializer_range
        fresh = keras.initializers.TruncatedNormal(stddev=spread) if spread else "glorot_uniform"
        return keras.layers.Dense(units, activation, kernel_initializer=fresh, dtype=self.dtype_policy, name=name)

    def call(self, features, training=False):
        """The logits."""
        states = features["states"] if self.next_sentence else features
        embedding = self._embedding().embeddings
        logits = product(
            self._transformed(states), kernel=embedding, dtype=self.compute_dtype, bias=self.bias, transpose=True
        )
        logits = ops.cast(logits, "float32")
        return {WORDS: logits, NEXT_SENTENCE: self._follows(features)} if self.next_sentence else logits

    def _transformed(self, states):
        x = self.transform(states)
        return layer_norm(x, self.norm.gamma, self.norm.beta, epsilon=self.epsilon, dtype=self.compute_dtype)

    def _follows(self, features):
        return ops.cast(self.next_sentence_dense(features["summary"]), "float32")

    def loss(self, outputs, targets, shares):
        """The sum over chosen tokens, int32 [B, M], of the cross-entropy times the share; and the same for pairs."""
        if not self.next_sentence:
            return _cross_entropy(outputs, targets, shares)
        return {name: _cross_entropy(outputs[name], targets[name], shares[name]) for name in self.targets}

    def direct_loss(self, features, targets, shares, training):
        """The value of `loss`, computed without holding the logits of all chosen tokens in memory together."""
        if self.compute_dtype == "float16":
            return None  # gradients of single logits are too small for float16 unless the loss is scaled first
        if not self.next_sentence:
            return self._words_loss(features, targets, shares, training=training)
        words = self._words_loss(features["states"], targets[WORDS], shares[WORDS], training=training)
        follows = _cross_entropy(self._follows(features), targets[NEXT_SENTENCE], shares[NEXT_SENTENCE])
        return {WORDS: words, NEXT_SENTENCE: follows}

    def _words_loss(self, states, targets, shares, training):
        x = self._transformed(states)
        return vocabulary_loss(
            ops.reshape(x, (-1, x.shape[-1])),
            self._embedding().embeddings,
            self.bias,
            targets=ops.cast(ops.reshape(targets, (-1,)), "int32"),
            weights=ops.reshape(shares, (-1,)),
            dtype=self.compute_dtype,
            transposed=True,
            training=training,
        )

    def get_config(self):
        """The constructor's arguments."""
        names = ("vocabulary_size", "next_sentence", "activation", "epsilon", "initializer_range")
        return {name: getattr(self, name) for name in names}


def _cross_entropy(logits, targets, shares):
    return ops.sum(ops.sparse_categorical_crossentropy(targets, logits, from_logits=True) * shares)
