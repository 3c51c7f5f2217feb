"""Where the words of a text stand, for tasks that answer for every word, such as tagging.

A word here is what one tag is given to: a word, a sign such as a comma, or a character of a script without spaces.
"""

import re
import unicodedata
from collections.abc import Iterator

from lmkeras.errors import unknown_name
from lmkeras.tokenizers.choice import is_written_without_spaces

#: the ways to find words, see `word_spans`
SPLITTINGS = ("words", "signs", "characters")
#: what a character is to words: nothing, a part of one, a sign, or a word by itself
BLANK, LETTER, SIGN, ALONE = "blsa"
APOSTROPHES = "'’"
LONGEST_CLITIC = 2  # letters after an apostrophe, as in 's and 're

_MARKS = ("M", "Cf", "Cn", "Co")  # combining marks and joiners do not end a word, nor do characters yet unknown
_PATTERNS = {"signs": re.compile("l+|[sa]"), "characters": re.compile("[lsa]"), "words": re.compile("[ls]+|a")}


def word_spans(text: str, splitting: str = "words") -> list[tuple[int, int]]:
    """The characters [start, end) of each word of a text, in its order; no word has blanks in it.

    Args:
        text: any text.
        splitting: "words": as corpora of sentences have them. Signs at both ends of what stands between blanks are
            words by themselves, equal ones together; signs inside are not: "(U.S.-led)" has the words "(", "U.S.-led"
            and ")". A full stop stays where the word has one already or is a single letter, and an apostrophe with at
            most two letters at the end is a word: "Smith's" has the words "Smith" and "'s". "signs": every sign is a
            word by itself, and so are letters between signs. "characters": every character is a word. In all of them
            each character of scripts without spaces, such as Chinese, is a word by itself.

    Example:
        >>> [text[start:end] for text in ["J. Smith's (40%)..."] for start, end in word_spans(text)]
        ['J.', 'Smith', "'s", '(', '40', '%', ')', '...']
    """
    if splitting not in _PATTERNS:
        raise unknown_name("splitting", splitting, SPLITTINGS)
    kinds = text.translate(_KINDS)
    spans = (match.span() for match in _PATTERNS[splitting].finditer(kinds))
    if splitting != "words":
        return list(spans)
    return [word for start, end in spans for word in _words_of(text, kinds, start=start, end=end)]


def _words_of(text: str, kinds: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The words of what stands between blanks; the same rules in TensorFlow are in in_graph/word_spans.py."""
    first, last = kinds.find(LETTER, start, end), kinds.rfind(LETTER, start, end) + 1
    if first < 0:  # signs alone, or one character of a script without spaces
        yield from _runs(text, start, end)
        return
    yield from _runs(text, start, first)
    after = last
    if text[last : last + 1] == "." and last < end and (last == first + 1 or "." in text[first:last]):
        after = last + 1
    clitic = _clitic(text, first, last) if after == last else after
    yield first, clitic
    if clitic < after:
        yield clitic, after
    yield from _runs(text, after, end)


def _runs(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Runs of equal characters."""
    begin = start
    for at in range(start + 1, end + 1):
        if at == end or text[at] != text[begin]:
            yield begin, at
            begin = at


def _clitic(text: str, first: int, last: int) -> int:
    """Where the apostrophe of a clitic stands in the word text[first:last]; its end if there is none."""
    for at in range(last - 2, max(first, last - 2 - LONGEST_CLITIC), -1):
        if text[at] in APOSTROPHES:
            return at
    return last


def kind_of(character: str) -> str:
    """What a character is to words: BLANK, LETTER, SIGN or ALONE.

    Example:
        >>> [kind_of(character) for character in " a,天"]
        ['b', 'l', 's', 'a']
    """
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return BLANK
    if is_written_without_spaces(character):
        return ALONE
    return LETTER if character.isalnum() or category.startswith(_MARKS) else SIGN


class _Kinds(dict):
    """A table for str.translate, filled as characters are met."""

    def __missing__(self, code: int) -> str:
        kind = self[code] = kind_of(chr(code))
        return kind


_KINDS = _Kinds()
