"""A corpus: texts that can be read any number of times, and its cut into a training and a validation part."""

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice

from lmkeras.errors import InputError

#: Below this many texts a cut between two of them would miss the asked-for fraction by far.
_FEWEST_TEXTS_TO_CUT_BETWEEN = 10

#: NUL marks a binary file or a wrong encoding; a lone surrogate has no UTF-8 form, which all tokenizers need.
_UNUSABLE = re.compile(r"[\x00\ud800-\udfff]")


class Examples:
    """Examples in a fixed order, streamed anew by every iteration and never held in memory together.

    There is no length, because knowing it takes a pass over everything.

    Args:
        *readers: functions without arguments, each of which starts reading its share of the examples from the
            beginning; they are given one after the other.
    """

    def __init__(self, *readers: Callable[[], Iterator]):
        self._readers = readers

    def __iter__(self) -> Iterator:
        for read in self._readers:
            yield from read()


class Corpus(Examples):
    """Texts in a fixed order, streamed anew by every iteration and never held in memory together.

    No text contains U+0000 or a lone surrogate. `count` gives the number of texts, by a pass over everything.

    Args:
        *readers: functions without arguments, each of which starts reading its share of the texts from the
            beginning; the corpus is their texts one after the other.

    Example:
        >>> corpus = Corpus.from_texts(["To be, or not to be,", " that is the question"])
        >>> list(corpus) == list(corpus)
        True
        >>> corpus.count()
        (2, 41)
    """

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> "Corpus":
        """The corpus of texts that are in memory already.

        Args:
            texts: at least one string; the corpus keeps its own list of them.

        Returns:
            A Corpus that yields the texts as they are, empty ones too.

        Raises:
            InputError: `texts` is empty, is one string, or holds something that is not a usable text.
        """
        if isinstance(texts, str):
            raise InputError("expected a list of texts, got one string: put it into a list, [text]")
        kept = list(texts)
        if not kept:
            raise InputError("expected at least one text, got an empty list")
        for number, text in enumerate(kept, 1):
            if not isinstance(text, str):
                kind = type(text).__name__
                raise InputError(f"text {number} of the list: expected a string, got {kind}; a list holds only texts")
            require_usable(text, f"text {number} of the list")
        return cls(partial(iter, kept))

    def count(self) -> tuple[int, int]:
        """The numbers of texts and of characters (code points), by one pass over the corpus."""
        texts = characters = 0
        for text in self:
            texts += 1
            characters += len(text)
        return texts, characters


def require_usable(text: str, place: str, first_line: int | None = None) -> None:
    """Refuses a text with a character that no text of a corpus may contain.

    Args:
        text: what was read.
        place: where it was read, in the user's words.
        first_line: number of the line that `text` begins in, where the message is to name the line; starts at 1.

    Raises:
        InputError: the text contains U+0000 or a lone surrogate.
    """
    found = _UNUSABLE.search(text)
    if found is None:
        return
    if first_line is not None:
        line = first_line + text.count("\n", 0, found.start())
        place = f"{place} line {line}"
    raise InputError(
        f"{place}: U+{ord(found.group()):04X} is not a character of text. Remove it; where a file is full of them, "
        "it is not a text file, or its encoding (--encoding) is another, such as utf-16-le"
    )


def split(corpus: Corpus, validation_fraction: float = 0.1) -> tuple[Corpus, Corpus]:
    """Cuts a corpus in two: what comes first trains, the rest validates.

    Of n >= 10 texts the first int(n * (1 - validation_fraction)) train. Fewer texts are cut by characters: of c
    characters the first int(c * (1 - validation_fraction)) train, and the cut may go through a text.

    Args:
        corpus: is read once here to count it; each part reads it again whenever it is iterated.
        validation_fraction: share of the validation part, in (0, 1).

    Returns:
        (train, validation), neither empty; one after the other they are the corpus.

    Raises:
        InputError: `validation_fraction` is outside (0, 1), or the corpus is too small for it.

    Example:
        >>> train, validation = split(Corpus.from_texts(["abcdefgh", "ij"]), validation_fraction=0.3)
        >>> list(train), list(validation)
        (['abcdefg'], ['h', 'ij'])
    """
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction: expected a number between 0 and 1, got {validation_fraction}")
    # The decimal that the user wrote, exactly: as floats, 10 * (1 - 0.9) is less than 1.
    training_fraction = 1 - Fraction(str(validation_fraction))
    texts, characters = corpus.count()
    by_texts = texts >= _FEWEST_TEXTS_TO_CUT_BETWEEN
    total = texts if by_texts else characters
    cut = int(total * training_fraction)
    if not 0 < cut < total:
        raise InputError(
            f"the corpus is too small to split: of {texts} texts with {characters} characters, a validation_fraction "
            f"of {validation_fraction} leaves one part empty. Give more text or a validation corpus of its own"
        )
    if by_texts:
        return Corpus(partial(islice, corpus, cut)), Corpus(partial(islice, corpus, cut, None))
    return Corpus(partial(_before, corpus, cut)), Corpus(partial(_after, corpus, cut))


def _before(corpus: Corpus, characters: int) -> Iterator[str]:
    """The texts up to a number of characters, the last one cut there."""
    for text in corpus:
        if len(text) >= characters:
            yield text[:characters]
            return
        yield text
        characters -= len(text)


def _after(corpus: Corpus, characters: int) -> Iterator[str]:
    """The texts from a number of characters on, the first one cut there."""
    for text in corpus:
        if len(text) > characters:
            yield text[characters:]
        characters = max(0, characters - len(text))
