"""Looks at text to choose a tokenizer: words only suit text that has spaces between its words."""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

_PIECE = 500  # characters of a text that are looked at together
_MOST_PIECES = 2000
_LONG_WORD = 40

#: Scripts that are written without spaces between words. Sources: Unicode Standard Annex 29, section 4, which names
#: Thai, Lao, Khmer, Myanmar, Han, Hiragana and Katakana; Annex 14, whose line breaking class SA has more scripts of
#: South-East Asia. Tibetan marks syllables, and Bopomofo and Yi are like Han. The ranges are those of Blocks.txt.
_WITHOUT_SPACES = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u303b"  # Han radicals, iteration marks and numerals
    "\u3040-\u30fa\u30fc-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"  # Hiragana, Katakana, Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\ua000-\ua4cf"  # Yi
    "\U0001aff0-\U0001b16f"  # more kana
)
_LETTER_WITHOUT_SPACES = re.compile(f"[{_WITHOUT_SPACES}]")
_SPACED_OUT = re.compile(rf"[{_WITHOUT_SPACES}][ \t\u3000]+(?=[{_WITHOUT_SPACES}])")


class Choice(NamedTuple):
    """The name of a tokenizer, and why it was chosen."""

    name: str
    reason: str


class Spacing(NamedTuple):
    """Whether words are separated by spaces.

    Attributes:
        without: whether most words are not.
        reason: why, such as "97 % of the letters are of scripts without spaces between words".
    """

    without: bool
    reason: str


def choose(texts: Iterable[str], with_spaces: str, without_spaces: str) -> Choice:
    """Chooses a tokenizer for texts.

    Args:
        texts: read once.
        with_spaces: the tokenizer for text with spaces between words.
        without_spaces: the tokenizer for other text.

    Example:
        >>> choose(["天地玄黄，宇宙洪荒"], "words", "characters").name
        'characters'
    """
    if with_spaces == without_spaces:
        return Choice(with_spaces, f"{with_spaces}: it suits text with and without spaces between words")
    found = spacing(texts)
    name = without_spaces if found.without else with_spaces
    return Choice(name, f"{name}: {found.reason}")


def warn_of_sentences(texts: Iterable[str]) -> None:
    """Warns where words, which the user has asked for, are whole sentences."""
    found = spacing(texts)
    if found.without:
        logging.getLogger("lmkeras").warning(
            f"tokenizer words: {found.reason}, so most words are whole sentences and hardly one comes twice. "
            "characters suits such text, and auto finds out"
        )


def spacing(texts: Iterable[str]) -> Spacing:
    """Looks at a sample of the texts, which is spread evenly over them, the same for the same texts, and bounded.

    Args:
        texts: read once.

    Example:
        >>> spacing(["天地玄黄", "宇宙洪荒"])
        Spacing(without=True, reason='100 % of the letters are of scripts without spaces between words')
        >>> spacing(["Heaven and earth", "天地玄黄"]).without
        False
    """
    sample = "\n".join(_evenly(texts))
    counts = Counter(sample)
    without = sum(count for letter, count in counts.items() if _LETTER_WITHOUT_SPACES.match(letter))
    # vowel signs of these scripts are marks, not letters, for Unicode
    letters = sum(count for letter, count in counts.items() if letter.isalpha() or _LETTER_WITHOUT_SPACES.match(letter))
    if not letters:
        return Spacing(False, "the text has no letters")
    share = without / letters
    if share > 0.5:
        # somebody has put spaces between the words: in Chinese a word has about 1.7 characters, in Thai about 4, and
        # otherwise spaces stand at most where other languages have commas
        if without < 6 * len(_SPACED_OUT.findall(sample)):
            return Spacing(False, "the words of the text are separated by spaces")
        return Spacing(True, f"{100 * share:.0f} % of the letters are of scripts without spaces between words")
    words = sample.split()
    if sum(len(word) > _LONG_WORD for word in words) > len(words) / 2:
        return Spacing(True, f"most words have more than {_LONG_WORD} characters")
    return Spacing(False, f"{100 - 100 * share:.0f} % of the letters are of scripts with spaces between words")


def is_written_without_spaces(character: str) -> bool:
    """Whether a character is of a script without spaces between words, such as Chinese or Thai."""
    return _LETTER_WITHOUT_SPACES.match(character) is not None


def _evenly(texts: Iterable[str]) -> list[str]:
    """Every k-th piece of the texts, where k doubles whenever there are too many of them."""
    pieces = (
        text[start : start + _PIECE] for text in texts if isinstance(text, str) for start in range(0, len(text), _PIECE)
    )
    sample, step = [], 1
    for number, piece in enumerate(pieces):
        if number % step == 0:
            sample.append(piece)
        if len(sample) > _MOST_PIECES:
            sample, step = sample[::2], 2 * step
    return sample
