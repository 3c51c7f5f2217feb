"""Features of words as numbers, computed from the ids of their characters by hashing, in the graph.

They are those that taggers by hand-made features use: the word, its lower case, its first and last letters, its shape.

Shape letters: B batch, T characters, W words, V vocabulary.
"""

import itertools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lmkeras.layers.ngrams import bucket_of, wrapped
from lmkeras.tokenizers.base import BaseTokenizer

_STEP = 0x01000193  # odd, so that multiplying by it modulo 2**32 can be undone
_UNDO_STEP = pow(_STEP, -1, 2**32)
_SALT = 0x3C6EF372
#: what a character is to the shape of a word
_SIGN, _UPPER, _LOWER, _DIGIT, _OTHER = 1, 2, 3, 4, 5


class CharacterKinds(NamedTuple):
    """What the characters of a vocabulary are for the features of words.

    Attributes:
        folded: int32 [V], for each id that of its lower case.
        shapes: int32 [V], for each id a number for upper case, lower case, digit, other letter or sign.
    """

    folded: np.ndarray
    shapes: np.ndarray


def character_kinds(tokenizer: BaseTokenizer, vocabulary_size: int) -> CharacterKinds:
    """Looks at the characters of a tokenizer; ids that the tokenizer does not have are signs.

    Example:
        >>> from lmkeras import Tokenizer
        >>> kinds = character_kinds(Tokenizer(char_level=True, lower=False).fit(["Aa, 1"]), 7)
        >>> kinds.folded.tolist(), kinds.shapes.tolist()
        ([0, 2, 2, 3, 4, 5, 6], [1, 2, 3, 1, 1, 4, 1])
    """
    texts = [tokenizer.decode([id]) for id in range(tokenizer.vocabulary_size)]
    known = {text: id for id, text in reversed(list(enumerate(texts))) if len(text) == 1}
    folded, shapes = np.arange(vocabulary_size, dtype=np.int32), np.full(vocabulary_size, _SIGN, np.int32)
    for id, text in enumerate(texts):
        if len(text) == 1:
            folded[id] = known.get(text.lower(), id)
            shapes[id] = _shape_of(text)
    return CharacterKinds(folded, shapes)


def _shape_of(character: str) -> int:
    if character.isupper() or character.istitle():
        return _UPPER
    if character.islower():
        return _LOWER
    if character.isdigit():
        return _DIGIT
    return _OTHER if character.isalpha() else _SIGN


class Spelling(NamedTuple):
    """Numbers for the parts of words, below `buckets`; different parts may have the same number.

    Attributes:
        words: int32 [B, W, 2], of the word as it is and of its lower case.
        affixes: int32 [B, W, 2·N], of its first 1 to N letters in lower case, and its last ones.
        shapes: int32 [B, W, 2], of its shape, such as Aa0 for "Ab12", and of the shape with its length, Aa00.
    """

    words: tf.Tensor
    affixes: tf.Tensor
    shapes: tf.Tensor


def spelling(ids, starts, ends, kinds: CharacterKinds, *, affixes: int, buckets: int) -> Spelling:
    """The features of words.

    Args:
        ids: int32 [B, T], the ids of the characters.
        starts: int32 [B, W], where each word begins.
        ends: int32 [B, W], where it ends; the same number where a text has fewer words.
        kinds: what the characters are, as tensors.
        affixes: N, the most letters of what a word begins and ends with.
        buckets: below how many numbers the features are hashed.
    """
    folded, shapes = tf.gather(kinds.folded, ids), tf.gather(kinds.shapes, ids)
    changes = tf.pad(shapes[:, :-1], ((0, 0), (1, 0))) != shapes
    exact, lower, shape = map(_Hashed, (ids, folded, shapes))
    # where a word begins, its first character counts for the short shape, whatever stands before the word
    first = tf.gather(shapes, starts, axis=1, batch_dims=1)
    short = _Hashed(tf.where(changes, shapes, 0), tf.cast(changes, tf.int32))
    salts = itertools.accumulate(itertools.repeat(_SALT))  # a number for each kind of feature

    def number(hashed):
        return bucket_of(hashed + wrapped(next(salts)), buckets)

    parts = []
    for length in range(1, affixes + 1):
        parts.append(number(lower.of(starts, tf.minimum(starts + length, ends))))
        parts.append(number(lower.of(tf.maximum(ends - length, starts), ends)))
    after_first = tf.minimum(starts + 1, ends)
    return Spelling(
        tf.stack([number(exact.of(starts, ends)), number(lower.of(starts, ends))], axis=-1),
        tf.stack(parts, axis=-1),
        tf.stack([number(first * _SALT + short.of(after_first, ends)), number(shape.of(starts, ends))], axis=-1),
    )


class _Hashed:
    """Hashes of any stretch of numbers [B, T]: polynomials modulo 2**32, from sums up to each place.

    Args:
        values: int32 [B, T].
        counted: int32 [B, T], 1 for values that count and 0 for those that are skipped; None if all count.
    """

    def __init__(self, values, counted=None):
        counted = tf.ones_like(values) if counted is None else counted
        place = tf.cumsum(counted, axis=1, exclusive=True)  # of each value among those that count
        powers, self._undone = (
            tf.math.cumprod(tf.fill([tf.shape(values)[1] + 1], wrapped(step)), exclusive=True)
            for step in (_STEP, _UNDO_STEP)
        )
        terms = (values + 1) * counted * tf.gather(powers, place)
        self._sums, self._places = (tf.pad(tf.cumsum(part, axis=1), ((0, 0), (1, 0))) for part in (terms, counted))

    def of(self, starts, ends):
        """The hash of the values of each stretch [start, end), int32 [B, W]."""
        sums = tf.gather(self._sums, ends, axis=1, batch_dims=1) - tf.gather(self._sums, starts, axis=1, batch_dims=1)
        return sums * tf.gather(self._undone, tf.gather(self._places, starts, axis=1, batch_dims=1))
