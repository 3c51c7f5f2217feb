"""n-grams of tokens and of words as numbers, computed from token ids by hashing, in the graph.

Shape letters: B batch, T tokens, V vocabulary.
"""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.choice import is_written_without_spaces

#: what a token is to words: nothing (a blank), a part of one (a letter), or a word by itself (a sign, a whole word)
BLANK, LETTER, ALONE = 0, 1, 2

# Odd multipliers, so that multiplying by them modulo 2**32 can be undone; digits of the golden ratio and of pi.
_STEP = 0x9E3779B1
_UNDO_STEP = pow(_STEP, -1, 2**32)
_WORDS = 0x243F6A89
_LAST = 0x85A308D3 | 1


class Kinds(NamedTuple):
    """What the tokens of a vocabulary are for n-grams.

    Attributes:
        folded: int32 [V], for each id the id that stands for it: that of its lower case, or of the first blank.
        roles: int32 [V], BLANK, LETTER or ALONE for each id.
    """

    folded: np.ndarray
    roles: np.ndarray


def kinds_of(tokenizer: BaseTokenizer, vocabulary_size: int) -> Kinds:
    """Looks at the tokens of a tokenizer.

    If all of them are single characters, runs of letters and digits are words, and other characters, such as
    punctuation and Chinese characters, are words by themselves. Otherwise each token is a word by itself.

    Args:
        tokenizer: a fitted tokenizer.
        vocabulary_size: V, at least the tokenizer's; ids that the tokenizer does not have are words by themselves.

    Example:
        >>> from lmkeras import Tokenizer
        >>> kinds = kinds_of(Tokenizer(char_level=True, lower=False).fit(["Aa, 天"]), 7)
        >>> kinds.folded.tolist(), kinds.roles.tolist()
        ([0, 1, 1, 3, 4, 5, 6], [2, 1, 1, 2, 0, 2, 2])
    """
    texts = [tokenizer.decode([id]) for id in range(tokenizer.vocabulary_size)]
    unknown = tokenizer.special.unknown
    folded, roles = np.arange(vocabulary_size, dtype=np.int32), np.full(vocabulary_size, ALONE, np.int32)
    if any(len(text) > 1 for id, text in enumerate(texts) if id != unknown):
        return Kinds(folded, roles)
    first: dict[str, int] = {}
    for id, text in enumerate(texts):
        if len(text) == 1 and text != "\ufffd":  # which a byte of a character is shown as
            folded[id] = first.setdefault(" " if text.isspace() else text.lower(), id)
            roles[id] = _role_of(text)
    return Kinds(folded, roles)


def _role_of(character: str) -> int:
    if character.isspace():
        return BLANK
    return LETTER if character.isalnum() and not is_written_without_spaces(character) else ALONE


class Grams(NamedTuple):
    """n-grams of some widths.

    Attributes:
        ids: int32 [B, T, number of widths], a number below `buckets` for the n-gram that begins at each place.
        real: bool of the same shape, whether there is an n-gram that begins there and ends within the text.
    """

    ids: tf.Tensor
    real: tf.Tensor


def token_grams(ids: tf.Tensor, mask: tf.Tensor, widths: list[int], buckets: int) -> Grams:
    """The n-grams of tokens.

    Args:
        ids: int32 [B, T].
        mask: bool [B, T], True for tokens, which come before padding.
        widths: how many tokens an n-gram has, each at least 1.
        buckets: below how many numbers the n-grams are hashed, at most 2**31 - 1; different ones may meet in one.
    """
    return _grams(ids, tf.reduce_sum(tf.cast(mask, tf.int32), axis=1), widths=widths, buckets=buckets, salt=0)


def word_grams(words: "Words", widths: list[int], buckets: int) -> Grams:
    """The n-grams of words; each begins where the first token of its first word stands.

    Args:
        words: the words, which `words_of` finds.
        widths: how many words an n-gram has, each at least 1.
        buckets: see `token_grams`.
    """
    grams = _grams(words.hashes, words.count, widths=widths, buckets=buckets, salt=_WORDS)
    place = tf.maximum(words.number - 1, 0)
    found, real = (tf.gather(values, place, axis=1, batch_dims=1) for values in grams)
    return Grams(found, real & words.begins[..., None])


