"""A corpus, that is texts that can be read any number of times, and `split`, which cuts it into two parts."""

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice

from lmkeras.errors import InputError

#: A corpus of fewer texts is cut by characters: a cut between two texts would be far from the wanted fraction.
_FEWEST_TEXTS_TO_CUT_BETWEEN = 10

#: Characters that no text may have: NUL, the sign of a binary file or a wrong encoding, and lone surrogates, which
#: cannot be written as UTF-8, as every tokenizer needs it.
_UNUSABLE = re.compile(r"[\x00\ud800-\udfff]")


#: what is asked about: a text, or a pair of texts
Text = str | tuple[str, str]


class Examples:
    """Examples in a fixed order. Every iteration reads them anew, so that they need not fit into memory together.

    It has no length, because counting the examples would mean reading all of them.

    Args:
        *readers: functions without arguments. Each one starts reading its share of the examples from the beginning;
            the shares follow one another in this order.
    """

    def __init__(self, *readers: Callable[[], Iterator]):
        self._readers = readers

    def __iter__(self) -> Iterator:
        for read in self._readers:
            yield from read()


class Corpus(Examples):
    """Texts in a fixed order. Every iteration reads them anew, so that they need not fit into memory together.

    No text contains U+0000 or a lone surrogate. `count` gives the number of texts, by reading all of them.

    Args:
        *readers: functions without arguments. Each one starts reading its share of the texts from the beginning; the
            shares follow one another in this order.

    Example:
        >>> corpus = Corpus.from_texts(["To be, or not to be,", " that is the question"])
        >>> list(corpus) == list(corpus)
        True
        >>> corpus.count()
        (2, 41)
    """

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> "Corpus":
        """A corpus of texts that are in memory already.

        Args:
            texts: at least one string; the corpus copies the list.

        Returns:
            A Corpus that yields the texts unchanged, empty ones too.

        Raises:
            InputError: `texts` is empty, is a single string, or holds something that is not a usable text.
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
        """The number of texts and the number of characters (code points), counted by reading the corpus once."""
        texts = characters = 0
        for text in self:
            texts += 1
            characters += len(text)
        return texts, characters


def require_usable(text: str, place: str, first_line: int | None = None) -> None:
    """Raises InputError for a text with a character that no text of a corpus may contain.

    Args:
        text: the text to check.
        place: where the text comes from, in the user's words, for the message.
        first_line: number of the line in which `text` begins, from 1; None where the message needs no line number.

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
    """Cuts a corpus in two: the first part is for training, the rest for validation.

    Of n >= 10 texts the first int(n * (1 - validation_fraction)) are for training. A corpus of fewer texts is cut by
    characters: of c characters the first int(c * (1 - validation_fraction)) are for training, so the cut may fall
    inside a text.

    Args:
        corpus: is read once here, to count it; each part reads it again whenever the part is iterated.
        validation_fraction: share of the validation part, in (0, 1).

    Returns:
        (train, validation), neither empty; together, in this order, they are the corpus.

    Raises:
        InputError: `validation_fraction` is outside (0, 1), or the corpus is too small for it.

    Example:
        >>> train, validation = split(Corpus.from_texts(["abcdefgh", "ij"]), validation_fraction=0.3)
        >>> list(train), list(validation)
        (['abcdefg'], ['h', 'ij'])
    """
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction: expected a number between 0 and 1, got {validation_fraction}")
    # a Fraction is exactly the decimal that the user wrote: with floats, 10 * (1 - 0.9) would be less than 1
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
    """The first characters of a corpus as texts, of which the last one may be cut short."""
    for text in corpus:
        if len(text) >= characters:
            yield text[:characters]
            return
        yield text
        characters -= len(text)


def _after(corpus: Corpus, characters: int) -> Iterator[str]:
    """The texts of a corpus after its first characters; the first text may be the rest of one that was cut."""
    for text in corpus:
        if len(text) > characters:
            yield text[characters:]
        characters = max(0, characters - len(text))
