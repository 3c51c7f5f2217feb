"""Answers to questions: which spans of a context they are, and how probable each is.

Shape letters: T tokens of a window, N tokens of its context, A the most tokens of an answer.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmkeras.datasets import EncodedQuestions
from lmkeras.tasks.predictions import ShownTop
from lmkeras.tokenizers.pieces import BLANKS

_MOST_ANSWERS = 20


class Answer(NamedTuple):
    """An answer: a part of the context, or none.

    Attributes:
        text: context[start:end]; "" for "the context does not answer this".
        start: the first of its characters in the context, in Unicode code points.
        end: the place behind its last character.
        probability: see `found_spans`.
    """

    text: str
    start: int
    end: int
    probability: float


@dataclasses.dataclass(frozen=True)
class ShownAnswers(ShownTop):
    """What is shown of the answers to a question, of which there is at least one."""

    def row(self, given: Sequence[Answer]) -> dict[str, object]:
        """Answer (None for none), start, end and probability; with top_k, those of the likeliest answers as `top`."""
        rows = [{"answer": one.text or None, **dict(list(one._asdict().items())[1:])} for one in given]
        if self.top_k is None:
            return rows[0]
        lacking = [dict.fromkeys(rows[0])] * (self.top_k - len(rows))
        return {"answer": rows[0]["answer"], "top": [*rows[: self.top_k], *lacking]}

    def row_names(self) -> list[str]:
        """The headings answer, start, end and probability; with top_k, those with a number for each answer."""
        names = ("answer", *Answer._fields[1:])
        if self.top_k is None:
            return list(names)
        return ["answer", *(f"{name}_{number}" for number in range(1, self.top_k + 1) for name in names)]

    def line(self, given: Sequence[Answer]) -> str:
        """Answer and probability, or those of the likeliest answers, with tabs between them."""
        return "\t".join(f"{one.text or '(no answer)'}\t{one.probability:.4f}" for one in given[: self.top_k or 1])


class FoundSpans(NamedTuple):
    """The likeliest spans of one context, the likeliest first; no two of them overlap.

    Attributes:
        tokens: int32 [spans, 2], the first and the last token of each.
        log_probabilities: float64 [spans].
        no_answer: the logarithm of the probability that the context holds no answer; -inf if that is ruled out.
    """

    tokens: np.ndarray
    log_probabilities: np.ndarray
    no_answer: float

    @property
    def no_answer_odds(self) -> float:
        """How much likelier no answer is than the likeliest one, as a difference of logarithms."""
        return self.no_answer - self.log_probabilities[0] if len(self.log_probabilities) else np.inf


def found_spans(
    encoded: EncodedQuestions,
    logits: Sequence[np.ndarray],
    max_answer_tokens: int,
    unanswerable: bool,
    most: int = _MOST_ANSWERS,
) -> Iterator[FoundSpans]:
    """The likeliest spans for each question.

    In each window, two softmaxes over its T tokens give log P(start) and log P(end); a span's score is their sum. The
    probability of a span is its share of exp(score) over all spans of all windows of the question, with at most
    `max_answer_tokens` tokens each; a span that stands in several windows counts in that alone in which it is farthest
    from the ends. If there may be no answer, it has a share too: the score of the first place, of the window in which
    that is lowest.

    Args:
        encoded: the questions in windows.
        logits: for each window, the logits [T, 2] of start and end; places behind its ids are ignored.
        max_answer_tokens: A.
        unanswerable: whether there may be no answer.
        most: the most spans to give of each question.
    """
    bounds = np.searchsorted(encoded.question_of, np.arange(len(encoded) + 1))
    for first, last in itertools.pairwise(bounds):
        parts, nothing = [], np.inf
        for window in range(first, last):
            head, (begin, end, low, high) = encoded.heads[window], encoded.pieces[window]
            scores = np.asarray(logits[window][: encoded.windows.lengths[window]], np.float64)
            scores = scores - np.logaddexp.reduce(scores, axis=0)
            nothing = min(nothing, scores[0].sum())
            starts, ends = scores[head : head + end - begin].T
            parts.append(_spans(starts, ends, begin=begin, low=low, high=high, size=max_answer_tokens))
        scores, tokens = (np.concatenate(column) for column in zip(*parts, strict=True))
        nothing = nothing if unanswerable or not len(scores) else -np.inf
        total = np.logaddexp.reduce(np.append(scores, nothing))
        best = _apart(scores, tokens, most)
        yield FoundSpans(tokens[best], scores[best] - total, no_answer=float(nothing - total))


def _spans(
    starts: np.ndarray, ends: np.ndarray, *, begin: int, low: int, high: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all spans that a window answers with, and the first and the last token of each."""
    count = len(starts)
    first = np.arange(count)[:, None]
    last = first + np.arange(size)
    whole = begin + begin + first + last  # the sum of both places in the context
    at = np.nonzero((last < count) & (low <= whole) & (whole < high))
    first, last = at[0], at[0] + at[1]
    return starts[first] + ends[last], np.stack([first, last], axis=1) + begin


def _apart(scores: np.ndarray, tokens: np.ndarray, most: int) -> list[int]:
    """The numbers of the likeliest spans that do not overlap, the likeliest first."""
    left, found = scores.copy(), []
    while len(found) < most and left.size and left.max() > -np.inf:
        found.append(int(left.argmax()))
        first, last = tokens[found[-1]]
        left[(tokens[:, 0] <= last) & (first <= tokens[:, 1])] = -np.inf
    return found


def answers(found: FoundSpans, starts: np.ndarray, ends: np.ndarray, context: str, threshold: float) -> list[Answer]:
    """The answers of a context, the one that is given first; there is at least one.

    Args:
        found: the likeliest spans.
        starts: int [tokens of the context], where each begins in it.
        ends: where each ends.
        context: the text.
        threshold: no answer is given if `FoundSpans.no_answer_odds` is above it.
    """
    places = [_within(context, int(starts[first]), int(ends[last])) for first, last in found.tokens]
    probabilities = np.exp(found.log_probabilities).tolist()
    given = [
        Answer(context[start:end], start, end=end, probability=probability)
        for (start, end), probability in zip(places, probabilities, strict=True)
    ]
    if found.no_answer == -np.inf:
        return given
    nothing = Answer("", 0, 0, probability=float(np.exp(found.no_answer)))
    if not given or found.no_answer_odds > threshold:
        return [nothing, *given]
    others = sorted([nothing, *given[1:]], key=lambda one: -one.probability)
    return [given[0], *others]


def _within(context: str, start: int, end: int) -> tuple[int, int]:
    """The part of context[start:end] without white space around it, or all of it if it is nothing else."""
    text = context[start:end]
    left, right = len(text.lstrip(BLANKS)), len(text.rstrip(BLANKS))
    return (end - left, start + right) if left else (start, end)