class Words(NamedTuple):
    """The words of texts.

    Attributes:
        hashes: int32 [B, T], a number for each word, the first word at the first place.
        count: int32 [B], how many words each text has.
        begins: bool [B, T], whether a word begins at a token.
        number: int32 [B, T], how many words have begun up to and including each token.
    """

    hashes: tf.Tensor
    count: tf.Tensor
    begins: tf.Tensor
    number: tf.Tensor


def _grams(ids, count, *, widths: list[int], buckets: int, salt: int) -> Grams:
    """The n-grams of the first `count` [B] of ids [B, T]."""
    found, real, hashed = [], [], wrapped(salt)
    places = tf.range(tf.shape(ids)[1])
    shifted = ids
    for width in range(1, max(widths) + 1):
        # a polynomial of the ids, modulo 2**32; where the row has come to its end, zeros follow
        hashed = hashed * wrapped(_STEP) + shifted
        shifted = tf.pad(shifted[:, 1:], ((0, 0), (0, 1)))
        if width in widths:
            found.append(bucket_of(hashed + width, buckets))
            real.append(places + width <= count[:, None])
    return Grams(tf.stack(found, axis=-1), tf.stack(real, axis=-1))


def words_of(ids: tf.Tensor, roles: tf.Tensor, mask: tf.Tensor) -> Words:
    """Finds the words of texts.

    Args:
        ids: int32 [B, T].
        roles: int32 [B, T], see `Kinds`.
        mask: bool [B, T], True for tokens, which come before padding.
    """
    roles = tf.where(mask, roles, BLANK)
    rows, length = tf.unstack(tf.shape(ids))
    after_letter = tf.pad(roles[:, :-1], ((0, 0), (1, 0))) == LETTER
    inside, begins = roles != BLANK, (roles == ALONE) | ((roles == LETTER) & ~after_letter)
    number = tf.cumsum(tf.cast(begins, tf.int32), axis=1)  # of the word that a place belongs to, from 1
    # a word's hash is the sum over its tokens of id · step**(place in the word); step**(place in the text) is shared
    # by all texts, and what it is too much is taken back, once for a word
    powers, undone = (tf.math.cumprod(tf.fill([length], wrapped(step)), exclusive=True) for step in (_STEP, _UNDO_STEP))
    word = tf.range(rows)[:, None] * length + number - 1
    word = tf.where(inside, word, -1)  # segment sums leave out what has a number below 0
    per_word = functools.partial(_sum_of_each, word, rows * length)
    sums, first = per_word((ids + 1) * powers), per_word(tf.where(begins, undone, 0))
    return Words(tf.reshape(sums * first, [rows, length]), number[:, -1], begins=begins, number=number)


def _sum_of_each(segments: tf.Tensor, count: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The sum of the values of each of so many segments; values with a segment below 0 are left out."""
    return tf.math.unsorted_segment_sum(tf.reshape(values, [-1]), tf.reshape(segments, [-1]), count)


def bucket_of(hashed: tf.Tensor, buckets: int) -> tf.Tensor:
    """Numbers below `buckets` from 32 bits, each of which decides about the lower bits of the result."""
    for shift, factor in ((15, _LAST), (13, _STEP)):  # shifts carry bits down, products carry them up
        hashed = tf.bitwise.bitwise_xor(hashed, tf.bitwise.right_shift(hashed, shift)) * wrapped(factor)
    return tf.math.floormod(tf.bitwise.bitwise_xor(hashed, tf.bitwise.right_shift(hashed, 16)), buckets)


def wrapped(number: int) -> int:
    """The signed 32-bit number with the same lowest 32 bits."""
    return (number + 2**31) % 2**32 - 2**31
