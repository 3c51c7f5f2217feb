"""Texts of words as networks read them: the ids of each word, in windows where a text is longer than a network reads.

Shape letters: B batch, T tokens, W words, N windows.
"""

import array
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lmkeras.datasets.examples import EncodedExamples, padded_length
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer


@dataclasses.dataclass(frozen=True)
class WordLayout:
    """[first] the tokens of a window's words [last], at most `max_length` ids.

    A text of more tokens is read in windows that overlap by a quarter. Each word is answered for by one of them, in
    which it has tokens on both sides as far as that is possible.

    Args:
        max_length: the most ids of a window, special ones included.
        first: the id before the words, such as [CLS]; None for no such id.
        last: the id after the words, such as [SEP]; None for no such id.

    Raises:
        InputError: max_length leaves no room for windows that overlap.
    """

    max_length: int
    first: int | None = None
    last: int | None = None

    def __post_init__(self):
        if self.room < 8:
            raise InputError(f"max_length must be at least {8 + self.max_length - self.room}, got {self.max_length}")

    @property
    def room(self) -> int:
        """How many tokens of words a window has at most."""
        return self.max_length - (self.first is not None) - (self.last is not None)

    @property
    def stride(self) -> int:
        """How many tokens after a window's beginning the next one begins."""
        return self.room - 2 * self.longest_word

    @property
    def longest_word(self) -> int:
        """How many tokens of a word are read at most; more are left out."""
        return self.room // 8


class Window(NamedTuple):
    """A part of a text that is read at once, in words of the text.

    Attributes:
        start: the first word that is read.
        end: the word behind the last one that is read.
        answers_from: the first word that the window answers for.
        answers_to: the word behind the last one that it answers for.
    """

    start: int
    end: int
    answers_from: int
    answers_to: int


