"""Questions with pieces of their contexts as a network reads them: long contexts are read in overlapping windows.

Shape letters: B batch, T tokens, W windows of all questions, Q questions.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lmkeras.corpora.paths import quoted
from lmkeras.datasets.examples import EncodedExamples
from lmkeras.datasets.notes import TextNotes
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.tokenizers.special import SpecialIds

_TOKENIZED_AT_A_TIME = 1024


@dataclasses.dataclass(frozen=True)
class WindowLayout:
    """[first] question [separators] piece of the context [separator], at most `max_length` ids.

    The first place stands for "the answer is not in this window". The pieces of a long context overlap: each begins
    `doc_stride` tokens after the one before, or fewer, where the overlap would be too short for the longest answer.

    Args:
        max_length: the most ids of a window.
        doc_stride: the most tokens of the context from the beginning of one window to that of the next.
        max_answer_tokens: the most tokens of an answer; windows overlap by so many, or by half their length.
        first: the id before the question, such as [CLS].
        separator: the id after question and context, such as [SEP].
        separators: how often it stands between them.
        filler: the id with which shorter rows are padded.

    Source: Devlin et al. 2019; windows with a stride: their implementation for SQuAD.
    """

    max_length: int
    doc_stride: int
    max_answer_tokens: int
    first: int
    separator: int
    separators: int = 1
    filler: int = 0

    @classmethod
    def of(cls, special: SpecialIds, vocabulary_size: int, **lengths: int) -> "WindowLayout":
        """The layout with a tokenizer's special ids.

        Args:
            special: the tokenizer's special ids.
            vocabulary_size: the tokenizer's; this id stands between question and context if there is no separator.
            lengths: max_length, doc_stride and max_answer_tokens.
        """
        separator = vocabulary_size if special.separator is None else special.separator
        first = separator if special.classification is None else special.classification
        how = {"separators": special.separators, "filler": special.filler}
        return cls(**lengths, first=first, separator=separator, **how)

    @property
    def special_ids(self) -> int:
        """How many ids stand beside question and context."""
        return 2 + self.separators

    def room(self, question_tokens: int, question: str) -> int:
        """How many tokens of the context a window holds; InputError, which names the question, if it leaves too few."""
        most = self.max_length - self.special_ids - self.least_room
        room = self.max_length - self.special_ids - question_tokens
        if room < self.least_room:
            raise InputError(
                f"the question {quoted(question)} has {question_tokens} tokens, and a window of max_length "
                f"{self.max_length} holds {most} beside some of the context: shorten the question, or give a larger "
                "max_length"
            )
        return room

    @property
    def least_room(self) -> int:
        """The fewest tokens of a context that are left to a window by its question."""
        return max(1, self.max_length // 8)

    def step(self, room):
        """The tokens from the beginning of one window to that of the next; for an array of rooms, an array."""
        return np.minimum(self.doc_stride, room - np.minimum(self.max_answer_tokens, room // 2))


class Piece(NamedTuple):
    """The place of a window in the context of its question, in tokens of the context.

    A span of tokens i to j stands in several windows, but is answered with in one alone: that with low <= i + j < high,
    in which it is farthest from the ends.
    """

    begin: int
    end: int
    low: int
    high: int


_ALL = 2**30


def pieces(tokens: int, room: int, step: int) -> list[Piece]:
    """The windows of a context.

    Args:
        tokens: how many tokens the context has.
        room: the most tokens in a window.
        step: from the beginning of one window to that of the next, in [1, room].

    Example:
        >>> [(one.begin, one.end) for one in pieces(10, room=6, step=3)]
        [(0, 6), (3, 9), (6, 10)]
    """
    begins = range(0, max(1, tokens - room + step), step)
    ends = [min(begin + room, tokens) for begin in begins]
    # between two windows, the middle of what both hold: (the later begin + the earlier end) / 2
    bounds = [-_ALL, *(begin + end for begin, end in zip(begins[1:], ends[:-1], strict=True)), _ALL]
    spans = zip(begins, ends, strict=True)
    return [Piece(*span, low=bounds[i], high=bounds[i + 1]) for i, span in enumerate(spans)]


class Offsets(NamedTuple):
    """Where the tokens of a context stand in it: characters [start, end), int32 arrays both."""

    starts: np.ndarray
    ends: np.ndarray

    def tokens_of(self, start: int, end: int) -> tuple[int, int]:
        """The first and the last token that have a part of the characters [start, end); the last is before the first
        where no token has one."""
        first = int(np.searchsorted(self.ends, start, side="right"))
        return first, int(np.searchsorted(self.starts, end, side="left")) - 1


@dataclasses.dataclass(frozen=True)
class EncodedQuestions:
    """Questions with their contexts, in windows.

    Attributes:
        windows: the windows of all questions, one after the other.
        question_of: int32 [W], the number of the question of each window.
        heads: int32 [W], how many ids stand before the piece of the context.
        pieces: int32 [W, 4], the fields of each window's Piece.
        offsets: for each question, where the tokens of its context stand.
    """

    windows: EncodedExamples
    question_of: np.ndarray
    heads: np.ndarray
    pieces: np.ndarray
    offsets: list[Offsets]

    @classmethod
    def encode(
        cls, asked: Iterable[tuple[str, str]], tokenizer: BaseTokenizer, layout: WindowLayout, token_types: bool
    ) -> "EncodedQuestions":
        """Tokenizes pairs (question, context), and arranges them in windows.

        Args:
            asked: the pairs; equal contexts that stand near each other are tokenized once.
            tokenizer: the tokenizer.
            layout: how windows are made.
            token_types: whether the network is told which ids are of the context.
        """
        made, asked, notes = _Made(), iter(asked), TextNotes(tokenizer.special.unknown)
        while some := list(itertools.islice(asked, _TOKENIZED_AT_A_TIME)):
            contexts = dict.fromkeys(context for _, context in some)
            encoded = zip(contexts, tokenizer.encode_batch_with_offsets(list(contexts)), strict=True)
            known = {context: (one.ids, _offsets(one.offsets)) for context, one in encoded}
            for pair, ids in zip(some, tokenizer.encode_batch([question for question, _ in some]), strict=True):
                context_ids, offsets = known[pair[1]]
                notes.add(pair, ids, context_ids)
                made.add(ids, context_ids, offsets, layout=layout, room=layout.room(len(ids), pair[0]))
        return made.encoded(layout, notes, token_types)

    def __len__(self) -> int:
        return len(self.offsets)

    def targets(self, spans: Iterable[tuple[int, int] | None]) -> tuple[np.ndarray, int]:
        """What each window should answer with.

        Args:
            spans: for each question the characters [start, end) of its answer, or None if it has none.

        Returns:
            int32 [W, 2], the places of the answer's first and last token among the window's ids, both 0 where the
            window does not hold the answer; and how many questions have an answer that no window holds.
        """
        spans, nowhere = list(spans), (0, -1)
        tokens = [at.tokens_of(*span) if span else nowhere for at, span in zip(self.offsets, spans, strict=True)]
        wanted = np.array(tokens, np.int32).reshape(-1, 2)[self.question_of]
        begins, ends = self.pieces[:, 0], self.pieces[:, 1]
        held = (begins <= wanted[:, 0]) & (wanted[:, 0] <= wanted[:, 1]) & (wanted[:, 1] < ends)
        places = wanted + (self.heads - begins)[:, None]
        lost = sum(span is not None for span in spans) - len(np.unique(self.question_of[held]))
        return np.where(held[:, None], places, 0).astype(np.int32), lost


class _Made:
    """Windows while they are made."""

    def __init__(self):
        self.ids, self.question_of, self.heads, self.pieces, self.offsets = [], [], [], [], []

    def add(
        self, question: list[int], context: list[int], offsets: Offsets, *, layout: WindowLayout, room: int
    ) -> None:
        head = [layout.first, *question, *[layout.separator] * layout.separators]
        for piece in pieces(len(context), room, int(layout.step(room))):
            row = [*head, *context[piece.begin : piece.end], layout.separator]
            self.ids.append(np.array(row, np.int32))
            self.question_of.append(len(self.offsets))
            self.heads.append(len(head))
            self.pieces.append(piece)
        self.offsets.append(offsets)

    def encoded(self, layout: WindowLayout, notes: TextNotes, token_types: bool) -> EncodedQuestions:
        starts = np.cumsum([0, *map(len, self.ids)], dtype=np.int64)
        ids = np.concatenate([np.zeros(0, np.int32), *self.ids])
        heads = np.array(self.heads, np.int32)
        others = {"filler": layout.filler, "notes": notes}
        windows = EncodedExamples(ids, starts, first_lengths=heads if token_types else None, **others)
        question_of, placed = np.array(self.question_of, np.int32), np.array(self.pieces, np.int32).reshape(-1, 4)
        return EncodedQuestions(windows, question_of, heads=heads, pieces=placed, offsets=self.offsets)


def _offsets(pairs: list[tuple[int, int]]) -> Offsets:
    array = np.array(pairs, np.int32).reshape(-1, 2)
    return Offsets(array[:, 0].copy(), array[:, 1].copy())
