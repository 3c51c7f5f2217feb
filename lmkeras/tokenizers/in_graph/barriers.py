"""Characters of many texts in one row, with negative numbers where no piece may go on.

A text, or what is left of one between added tokens, is a run of code points; a negative number, a barrier, stands
between runs. `Characters` says for each place what it came from.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

#: stands behind each text
END = -1
#: stands between pieces of a text
CUT = -2
#: stands in the place of each character of an added token but the first
INSIDE = -3
_FIRST_ID = -4


class Characters(NamedTuple):
    """Texts, one after the other.

    Attributes:
        codes: int32 [N], code points and barriers.
        origins: int32 [N], the place that each has in the texts as they were given, END included.
    """

    codes: tf.Tensor
    origins: tf.Tensor


def opened(texts: tf.Tensor) -> tuple[Characters, tf.Tensor]:
    """The characters of UTF-8 strings [B], and the place where each text begins, int32 [B + 1]."""
    codes = tf.strings.unicode_decode(tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8"), "UTF-8")
    begins = tf.concat([[0], tf.cumsum(tf.cast(codes.row_lengths(), tf.int32) + 1)], axis=0)
    places = tf.range(tf.size(codes.flat_values)) + tf.cast(codes.value_rowids(), tf.int32)
    closed = tf.tensor_scatter_nd_update(tf.fill([begins[-1]], END), places[:, None], codes.flat_values)
    return Characters(closed, tf.range(begins[-1])), begins


def stand_in(ids: tf.Tensor) -> tf.Tensor:
    """The barriers that stand for added tokens."""
    return _FIRST_ID - ids


def added_ids(codes: tf.Tensor) -> tf.Tensor:
    """The id of the added token that each barrier stands for; below 0 for everything else."""
    return _FIRST_ID - codes


def begins_of_runs(codes: tf.Tensor) -> tf.Tensor:
    """Whether a run of code points begins at each place; bool [N]."""
    between = codes < 0
    return tf.concat([[True], between[:-1]], axis=0)[: tf.size(codes)] & ~between


def inserted(characters: Characters, where: tf.Tensor, codes: Sequence[int]) -> Characters:
    """The characters with others before some of them; these have the origin of the character that they stand before.

    Args:
        characters: N of them.
        where: bool [N].
        codes: what is put before each of them.
    """
    width = len(codes)
    counts = tf.where(where, width + 1, 1)
    old = tf.cumsum(counts) - 1
    new = tf.boolean_mask(old, where)[:, None] + tf.range(-width, 0)
    size = tf.reduce_sum(counts)
    origins = tf.repeat(characters.origins, counts)
    written = tf.tensor_scatter_nd_update(tf.zeros([size], tf.int32), old[:, None], characters.codes)
    values = tf.tile(tf.constant([*codes], tf.int32), [tf.shape(new)[0]])
    return Characters(tf.tensor_scatter_nd_update(written, tf.reshape(new, [-1, 1]), values), origins)