def windows_of(ends: np.ndarray, layout: WordLayout) -> list[Window]:
    """The windows of a text, in its order; every word is answered for by one of them.

    Args:
        ends: int [W], how many tokens the text has up to the end of each word, none longer than `longest_word`.
        layout: how windows are made.

    Example:
        >>> [tuple(window) for window in windows_of(np.arange(1, 15), WordLayout(max_length=8))]
        [(0, 8, 0, 7), (6, 14, 7, 14)]
    """
    words, tokens = len(ends), int(ends[-1]) if len(ends) else 0
    if tokens <= layout.room:
        return [Window(0, words, answers_from=0, answers_to=words)]
    starts = np.concatenate([[0], ends[:-1]])
    count = -(-(tokens - layout.room) // layout.stride) + 1
    owner = np.clip((starts - layout.longest_word) // layout.stride, 0, count - 1)
    begins = np.arange(count) * layout.stride
    first, behind = np.searchsorted(starts, begins), np.searchsorted(ends, begins + layout.room, side="right")
    bounds = np.searchsorted(owner, np.arange(count + 1))
    return [Window(*row) for row in np.stack([first, behind, bounds[:-1], bounds[1:]], axis=1).tolist()]


class Ragged(NamedTuple):
    """Rows of different lengths, one after the other; some of them, taken by their numbers, are padded with zeros.

    Attributes:
        values: [sum of all lengths].
        starts: int64 [N + 1], where each row begins, and where the last one ends.
    """

    values: np.ndarray
    starts: np.ndarray

    def rows(self, numbers: np.ndarray, size: int) -> np.ndarray:
        """Some rows, [B, size]."""
        at, starts = np.arange(size), self.starts[numbers][:, None]
        real = at < (self.starts[numbers + 1][:, None] - starts)
        found = np.zeros(real.shape, self.values.dtype)
        found[real] = self.values[(starts + at)[real]]
        return found


def ids_of_words(texts: Sequence[Sequence[str]], tokenizer: BaseTokenizer, longest_word: int) -> list[list[list[int]]]:
    """The ids of each word of each text, from the word alone (or behind a blank, see `BaseTokenizer.before_words`), so
    that a word has the same ids in every text.

    Args:
        texts: the words of each text.
        tokenizer: a fitted tokenizer.
        longest_word: how many ids a word has at most. It has at least one, that of unknown words if need be.
    """
    special, words = tokenizer.special, list({word for text in texts for word in text})
    nothing = [special.filler if special.unknown is None else special.unknown]
    ids = tokenizer.encode_batch([tokenizer.before_words + word for word in words])
    known = {word: of_word[:longest_word] or nothing for word, of_word in zip(words, ids, strict=True)}
    return [[known[word] for word in text] for text in texts]


@dataclasses.dataclass(frozen=True)
class EncodedWords(EncodedExamples):
    """Windows of texts as a network reads them.

    Attributes:
        word_starts: where the first token of each word stands in its window.
        word_ends: where the tokens of each word end in its window.
        windows: for each text, its windows.
    """

    word_starts: Ragged | None = None
    word_ends: Ragged | None = None
    windows: tuple[tuple[Window, ...], ...] = ()

    @property
    def names(self):
        """The names of the inputs."""
        return (*super().names, "word_starts", "word_ends")

    @classmethod
    def encode(cls, texts: Iterable[Sequence[str]], tokenizer: BaseTokenizer, layout: WordLayout) -> "EncodedWords":
        """Tokenizes texts of words; every text has at least one word."""
        ids, starts, words = array.array("i"), array.array("q", [0]), array.array("q", [0])
        word_starts, word_ends, found = array.array("i"), array.array("i"), []
        before, after = _list(layout.first), _list(layout.last)
        for text in ids_of_words(list(texts), tokenizer, layout.longest_word):
            ends = np.cumsum([len(word) for word in text])
            found.append(tuple(windows_of(ends, layout)))
            for window in found[-1]:
                read = text[window.start : window.end]
                own = len(before) + np.cumsum([0, *map(len, read)])
                word_starts.extend(own[:-1].tolist())
                word_ends.extend(own[1:].tolist())
                words.append(len(word_ends))
                ids.extend([*before, *(id for word in read for id in word), *after])
                starts.append(len(ids))
        splits = np.asarray(words, np.int64)
        return cls(
            np.asarray(ids, np.int32),
            np.asarray(starts, np.int64),
            first_lengths=None,
            filler=tokenizer.special.filler,
            word_starts=Ragged(np.asarray(word_starts, np.int32), splits),
            word_ends=Ragged(np.asarray(word_ends, np.int32), splits),
            windows=tuple(found),
        )

    def of_windows(self, made: Callable[[int, Window], np.ndarray]) -> "OfWords":
        """Values for the words of each window.

        Args:
            made: gives the values of a window's words from the number of its text and the window.
        """
        parts = [made(text, window) for text, windows in enumerate(self.windows) for window in windows]
        return OfWords(Ragged(np.concatenate(parts), self.word_starts.starts), self)

    def inputs(self, rows):
        """As in EncodedExamples; also word_starts and word_ends, int32 [B, W], 0 where a window has fewer words."""
        size = self.padded_words(rows)
        bounds = {name: getattr(self, name).rows(rows, size) for name in ("word_starts", "word_ends")}
        return {**super().inputs(rows), **bounds}

    def padded_words(self, rows: np.ndarray) -> int:
        """W for some of the windows: the words of the longest, and some more, so that there are few different W."""
        lengths = np.diff(self.word_starts.starts)
        return padded_length(lengths[rows].max(initial=1), lengths.max(initial=1))

    def in_texts(self, of_windows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What windows answered, put together for each text: every word is answered by the window that answers for it.

        Args:
            of_windows: for each window [W, …], more rows than it has words do no harm.
        """
        parts = iter(of_windows)
        return [
            np.concatenate([next(parts)[w.answers_from - w.start : w.answers_to - w.start] for w in windows])
            for windows in self.windows
        ]

    def digest(self, *others):
        """As in EncodedExamples."""
        arrays = [self.word_starts.values, self.word_starts.starts, self.word_ends.values]
        return super().digest(*arrays, *(other.values.values for other in others))


class OfWords(NamedTuple):
    """A value for every word, such as its tag, to be taken by the numbers of windows: [B, W], padded as the inputs are.

    Attributes:
        values: those of each window.
        examples: the windows.
    """

    values: Ragged
    examples: EncodedWords

    @property
    def dtype(self):
        """That of the values."""
        return self.values.values.dtype

    @property
    def shape(self) -> tuple:
        """(N, None)."""
        return len(self.values.starts) - 1, None

    def __getitem__(self, numbers):
        return self.values.rows(numbers, self.examples.padded_words(numbers))


def _list(id: int | None) -> list[int]:
    return [] if id is None else [id]
