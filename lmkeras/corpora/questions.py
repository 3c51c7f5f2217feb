"""Questions about texts, each with its context and the answers in it: what question answering learns from."""

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import NamedTuple

from lmkeras.corpora.corpus import require_usable
from lmkeras.corpora.paths import quoted
from lmkeras.corpora.tables import Rows, split_rows
from lmkeras.errors import InputError

_log = logging.getLogger("lmkeras")


class Question(NamedTuple):
    """A question, the text that may answer it, and the right answers.

    Attributes:
        question: the question.
        context: the text.
        answers: right answers, each a part of the context, such as those that several people gave; none if the context
            does not answer the question.
        starts: where each answer starts in the context, in characters; as many as there are answers.
        id: what the corpus calls the question; "" if it has no name.
    """

    question: str
    context: str
    answers: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    id: str = ""


class Places:
    """Finds where answers stand in their contexts, and counts what is not as it should be.

    Attributes:
        ambiguous: how many answers have no start and stand in several places.
        moved: how many starts were wrong.
    """

    def __init__(self):
        self.ambiguous = self.moved = 0

    def question(
        self,
        question: object,
        context: object,
        answers: Sequence[str],
        starts: Sequence[int | None],
        place: str,
        id: str = "",
    ) -> Question:
        """The question with a start for each answer.

        Args:
            question: its text.
            context: its context.
            answers: right answers; blanks around one that does not stand in the context are left out.
            starts: where each of them starts; None for an answer whose place has to be found: its first one.
            place: where the question comes from, for messages.
            id: what the corpus calls it.

        Raises:
            InputError: something is no text, or an answer does not stand in the context.
        """
        for name, text in (("question", question), ("context", context), *(("answer", answer) for answer in answers)):
            if not isinstance(text, str):
                raise InputError(f"{place}: expected a text as {name}, got {'null' if text is None else repr(text)}")
            require_usable(text, place)
        if not question.strip():
            raise InputError(f"{place}: the question is empty: leave it out")
        pairs = [_without_blanks(context, *one) for one in zip(answers, starts, strict=True)]
        found = tuple(self._start(context, *one, place) for one in pairs)
        return Question(question, context, tuple(answer for answer, _ in pairs), starts=found, id=id)

    def _start(self, context: str, answer: str, start: int | None, place: str) -> int:
        if start is not None and start >= 0 and context.startswith(answer, start):
            return start
        first = context.find(answer)
        if first < 0:
            raise InputError(
                f"{place}: the answer {quoted(answer)} is not in its context, letter for letter: mend it, or leave the "
                "question out"
            )
        if start is None:
            self.ambiguous += context.find(answer, first + 1) >= 0
            return first
        self.moved += 1
        return min(_all_places(context, answer), key=lambda at: abs(at - start))

    def tell(self) -> None:
        """Logs, once for a corpus, how many answers had no place of their own."""
        if self.ambiguous:
            _log.warning(
                "%d answers stand in several places of their context, and no offset says in which: the first is taken. "
                "A column answer_start can say it",
                self.ambiguous,
            )
        if self.moved:
            _log.warning("%d answers do not stand where answer_start says: the nearest place is taken", self.moved)


def _without_blanks(context: str, answer: str, start: int | None) -> tuple[str, int | None]:
    """An answer and its start; without the blanks at its ends if it stands in the context without them alone."""
    bare = answer.strip()
    if answer in context or not bare or bare not in context:
        return answer, start
    return bare, None if start is None else start + answer.index(bare)


def _all_places(context: str, answer: str) -> Iterable[int]:
    at = context.find(answer)
    while at >= 0:
        yield at
        at = context.find(answer, at + 1)


def answers_of(value: object, start: object, place: str) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """Answers and their starts (None: unknown), from what a corpus has for them.

    Args:
        value: nothing, an empty text or an empty list where there is no answer; a text or a number; a list of these, or
            of objects with text and answer_start; or one object with text and answer_start, each alone or in lists.
        start: the start, or the list of starts, that the corpus has beside it; None or an empty text for none.
        place: where it comes from, for messages.

    Example:
        >>> answers_of({"text": ["Paris", "Paris, France"], "answer_start": [3, 3]}, None, "line 1")
        (('Paris', 'Paris, France'), (3, 3))
    """
    if isinstance(value, Mapping):
        value, start = value.get("text"), value.get("answer_start", start)
    values = [_text_of_number(one) for one in _listed(value) if not _is_nothing(one)]
    if values and all(isinstance(one, Mapping) for one in values):
        pairs = [answers_of(one, None, place) for one in values]
        return tuple(text for texts, _ in pairs for text in texts), tuple(at for _, ats in pairs for at in ats)
    starts = [None if _is_nothing(one) else _whole(one, place) for one in _listed(start)]
    if not values:
        return (), ()
    if starts and len(starts) != len(values):
        raise InputError(f"{place}: expected a start for each answer, got {len(values)} answers and {len(starts)}")
    return tuple(values), tuple(starts or [None] * len(values))


def _listed(value: object) -> list:
    """What a value holds: the items of a list or array, or itself alone."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _is_nothing(value: object) -> bool:
    return value is None or value == "" or value != value or type(value).__name__ == "NAType"  # NaN is not itself


def _text_of_number(value: object) -> object:
    """A number as it is written; anything else as it is."""
    return str(value) if isinstance(value, Real) and not isinstance(value, bool) else value


def _whole(value: object, place: str) -> int:
    try:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{place}: expected the start of an answer as a whole number, got {value!r}") from None


class Questions(Rows):
    """Questions in a fixed order, in memory."""

    @classmethod
    def of(cls, questions: Iterable[Question]) -> "Questions":
        """A corpus of questions; InputError if there are none."""
        kept = list(questions)
        if not kept:
            raise InputError("there are no questions in it")
        return cls(partial(iter, kept))

    def part(self, *readers):
        """Some of the questions."""
        return Questions(*readers)


def split_questions(corpus: Rows, validation_fraction: float, seed: int = 0) -> tuple[Rows, Rows]:
    """Cuts a corpus in two at random, so that no context is in both parts.

    If all questions are about one context, questions are chosen instead of contexts.

    Args:
        corpus: the questions.
        validation_fraction: the share of the questions that the validation part has at least, in (0, 1); it has more
            where the last of its contexts has several questions.
        seed: the same seed chooses the same contexts.

    Returns:
        (train, validation), each in the order of the corpus.

    Raises:
        InputError: the fraction is outside (0, 1), or leaves one part empty.
    """
    questions = list(corpus)
    contexts = list(dict.fromkeys(question.context for question in questions))
    if len(contexts) == 1 or not 0 < validation_fraction < 1:
        return split_rows(corpus, validation_fraction, seed)
    counts = dict.fromkeys(contexts, 0)
    for question in questions:
        counts[question.context] += 1
    random.Random(seed).shuffle(contexts)
    held_out, wanted = set(), validation_fraction * len(questions)
    while wanted > 0 and len(held_out) < len(contexts) - 1:
        held_out.add(contexts[len(held_out)])
        wanted -= counts[contexts[len(held_out) - 1]]
    parts = ([], [])
    for question in questions:
        parts[question.context in held_out].append(question)
    return Questions.of(parts[0]), Questions.of(parts[1])
