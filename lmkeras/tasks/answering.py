"""The task of answering questions with a part of a given text, its context."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import ClassVar, Literal

import numpy as np

from lmkeras.corpora.question_files import as_questions, open_asked, open_questions
from lmkeras.corpora.questions import Question, split_questions
from lmkeras.datasets import EncodedQuestions, TrainingExamples, WindowLayout, evaluation_batches
from lmkeras.errors import InputError
from lmkeras.tasks.answer_runner import AnswerRunner, main_answer
from lmkeras.tasks.answers import ShownAnswers
from lmkeras.tasks.base import Task
from lmkeras.tasks.checks import findings_of_texts, require_length
from lmkeras.tasks.data import Metric, TrainingData, ValidationData
from lmkeras.tasks.registry import register_task
from lmkeras.training.settings import TrainingSettings

_MAX_LENGTH = 384  # if the user sets no limit, and the network none that is lower
_BATCH_SIZE = 16
#: BERT is fine-tuned in some passes, and in more where few questions make few updates
_FEWEST_EPOCHS, _MOST_EPOCHS, _UPDATES = 3, 10, 1000


@dataclasses.dataclass(frozen=True)
class QuestionColumns:
    """Where tables and JSON lines hold the parts of a question."""

    question_column: str = "question"
    """column (.csv, .tsv) or key (.jsonl) that holds the question."""
    context_column: str = "context"
    """column or key that holds the text that may answer it."""
    answer_column: str = "answer"
    """column or key that holds the answer, or a list of answers (also found under answers); empty: there is none."""
    start_column: str | None = None
    """column or key of the place where the answer starts in the context, in characters; None: answer_start or start,
    or, where there is none, the first place where the answer stands."""
    quoting: Literal["auto", "on", "off"] = "auto"
    """what a quotation mark means in .csv and .tsv. on: a field that begins with one goes on to the closing one; off:
    it is a character like others; auto: on in .csv, off in .tsv."""


@dataclasses.dataclass(frozen=True)
class AnsweringSettings(TrainingSettings):
    """How to train a question answerer."""

    epochs: int | None = None
    """Passes over the training text; None: 3, or up to 10 as long as there are fewer than 1000 updates, if neither
    steps nor minutes is given."""
    batch_size: int | None = None
    """Number of windows in one update; None: 16."""

    def filled(self, defaults):
        """See TrainingSettings."""
        return super().filled({"batch_size": _BATCH_SIZE, **defaults})

    def most_steps(self, steps_per_epoch):
        """See TrainingSettings.

        Example:
            >>> [AnsweringSettings().most_steps(steps) // steps for steps in (10, 200, 900)]
            [10, 5, 3]
        """
        if any(value is not None for value in (self.epochs, self.steps, self.minutes)):
            return super().most_steps(steps_per_epoch)
        epochs = -(-_UPDATES // steps_per_epoch)
        return steps_per_epoch * min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, epochs))


@dataclasses.dataclass(frozen=True)
class WindowOptions:
    """How long contexts are read, and how long answers are."""

    max_length: int | None = None
    """the most tokens of a window, with the question in it; None: 384, or the network's limit if that is less."""
    doc_stride: int = 128
    """the most tokens of a long context from the beginning of one window to that of the next."""
    max_answer_tokens: int = 30
    """the most tokens of an answer."""

    def __post_init__(self):
        for name, least in (("max_length", 8), ("doc_stride", 1), ("max_answer_tokens", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} must be at least {least}, got {value}")


@register_task
@dataclasses.dataclass(frozen=True)
class Answering(WindowOptions, Task):
    """Answers questions with a part of their context, or, if it has learnt that from the corpus, with none."""

    unanswerable: bool = False
    """Whether questions of the corpus had no answer."""
    no_answer_threshold: float = 0.0
    """No answer is given if it is likelier than the likeliest one by more than this, as a difference of logarithms."""

    kind: ClassVar[str] = "question_answerer"
    title: ClassVar[str] = "a question answerer"
    command: ClassVar[str] = "qa"
    help: ClassVar[dict] = {
        "summary": "Train a network to answer questions with a part of a text, and save the model.",
        "text": "files of questions: SQuAD's JSON, or .csv, .tsv or .jsonl with columns question, context, answer and "
        "perhaps answer_start (.gz too).",
        "validation": "questions to validate on; None: those about some of the contexts, taken at random.",
        "tokenizer": "how text becomes tokens; auto: words, characters for text such as Chinese, WordPiece for bert.",
        "vocabulary_size": "the largest number of different tokens; None: the tokenizer's own default.",
    }
    Example: ClassVar[type] = Question
    Columns: ClassVar[type] = QuestionColumns
    Options: ClassVar[type] = WindowOptions
    Showing: ClassVar[type] = ShownAnswers
    Settings: ClassVar[type] = AnsweringSettings
    auto_networks: ClassVar[tuple] = ("lstm", "transformer")
    metrics: ClassVar[tuple] = (Metric("span_accuracy", higher_is_better=True),)
    monitor: ClassVar[str] = "span_accuracy"
    signatures: ClassVar[tuple] = ("answer",)
    architectures: ClassVar[tuple] = ("ForQuestionAnswering",)

    def open(self, sources, columns, encoding):
        """See `open_questions`."""
        return open_questions(sources, encoding=encoding, **vars(columns))

    def open_texts(self, sources, columns, encoding):
        """Pairs (question, context), of the columns of these names unless the user names others."""
        from lmkeras.corpora.unlabelled import TextRow

        own = {"question_column": "question" if columns.text_column == "text" else columns.text_column}
        own["context_column"] = columns.pair_column or "context"
        for question, context, id in open_asked(sources, encoding=encoding, quoting=columns.quoting, **own):
            named = {"id": id} if id else {}
            yield TextRow((question, context), {**named, "question": question, "context": context})

    def corpus(self, value, columns=None, encoding="utf-8"):
        """See `as_questions`."""
        return as_questions(value, encoding, **vars(columns or self.Columns()))

    def split(self, corpus, validation_fraction, seed):
        """Takes contexts at random: no context is in both parts."""
        return split_questions(corpus, validation_fraction, seed)

    def texts(self, corpus):
        """All questions, and each context once for questions about it that follow one another."""
        before = None
        for question in corpus:
            yield question.question
            if question.context != before:
                yield question.context
            before = question.context

    def learned(self, train, held_out, settings, trained):
        """Learns whether there are questions without an answer."""
        unanswerable = (trained and self.unanswerable) or any(not question.answers for question in train)
        return dataclasses.replace(self, unanswerable=unanswerable)

    def sizes(self):
        """max_length, if it is set."""
        return {} if self.max_length is None else {"max_length": self.max_length}

    def vocabulary_size(self, tokenizer):
        """The tokenizer's vocabulary size; 1 more if it has no separator, for an id between question and context."""
        return tokenizer.vocabulary_size + (tokenizer.special.separator is None)

    def head(self, body, dropout=None):
        """A SpanHead, without dropout unless it is asked for, as BERT is fine-tuned."""
        from lmkeras.networks.heads.spans import SpanHead

        return SpanHead(dropout or 0.0, body.initializer_range)

    def layout(self, network, tokenizer) -> WindowLayout:
        """How the network's input is made of questions and contexts.

        Raises:
            InputError: max_length is more than the network can look at, or the tokenizer has ids that the network does
                not know.
        """
        limit, known, special = network.body.max_length, network.body.vocabulary_size, tokenizer.special
        require_length(self.max_length, limit)
        if self.vocabulary_size(tokenizer) > known:
            raise InputError(
                f"the network has a vocabulary of {known}, and {self.vocabulary_size(tokenizer)} ids are needed for "
                "this tokenizer and what stands between question and context"
            )
        max_length = self.max_length or min(_MAX_LENGTH, limit or _MAX_LENGTH)
        lengths = {"doc_stride": self.doc_stride, "max_answer_tokens": self.max_answer_tokens}
        return WindowLayout.of(special, tokenizer.vocabulary_size, max_length=max_length, **lengths)

    def check(self, network, tokenizer):
        """Raises InputError if the head does not find spans, or if `layout` raises it."""
        from lmkeras.networks.heads.spans import SpanHead

        if not isinstance(network.head, SpanHead):
            raise InputError(f"{self.title} needs a network with a SpanHead, got {network.described()}")
        self.layout(network, tokenizer)

    def encode(self, asked: Iterable[tuple[str, str]], tokenizer, network) -> EncodedQuestions:
        """Pairs (question, context) as a network reads them."""
        layout = self.layout(network, tokenizer)
        return EncodedQuestions.encode(asked, tokenizer, layout, token_types=network.body.takes_token_types)

    def encode_with_targets(self, corpus, tokenizer, network) -> tuple[EncodedQuestions, np.ndarray, int]:
        """Questions as a network reads them, and what `EncodedQuestions.targets` returns for their main answers."""
        questions = list(corpus)
        encoded = self.encode(((one.question, one.context) for one in questions), tokenizer, network)
        return encoded, *encoded.targets(map(main_answer, questions))

    def training_data(self, corpus, tokenizer, network, settings):
        """Batches of windows of similar length, in an order that the seed fixes."""
        encoded, targets, lost = self.encode_with_targets(corpus, tokenizer, network)
        how = {"batch_size": settings.batch_size, "seed": settings.seed}
        train = TrainingExamples(encoded.windows, targets, **how)
        noted = {"noted": (encoded.windows.notes, lost), "amount": _amount(encoded)}
        return TrainingData(train.dataset, train.steps_per_epoch, train.digest, **noted)

    def validation_data(self, corpus, tokenizer, network, replicas):
        """Batches that contain every window once, the shortest first."""
        encoded, targets, lost = self.encode_with_targets(corpus, tokenizer, network)
        batches = functools.partial(evaluation_batches, encoded.windows, targets)
        digest = functools.partial(encoded.windows.digest, targets)
        noted = {"noted": (encoded.windows.notes, lost), "amount": _amount(encoded)}
        return ValidationData(lambda share: batches(share=share), digest, **noted)

    def findings(self, train, held_out, tokenizer, network):
        """Questions that repeat, unknown tokens, and answers that no window holds."""
        notes, lost = train.noted
        yield from findings_of_texts(notes, held_out and held_out.noted[0])
        if lost:
            yield (
                f"{lost} of {notes.texts} training questions have an answer that no window holds, or that is no token: "
                "their windows are learnt as those without an answer"
            )

    def keras_metrics(self, network):
        """The share of windows whose start and end are both right."""
        from lmkeras.training.spans import SpanAccuracy

        return [SpanAccuracy()]

    def calibrated(self, runner, held_out):
        """Chooses the threshold for no answer that gives the highest F1, if there are questions without an answer."""
        if not self.unanswerable:
            return self
        return dataclasses.replace(self, no_answer_threshold=runner.best_threshold(held_out))

    def row(self, answer, **options):
        """See ShownAnswers."""
        return ShownAnswers(**options).row(answer)

    def row_names(self, **options):
        """See ShownAnswers."""
        return ShownAnswers(**options).row_names()

    def line(self, answer, **options):
        """See ShownAnswers."""
        return ShownAnswers(**options).line(answer)

    def runner(self, network, tokenizer):
        """An AnswerRunner."""
        return AnswerRunner(self, network, tokenizer)

    def exported(self, network, tokenizer, dtype):
        """Strings question [B] and context [B] → answer, start, end, probability."""
        from lmkeras.tasks.in_graph.answering import ExportedAnswering

        module = ExportedAnswering(self, network=network, tokenizer=tokenizer, dtype=dtype)
        return module, dict.fromkeys(("serving_default", *self.signatures), module.answer)


def _amount(encoded: EncodedQuestions) -> str:
    return f"{len(encoded):,} questions in {len(encoded.windows):,} windows"
