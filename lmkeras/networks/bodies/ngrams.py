"""The reader of n-grams: a vector for each n-gram of characters and of words, summed; for few examples and fast.

Shape letters: B batch, T tokens, D width, V vocabulary, C labels.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.ngrams import ALONE, Grams, kinds_of, token_grams, word_grams, words_of
from lmkeras.networks.bodies.embedding import Sized
from lmkeras.networks.contract import Body, Head, require_sizes
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import register_body
from lmkeras.tokenizers.base import BaseTokenizer

_MOST_LABELS = 64  # the width of the vectors is the number of labels, but not more than this
_BEGIN = 0.3  # how much of the naive-Bayes ratios the first scores are: n-grams overlap, so all of them say too much


@register_body("ngrams", "readers", tokenizer="characters")
@keras.saving.register_keras_serializable("lmkeras")
class NGrams(Sized, Body, keras.layers.Layer):
    """The sum of the vectors of a text's n-grams; `ngram_classifier` explains the arguments."""

    default_optimizer = "adagrad"
    default_learning_rate = 1.0
    max_length = 100_000  # tokens, which are characters
    xla_on_gpu = False
    keeps_digits = False  # a text has thousands of n-grams, whose vectors and number are summed

    SIZES: ClassVar = {
        "widths": (2, 3, 4, 5),
        "word_widths": (1, 2),
        "buckets": 2**18,
        "num_labels": 2,
        "gram_dropout": 0.5,
        "smoothing": 1.0,
        "dropout": 0.0,
    }

    def __init__(self, vocabulary_size: int, **sizes):
        super().__init__(autocast=False)
        self._set_sizes(vocabulary_size, sizes)
        self.embedding_dim = min(self.num_labels, _MOST_LABELS)
        self.embedding = keras.layers.Embedding(
            self.buckets, self.embedding_dim, embeddings_initializer="zeros", name="embedding"
        )

    def settle_sizes(self):
        """Makes the widths lists; raises InputError where they are no widths."""
        for name in ("widths", "word_widths"):
            widths = getattr(self, name)
            if (
                not isinstance(widths, Sequence)
                or isinstance(widths, str)
                or any(not hasattr(width, "__index__") or width < 1 for width in widths)
            ):
                raise InputError(f"{name} must be lengths of n-grams, such as (1, 2), got {widths!r}")
            setattr(self, name, sorted(set(widths)))
        require_sizes(self.gram_dropout)
        if not self.smoothing > 0:
            raise InputError(f"smoothing must be more than 0, got {self.smoothing}")
        if not self.widths and not self.word_widths:
            raise InputError("widths and word_widths are both empty: one of them must say which n-grams are read")

    def build(self, input_shape):
        """Builds the vectors of n-grams, and what is known of the tokens."""
        self.embedding.build(input_shape)
        self.gram_dropout_layer = keras.layers.Dropout(self.gram_dropout)
        self.width = self.summary_size = self.embedding_dim
        table = {"shape": (self.vocabulary_size,), "dtype": "int32", "trainable": False}
        self.folded = self.add_weight(name="folded", initializer=_each_itself, **table)
        self.roles = self.add_weight(name="roles", initializer=keras.initializers.Constant(ALONE), **table)
        self.built = True

    def grams(self, inputs) -> list[Grams]:
        """The n-grams of tokens and those of words, whichever have widths; `inputs` are those of `states`."""
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        folded, found = tf.gather(self.folded, ids), []
        if self.widths:
            found.append(token_grams(folded, mask, self.widths, buckets=self.buckets))
        if self.word_widths:
            words = words_of(folded, tf.gather(self.roles, ids), mask)
            found.append(word_grams(words, self.word_widths, self.buckets))
        return found

    def states(self, inputs, training=False):
        """What the n-grams that begin at each token add to the summary, [B, T, D]."""
        return sum(self._scaled(grams, training) for grams in self.grams(inputs))

    def summary(self, inputs, training=False):
        """The sum of all n-grams' vectors, those of each kind divided by the square root of their number, [B, D]."""
        return ops.sum(self.states(inputs, training), axis=1)

    def _scaled(self, grams: Grams, training):
        """The vectors of the n-grams that begin at each place, added up and scaled, [B, T, D]."""
        real = ops.cast(grams.real, self.compute_dtype)
        number = ops.maximum(ops.sum(real, axis=(1, 2), keepdims=True), 1)
        found = 0
        for i in range(grams.ids.shape[-1]):  # one width after the other, as all together would take much memory
            # in training some n-grams are left out, so that a text is not known by the few that it alone has
            kept = self.gram_dropout_layer(real[..., i, None], training=training)
            found += ops.cast(self.embedding(grams.ids[..., i]), self.compute_dtype) * kept
        return found / ops.sqrt(number)

    def begin(self, batches: Iterable[tuple], tokenizer: BaseTokenizer, head: Head) -> str:
        """Learns what the tokens are, and begins from the naive-Bayes ratios of the n-grams.

        The ratio of an n-gram for a label is log(p / q): p is its share among all n-grams of the texts that have the
        label, q that among all others, with `smoothing` added to the count of every n-gram that any text has. The
        score of a label begins as the sum of the ratios, scaled as `summary` says.

        Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification".
        """
        for table, values in zip((self.folded, self.roles), kinds_of(tokenizer, self.vocabulary_size), strict=True):
            table.assign(values)
        if (size := head.num_answers) is None:
            return ""
        counts = tf.Variable(tf.zeros((self.buckets, size + 1)))  # the last column counts all texts
        signature = [tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.bool)]

        @tf.function(input_signature=[*signature, tf.TensorSpec([None, size])], autograph=False)
        def count(ids, mask, answers):
            inputs = {"input_ids": ids, "attention_mask": mask}
            answers = tf.pad(answers, ((0, 0), (0, 1)), constant_values=1)
            for grams in self.grams(inputs):
                row = tf.where(grams.real)[:, 0]
                counts.scatter_add(tf.IndexedSlices(tf.gather(answers, row), tf.boolean_mask(grams.ids, grams.real)))

        count = count.get_concrete_function()  # TensorFlow warns if every fit traces a function again
        for inputs, targets, _ in batches:
            inputs = self.inputs(inputs)
            count(inputs["input_ids"], inputs["attention_mask"], head.answers(targets))
        ratios = _naive_bayes(counts.numpy(), self.smoothing)
        kernel = head.answer_by(self.embedding_dim, ratios)
        self.embedding.embeddings.assign(_BEGIN * ratios @ np.linalg.pinv(kernel))
        return "naive-Bayes ratios of the n-grams in the training text"


