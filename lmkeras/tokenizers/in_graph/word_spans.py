"""word_spans in TensorFlow operations, with Python's tables of characters.

Shape letters: B texts, W words, M characters of all texts.
"""

import functools
import sys

import numpy as np
import tensorflow as tf

from lmkeras.tokenizers.in_graph.lower_case import step, steps
from lmkeras.tokenizers.in_graph.offsets import places_in_text
from lmkeras.tokenizers.word_spans import ALONE, APOSTROPHES, BLANK, LETTER, LONGEST_CLITIC, SIGN, kind_of

_BLANK, _LETTER, _SIGN, _ALONE = range(4)


@functools.cache
def kinds() -> tuple[np.ndarray, np.ndarray]:
    """What each code point is to words, as a step function: the place of its kind in blank, letter, sign, alone."""
    number = {kind: i for i, kind in enumerate((BLANK, LETTER, SIGN, ALONE))}
    return steps(np.fromiter((number[kind_of(chr(code))] for code in range(sys.maxunicode + 1)), np.int32))


def in_graph_word_spans(codes: tf.RaggedTensor, splitting: str) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Where the words of texts stand, as `word_spans` finds them.

    Args:
        codes: int32 [B, characters], the code points of texts.
        splitting: see `word_spans`.

    Returns:
        The starts and the ends of the words, ragged int32 [B, W] both, in characters from the start of the text.
    """
    flat, rows = codes.flat_values, codes.value_rowids()
    kind = step(flat, *kinds())
    begins = _begins(flat, kind, rows=rows, splitting=splitting) & (kind != _BLANK)
    # a word ends where the next one begins, or a blank does, or the text
    opens = begins | (kind == _BLANK) | _differs(rows)
    ends = tf.concat([opens[1:], tf.ones_like(opens[:1])], axis=0) & (kind != _BLANK)
    places = places_in_text(codes)

    def in_texts(chosen, values):
        rows_of = tf.boolean_mask(rows, chosen)
        return tf.RaggedTensor.from_value_rowids(
            tf.boolean_mask(values, chosen), rows_of, codes.nrows(), validate=False
        )

    return in_texts(begins, places), in_texts(ends, places + 1)


def _begins(codes: tf.Tensor, kind: tf.Tensor, *, rows: tf.Tensor, splitting: str) -> tf.Tensor:
    """Whether a word begins at each character, bool [M]; of blanks it has no meaning."""
    if splitting == "characters":
        return tf.ones_like(codes, tf.bool)
    before = tf.concat([tf.fill(tf.shape(kind[:1]), _BLANK), kind[:-1]], axis=0)
    before = tf.where(_differs(rows), _BLANK, before)
    if splitting == "signs":
        return (kind != _LETTER) | (before != _LETTER)
    return _begins_of_words(codes, kind=kind, before=before)


def _begins_of_words(codes: tf.Tensor, *, kind: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
    """The same for splitting "words"; `before` is the kind of the character before each, BLANK before a text."""
    inside = (kind == _LETTER) | (kind == _SIGN)
    opens = ~inside | (before == _BLANK) | (before == _ALONE)  # chunks, of letters and signs without blanks
    chunk = tf.cumsum(tf.cast(opens, tf.int32)) - 1
    at, count = tf.range(tf.size(codes)), tf.size(codes)
    letter = inside & (kind == _LETTER)

    def of_chunk(values, combine):
        return tf.gather(combine(values, chunk, count), chunk)

    first = of_chunk(tf.where(letter, at, tf.int32.max), tf.math.unsorted_segment_min)
    last = of_chunk(tf.where(letter, at, -1), tf.math.unsorted_segment_max)
    within = (at >= first) & (at <= last)
    dots = of_chunk(tf.cast(within & (codes == ord(".")), tf.int32), tf.math.unsorted_segment_sum)
    abbreviated = inside & (at == last + 1) & (last >= 0) & (codes == ord(".")) & ((dots > 0) | (last == first))
    abbreviated &= ~opens  # a chunk without letters has last = -1
    apostrophe = functools.reduce(tf.logical_or, [codes == ord(sign) for sign in APOSTROPHES])
    clitic = apostrophe & (at > first) & (at < last) & (at >= last - LONGEST_CLITIC)
    clitic = at == of_chunk(tf.where(clitic, at, -1), tf.math.unsorted_segment_max)
    clitic &= ~tf.cast(of_chunk(tf.cast(abbreviated, tf.int32), tf.math.unsorted_segment_max), tf.bool)
    same = tf.concat([tf.zeros_like(inside[:1]), codes[1:] == codes[:-1]], axis=0)
    # outside of first to last, a sign goes on with the word before it if it is the same sign, unless that is inside
    peeled = ~within & ~abbreviated & inside
    peeled_before = tf.concat([tf.zeros_like(peeled[:1]), peeled[:-1]], axis=0)
    goes_on = peeled & same & peeled_before
    return opens | (at == first) | clitic | (peeled & ~goes_on)


def _differs(rows: tf.Tensor) -> tf.Tensor:
    """Whether each character is the first of its text, bool [M]."""
    return tf.concat([tf.ones_like(rows[:1], tf.bool), rows[1:] != rows[:-1]], axis=0)
