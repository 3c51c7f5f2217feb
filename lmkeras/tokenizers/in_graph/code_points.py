"""Tables over all code points, and sets of characters as the `tokenizers` library knows them.

Libraries follow different versions of Unicode, so the library itself is asked which characters are letters.
"""

import functools
import re
import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tokenizers
from tokenizers import pre_tokenizers

from lmkeras.tokenizers.pieces import BLANKS

_PAGE = 256
_PLANE = 0x10000
#: planes that have characters of several kinds; in every version of Unicode the others are private or empty as a whole
_MIXED_PLANES = (0, 1, 2, 3, 14)
_LITERAL = re.compile(r"[\w ]|\\?[^\w\s\\.]|\\ ")
#: sets of characters that no regular expression names
DIGITS, PUNCTUATION = "digits", "punctuation"


class CodePointTable:
    """A value for each code point, in pages of which equal ones are kept once.

    Args:
        values: [0x110000], the value of each code point.
        barrier: the value of negative numbers, which stand between texts.
    """

    def __init__(self, values: np.ndarray, barrier: int = 0):
        pages, self._page_of = np.unique(values.reshape(-1, _PAGE), axis=0, return_inverse=True)
        self._page_of = np.concatenate([[len(pages)], self._page_of.reshape(-1)]).astype(np.int32) * _PAGE
        self._values = np.concatenate([pages.reshape(-1), np.full(_PAGE, barrier)]).astype(values.dtype)

    def __call__(self, codes: tf.Tensor) -> tf.Tensor:
        """The values of code points, int32 [N]; each negative one has the barrier's value."""
        pages = tf.gather(self._page_of, tf.maximum(tf.bitwise.right_shift(codes, 8), -1) + 1)
        return tf.gather(self._values, pages + (codes & (_PAGE - 1)))


def white_space() -> CodePointTable:
    """1 for each white-space character, 0 for all others."""
    found = np.zeros(sys.maxunicode + 1, np.int32)
    found[[*map(ord, BLANKS)]] = 1
    return CodePointTable(found)


@functools.cache
def members(characters: str) -> np.ndarray:
    r"""Which code points are of a set, bool [0x110000].

    Args:
        characters: a regular expression that matches one character, such as "[^\s\p{L}]"; or DIGITS or PUNCTUATION,
            what the library's pre-tokenizers of these names look for.
    """
    found = np.zeros(sys.maxunicode + 1, bool)
    if _LITERAL.fullmatch(characters):
        found[ord(characters[-1])] = True
        return found
    if characters in (DIGITS, PUNCTUATION):
        kind = pre_tokenizers.Digits(False) if characters == DIGITS else pre_tokenizers.Punctuation("contiguous")
        asked = functools.partial(_runs, kind.pre_tokenize_str)
    else:
        cut = pre_tokenizers.Split(tokenizers.Regex(f"(?:{characters})+"), "removed")
        asked = functools.partial(_removed, cut.pre_tokenize_str)
    if re.fullmatch(r"\(\?i:\w\)", characters):
        found[_cased()] = asked("".join(map(chr, _cased())))
        return found
    found[_looked_at()] = asked("".join(map(chr, _looked_at())))
    for first in range(0, sys.maxunicode + 1, _PLANE):
        if first // _PLANE not in _MIXED_PLANES:
            found[first : first + _PLANE - 2] = found[first]  # the plane's last two are no characters
    return found


@functools.cache
def _looked_at() -> np.ndarray:
    """The code points about which the library is asked: mixed planes, and the ends of all others."""
    codes = np.arange(sys.maxunicode + 1)
    mixed = np.isin(codes // _PLANE, _MIXED_PLANES) | np.isin(codes % _PLANE, (0, _PLANE - 2, _PLANE - 1))
    return codes[mixed & ~((codes >= 0xD800) & (codes < 0xE000))]


@functools.cache
def _cased() -> np.ndarray:
    """The code points that may be another's upper or lower case."""
    changed = (c for c in map(chr, range(sys.maxunicode + 1)) if not c == c.lower() == c.upper() == c.casefold())
    return np.array([ord(character) for character in changed])


def _removed(cut: Callable, text: str) -> np.ndarray:
    """Which characters a pre-tokenizer removes."""
    found = np.ones(len(text), bool)
    for _, (start, end) in cut(text):
        found[start:end] = False
    return found


def _runs(cut: Callable, text: str) -> np.ndarray:
    """Which characters are in the pieces of a pre-tokenizer that cuts runs of a set off from what is around them."""
    found, separated = np.zeros(len(text), bool), "".join(character + "x" for character in text)
    for _, (start, end) in cut(separated):
        if end - start == 1 and start % 2 == 0:
            found[start // 2] = True
    return found