def _each_itself(shape, dtype=None):
    return ops.arange(shape[0], dtype=dtype)


def _naive_bayes(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """log(p / q) for each n-gram and label, [buckets, C], from how often each stands in texts of each label.

    An n-gram that stands in no text has 0.

    Args:
        counts: float [buckets, C + 1], in texts that have a label, and in the last column in all texts.
        smoothing: what is added to the counts of every n-gram that any text has, more than 0.
    """
    counts, total = counts[:, :-1], counts[:, -1:]
    seen = total > 0
    having, others = (np.where(seen, part + smoothing, 0) for part in (counts, total - counts))
    ratios = np.zeros_like(counts)
    with np.errstate(divide="ignore"):
        np.subtract(np.log(having / having.sum(axis=0)), np.log(others / others.sum(axis=0)), out=ratios, where=seen)
    return ratios


def ngram_classifier(
    vocabulary_size: int,
    num_classes: int,
    widths: Sequence[int] = (2, 3, 4, 5),
    word_widths: Sequence[int] = (1, 2),
    buckets: int = 2**18,
    gram_dropout: float = 0.5,
    smoothing: float = 1.0,
    dropout: float = 0.0,
) -> Network:
    """Builds a linear classifier of n-grams of characters and of words.

    Args:
        vocabulary_size: V, number of ids, id 0 included.
        num_classes: C, at least 2.
        widths: for each kind of n-gram of tokens, how many tokens it has.
        word_widths: for each kind of n-gram of words, how many words it has.
        buckets: number of vectors; n-grams are hashed to them.
        gram_dropout: share of the n-grams left out in training, in [0, 1).
        smoothing: what is added to the counts of n-grams in naive-Bayes ratios, more than 0; the larger, the less is
            believed of rare n-grams.
        dropout: share of the last layer's inputs dropped in training, in [0, 1).

    Returns:
        A built network, int32 ids [B, T] → float32 logits [B, C]: the vectors of all n-grams are added up, those of
        each kind are divided by the square root of their number, and a dense layer follows.

    The network learns what the tokens are, and begins from naive-Bayes ratios, where a model is given its name; built
    by this function, it takes each token for a word by itself and begins from zeros.

    Source: Wang and Manning 2012 (n-grams, naive-Bayes ratios); Joulin et al. 2017 (hashed n-grams).

    Example:
        >>> ngram_classifier(vocabulary_size=50, num_classes=3, buckets=99)(np.array([[7, 3, 0]])).shape
        TensorShape([1, 3])
    """
    sizes = {"widths": widths, "word_widths": word_widths, "buckets": buckets, "num_labels": num_classes}
    body = NGrams(vocabulary_size, **sizes, gram_dropout=gram_dropout, smoothing=smoothing, dropout=dropout)
    return Network(body, ClassesHead(num_classes, dropout))
