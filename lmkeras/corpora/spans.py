"""What an example of a tagged corpus holds: the words of a text, and which of them are named."""

from typing import NamedTuple


class Span(NamedTuple):
    """The words [start, end) of a text, and the type of what they name, such as PER."""

    start: int
    end: int
    type: str


class TaggedText(NamedTuple):
    """The words of a text, and spans of them: in the order of the words, without overlaps, none of them empty.

    No word is empty or has a blank or a line end in it; rare corpora have other white space as a word, such as U+3000.
    """

    words: tuple[str, ...]
    spans: tuple[Span, ...] = ()


class Place(NamedTuple):
    """Where a text of a corpus comes from, for messages.

    Attributes:
        source: in the user's words, such as the name of a file.
        lines: the number of the line of each word, where each has its own.
    """

    source: str
    lines: tuple[int, ...] = ()

    def of_word(self, index: int) -> str:
        """The place of a word, such as "a.conll line 7"."""
        return f"{self.source} line {self.lines[index]}" if self.lines else f"{self.source} word {index + 1}"

    def __str__(self) -> str:
        return f"{self.source} line {self.lines[0]}" if self.lines else self.source


class TaggedRow(NamedTuple):
    """A text as a source gives it: words with tags, whose scheme is not known yet, or words with spans.

    Attributes:
        words: the words of the text.
        tags: the tag of each word; None where there are spans.
        spans: spans of words; empty where there are tags.
        place: where the text comes from.
        form: the format of the source, in words.
        splitting: how the source's text was cut into words, as `word_spans` names it; None where words were given.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    spans: tuple[Span, ...]
    place: Place
    form: str
    splitting: str | None = None
