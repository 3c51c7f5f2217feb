"""The head of a tagger: scores of tags for every word, and of each tag after another.

Shape letters: B batch, W words, D width, K tags.
"""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from lmkeras.corpora.tag_schemes import parts_of, types_in
from lmkeras.errors import InputError
from lmkeras.layers.crf import FORBIDDEN, Scores, log_likelihood
from lmkeras.layers.entities import Tags
from lmkeras.networks.contract import Head, require_sizes

_CONTINUING, _ENDING = "IMEL", "ELSU"  # the letters of tags with which an entity goes on, and with which it ends


@keras.saving.register_keras_serializable("lmkeras")
class TagsHead(Head):
    """States of words [B, W, D] → float32 scores [B, W, K] of tags: dropout, then Dense.

    The tags are: 0 for words outside of all entities; one for each type whose entities are single words; and for each
    other type four, for the first, inner and last words of entities and for entities of one word (BIOES). Sequences
    that are no entities, such as an inner word after an outside one, are not possible.

    Args:
        single_types: number of types whose entities are single words.
        span_types: number of other types.
        crf: whether scores of each tag after another are learnt (a conditional random field); else each word's tag is
            learnt by itself.
        dropout: share of the states dropped in training, in [0, 1).
        initializer_range: standard deviation of the new matrix; None for Glorot and Bengio's uniform values.
        labels: the names of the tags, for a head in their order, such as a published one, with "O" and B-, I- before
            types or other letters; any sequence is possible then. None for the tags above.
    """

    reads = "word_states"

    def __init__(
        self,
        single_types: int,
        span_types: int,
        crf: bool = True,
        dropout: float = 0.0,
        initializer_range: float | None = None,
        labels: Sequence[str] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if single_types + span_types < 1:
            raise InputError("a tagger needs at least one type of entities")
        if labels is not None and crf:
            raise InputError("labels are for heads of single words' tags: say crf=False")
        require_sizes(dropout)
        self.single_types, self.span_types, self.crf = single_types, span_types, crf
        self.labels = None if labels is None else list(labels)
        self.dropout, self.initializer_range = dropout, initializer_range
        self.dropout_layer = keras.layers.Dropout(dropout)
        fresh = keras.initializers.TruncatedNormal(stddev=initializer_range) if initializer_range else "glorot_uniform"
        self.dense = keras.layers.Dense(self.num_tags, kernel_initializer=fresh, name="scores")

    @property
    def architecture(self) -> str | None:
        """That of transformers, which has no scores of tags after each other."""
        return None if self.crf else "ForTokenClassification"

    def published_config(self, labels):
        """Dropout and the names of the tags; InputError unless there is a name for each."""
        names = labels or self.labels or [f"LABEL_{i}" for i in range(self.num_tags)]
        if len(names) != self.num_tags:
            raise InputError(f"expected {self.num_tags} labels, one for each tag, got {len(names)}")
        named = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        return {"classifier_dropout": self.dropout, **named}

    @property
    def num_tags(self) -> int:
        """K."""
        return 1 + self.single_types + 4 * self.span_types if self.labels is None else len(self.labels)

    def build(self, input_shape):
        """Builds the last layer on [B, W, D]."""
        self.dense.build(input_shape)
        tags = self.num_tags
        weights = {"transitions": (tags, tags), "start": (tags,), "end": (tags,)} if self.crf else {}
        for name, shape in weights.items():
            setattr(self, name, self.add_weight(name=name, shape=shape, initializer="zeros"))

    def call(self, states, training=False):
        """Scores [B, W, K]."""
        return ops.cast(self.dense(self.dropout_layer(states, training=training)), "float32")

    @functools.cached_property
    def tags(self) -> Tags:
        """What the tags mean."""
        if self.labels is not None:
            return tags_of_labels(self.labels)
        single, spans = self.single_types, self.span_types
        types = np.concatenate([np.arange(-1, single), np.repeat(np.arange(spans) + single, 4)])
        before, goes = np.zeros(1 + single, bool), [False, True, True, False]
        continues, ends = (np.concatenate([before, np.tile(row, spans)]) for row in (goes, [False, False, True, True]))
        return Tags(types.astype(np.int32), continues=continues, ends=ends)

    def scores(self) -> Scores:
        """The scores of tags after each other; those of sequences that are no entities are `FORBIDDEN`."""
        if self.labels is not None:
            tags = self.num_tags
            return Scores(tf.zeros([tags, tags]), tf.zeros([tags]), tf.zeros([tags]))
        opens, after = boundaries(self.single_types, self.span_types)
        possible = opens[:, None] == after, after == 0, opens == 0
        forbidden = [np.where(part, 0, FORBIDDEN).astype(np.float32) for part in possible]
        if not self.crf:
            return Scores(*map(tf.constant, forbidden))
        learnt = (tf.cast(weight, tf.float32) for weight in (self.transitions, self.start, self.end))
        return Scores(*map(tf.add, learnt, forbidden))

    def loss(self, outputs, targets, shares):
        """The sum over texts of -log P(the text's tags), times the share of the text's words.

        Args:
            outputs: [B, W, K].
            targets: int32 [B, W].
            shares: float32 [B, W]; words of share 0 come after a text's words, the others of a text have equal shares.
        """
        if not self.crf:
            return ops.sum(ops.sparse_categorical_crossentropy(targets, outputs, from_logits=True) * shares)
        lengths = tf.reduce_sum(tf.cast(shares > 0, tf.int32), axis=1)
        tags = tf.cast(targets, tf.int32)
        return -tf.reduce_sum(log_likelihood(outputs, lengths, tags=tags, scores=self.scores()) * shares[:, 0])

    def get_config(self):
        """The constructor's arguments."""
        names = ("single_types", "span_types", "crf", "dropout", "initializer_range", "labels")
        return {name: getattr(self, name) for name in names}


def tags_of_labels(labels: Sequence[str]) -> Tags:
    """What labels mean, such as B-PER; types have their places among `types_in(labels)`."""
    types = {name: number for number, name in enumerate(types_in(labels))}
    parts = [parts_of(label) or ("S", label) for label in labels]
    numbers = np.array([types.get(name, -1) for _, name in parts], np.int32)
    continues, ends = (np.array([letter in letters for letter, _ in parts]) for letters in (_CONTINUING, _ENDING))
    return Tags(numbers, continues=continues, ends=ends)


@functools.cache
def boundaries(single_types: int, span_types: int) -> tuple[np.ndarray, np.ndarray]:
    """For each tag, which entity is open after it, and which must be open before it.

    Returns:
        Two int arrays [K]: a number for the type whose entity goes on behind a word of this tag, 0 for none; and the
        same before the word.
    """
    number = np.arange(1, span_types + 1)
    outside = np.zeros(1 + single_types, int)
    opens = np.stack([number, number, 0 * number, 0 * number], axis=1)  # first, inner, last, only word
    after = np.stack([0 * number, number, number, 0 * number], axis=1)
    return np.concatenate([outside, opens.reshape(-1)]), np.concatenate([outside, after.reshape(-1)])
