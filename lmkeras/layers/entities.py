"""From scores of tags to entities, in TensorFlow's operations: where they are, of which type, and how sure that is.

Shape letters: B texts, W words, K tags, N entities of all texts.
"""

from typing import NamedTuple

import tensorflow as tf

from lmkeras.layers.crf import Scores, best_path, posterior, tag_probabilities


class Entities(NamedTuple):
    """The entities of texts, in the order of texts and words.

    Attributes:
        rows: int32 [N], the number of the text.
        starts: int32 [N], the first word.
        ends: int32 [N], the word behind the last one.
        types: int32 [N], the number of the type.
        probabilities: float32 [N], of there being exactly this entity, whatever the other words are.
    """

    rows: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    types: tf.Tensor
    probabilities: tf.Tensor


class Tags(NamedTuple):
    """What the tags of a tagger mean, each an array [K].

    Attributes:
        types: int32, the number of the type, -1 for words outside of entities.
        continues: bool, whether an entity of the word before, if it is of the same type, goes on with such a word.
        ends: bool, whether an entity ends with such a word, whatever comes after it.
    """

    types: tf.Tensor
    continues: tf.Tensor
    ends: tf.Tensor


def entities_in(emissions, lengths, scores: Scores, tags: Tags) -> Entities:
    """The entities in the most probable sequence of tags.

    Args:
        emissions: float32 [B, W, K].
        lengths: int32 [B], how many words each text has.
        scores: of tags after each other.
        tags: what the tags mean.
    """
    path = best_path(emissions, lengths, scores)
    begins, ends = bounds(path, lengths, tags)
    rows, starts = tf.unstack(tf.cast(tf.where(begins), tf.int32), axis=1)
    last = tf.cast(tf.where(ends)[:, 1], tf.int32)  # the n-th beginning has the n-th end
    first_tag = tf.gather_nd(path, tf.stack([rows, starts], axis=1))
    return Entities(
        rows,
        starts,
        ends=last + 1,
        types=tf.gather(tags.types, first_tag),
        probabilities=_probabilities(emissions, lengths, scores, path=path, places=(rows, starts, last)),
    )


def bounds(path, lengths, tags: Tags):
    """Where entities begin and end in sequences of tags: two bool [B, W].

    Args:
        path: int32 [B, W], the tags.
        lengths: int32 [B], how many words each text has.
        tags: what the tags mean.
    """
    inside = tf.sequence_mask(lengths, tf.shape(path)[1]) & (tf.gather(tags.types, path) >= 0)
    types = tf.where(inside, tf.gather(tags.types, path), -1)
    goes_on = inside[:, 1:] & (types[:, 1:] == types[:, :-1])
    goes_on &= tf.gather(tags.continues, path[:, 1:]) & ~tf.gather(tags.ends, path[:, :-1])
    continued, followed = tf.pad(goes_on, ((0, 0), (1, 0))), tf.pad(goes_on, ((0, 0), (0, 1)))
    return inside & ~continued, inside & ~followed


def _probabilities(emissions, lengths, scores: Scores, path, places):
    """How probable the tags of some stretches of a path are, float32 [N], as sums over all tags of the other words.

    Args:
        emissions, lengths, scores: as above.
        path: int32 [B, W].
        places: the rows, the first and the last words of the stretches, int32 [N] each.
    """
    found, (rows, starts, last) = posterior(emissions, lengths, scores), places
    first = tf.math.log(tag_probabilities(emissions, found))
    # how probable each tag of the path is where the one before it is known
    ways = tf.gather(scores.transitions, path[:, :-1]) + found.after[:, 1:]
    steps = tf.gather(ways - tf.reduce_logsumexp(ways, axis=-1, keepdims=True), path[:, 1:], axis=2, batch_dims=2)
    along = tf.cumsum(tf.pad(steps, ((0, 0), (1, 0))), axis=1)
    at_start, at_end = tf.stack([rows, starts], axis=1), tf.stack([rows, last], axis=1)
    first = tf.gather_nd(tf.gather(first, path, axis=2, batch_dims=2), at_start)
    return tf.exp(tf.minimum(first + tf.gather_nd(along, at_end) - tf.gather_nd(along, at_start), 0))
