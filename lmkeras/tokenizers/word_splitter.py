"""Texts cut into words as Keras' Tokenizer cuts them, many texts at a time, and with the places of the words."""

from collections.abc import Iterable, Sequence

from lmkeras.errors import InputError

# Many texts are joined by this character, rewritten in one call, and cut apart again. If a text contains the character,
# the texts are rewritten one by one instead.
_BETWEEN_TEXTS = "\0"
# The ASCII characters other than the space at which str.split() without arguments cuts.
_OTHER_WHITE_SPACE = "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"


class WordSplitter:
    """Cuts texts into words at a separator, and at characters that count as the separator.

    Args:
        filters: the characters.
        split: the separator; None cuts at white space, and the characters of `filters` vanish.

    Raises:
        InputError: split is empty.

    Example:
        >>> WordSplitter(".,", " ").split_each(["a, b", "c."])
        [['a', 'b'], ['c']]
    """

    def __init__(self, filters: Iterable[str], split: str | None):
        if split == "":
            raise InputError("split is empty, but words need a separator: give one, or cut with char_level=True")
        self._split = split
        self._table = str.maketrans(dict.fromkeys(filters, split))
        self._byte_table = _byte_table(self._table, split)

    def split_each(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text."""
        if self._byte_table is not None:
            together = _BETWEEN_TEXTS.join(texts)
            if together.count(_BETWEEN_TEXTS) == len(texts) - 1:
                return self._split_together(together)
        return [self._words(text.translate(self._table)) for text in texts]

    def split_with_spans(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        """The words of a text, and for each the start and the end of the characters that it was cut from.

        A filtered character becomes a whole separator. If the separator has several characters, the text before it may
        complete a separator early. For example, with the separator "aa" and the filter ".", "a." becomes "aaa", which
        is cut into "" and "a". The "a" that is left then counts as a word, and its span is the filtered character.

        Example:
            >>> WordSplitter(".,", " ").split_with_spans("a, bc.")
            (['a', 'bc'], [(0, 1), (3, 5)])
        """
        rewritten, origins = text.translate(self._table), self._origins(text)
        words, spans, position = [], [], 0
        for part in rewritten.split(self._split):
            if self._split is None:  # any number of white-space characters lie before this word
                position = rewritten.index(part, position)
            if part:
                words.append(part)
                spans.append((origins[position], origins[position + len(part) - 1] + 1))
            position += len(part) + len(self._split or "")
        return words, spans

    def _origins(self, text: str) -> Sequence[int]:
        """Where each character of the rewritten text comes from, as a place in the given text. In the rewritten text
        `split` has replaced each filtered character."""
        if self._split is not None and len(self._split) == 1:
            return range(len(text))
        return [
            place
            for place, character in enumerate(text)
            for _ in (self._split or "" if ord(character) in self._table else character)
        ]

    def _split_together(self, texts: str) -> list[list[str]]:
        # bytes.translate takes a tenth of the time that str.translate takes
        raw = texts.encode("utf-8", "surrogatepass").translate(self._byte_table)
        texts = raw.decode("utf-8", "surrogatepass")
        if self._split != " " or any(map(texts.__contains__, _OTHER_WHITE_SPACE)):
            return [self._words(text) for text in texts.split(_BETWEEN_TEXTS)]
        # str.split() is quicker than `_words`, because it leaves empty words out by itself. It cuts at all white space,
        # and in an ASCII text that has none of _OTHER_WHITE_SPACE, the space is the only white space.
        return [text.split() if text.isascii() else self._words(text) for text in texts.split(_BETWEEN_TEXTS)]

    def _words(self, text: str) -> list[str]:
        return [word for word in text.split(self._split) if word]


def lowered_with_origins(text: str) -> tuple[str, Sequence[int]]:
    """A text in lower case, and for each of its characters the one of the text that it comes from.

    Example:
        >>> lowered, origins = lowered_with_origins("İA")  # the lower case of İ is i and a dot above
        >>> len(lowered), list(origins)
        (3, [0, 0, 1])
    """
    lowered = text.lower()
    if len(lowered) == len(text):  # no character has an empty lower case, so each has one of one character
        return lowered, range(len(text))
    return lowered, [place for place, character in enumerate(text) for _ in character.lower()]


def _byte_table(table: dict[int, str | None], split: str | None) -> bytes | None:
    """The rewriting that `table` does to characters as a table for bytes.translate, to use on UTF-8.

    None where bytes cannot be replaced one by one: where a filter or the separator is not one ASCII character, or is
    the character that joins texts.
    """
    if split is None or len(split) > 1 or not all(code < 128 for code in [ord(split), *table]):
        return None
    if split == _BETWEEN_TEXTS or ord(_BETWEEN_TEXTS) in table:
        return None
    return bytes(ord(split) if byte in table else byte for byte in range(256))
