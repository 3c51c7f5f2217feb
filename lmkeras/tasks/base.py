"""The contract of a task: what is asked of a text, and everything that depends on what is asked.

A task knows its examples, how they become batches, the head that answers, the metrics, the report and the signatures
of an exported model. Fitting, resuming, saving, loading, exporting, the command line and the server know no task.

This module and the tasks' modules import no TensorFlow, so that the command line's help comes at once.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from lmkeras.corpora.tables import Rows, as_rows, open_rows, split_rows
from lmkeras.errors import InputError
from lmkeras.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from lmkeras.networks.contract import Body, Head
    from lmkeras.networks.network import Network
    from lmkeras.tokenizers.base import BaseTokenizer


class Metric(NamedTuple):
    """A number that training reports beside the loss.

    Attributes:
        name: as in metrics.jsonl; of the validation part val_ stands before it.
        higher_is_better: its direction.
    """

    name: str
    higher_is_better: bool


class TrainingData(NamedTuple):
    """What a training reads.

    Attributes:
        dataset: given a number of updates, the batches that come after so many, without end. A batch is (dictionary of
            inputs, targets, weights).
        steps_per_epoch: how many batches are one pass over the corpus.
        digest: gives what no other corpus has, in hexadecimal.
    """

    dataset: Callable[[int], "tf.data.Dataset"]
    steps_per_epoch: int
    digest: Callable[[], str]


class ValidationData(NamedTuple):
    """What the weights are judged on in training.

    Attributes:
        dataset: batches as in training, of known number.
        digest: gives what no other corpus has, in hexadecimal.
    """

    dataset: "tf.data.Dataset"
    digest: Callable[[], str]


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where tables hold the parts of an example."""

    text_column: str = "text"
    """column (.csv, .tsv) or key (.jsonl) that holds the text."""


@dataclasses.dataclass(frozen=True)
class TextColumns(Columns):
    """Where tables hold a text, or a pair of texts."""

    pair_column: str | None = None
    """column or key that holds the second text, where an example is a pair of texts."""


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """No options."""


class Runner(abc.ABC):
    """A trained network at work: what a task's verbs need, with what was traced once and is kept."""

    @abc.abstractmethod
    def judge(self, corpus, **options) -> tuple[dict[str, float], Any]:
        """Values by name, and a report with `text()` and `draw(picture)`, or None where the task has none.

        Args:
            corpus: what `Task.corpus` gave.
            options: the fields of `Task.Evaluation`.
        """

    @abc.abstractmethod
    def predict(self, texts: Iterable, at_a_time: int = 1024) -> Iterable[tuple[Any, Any]]:
        """Each text with the answer to it, in the order of the texts, of which so many at a time are read."""


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """What is asked of a text.

    A task is a frozen dataclass. Its fields are the options that its user chose and the facts that it learnt from the
    corpus, such as labels; both are kept in config.json, under the fields' names, as JSON.
    """

    #: what config.json calls models of this task
    kind: ClassVar[str]
    #: what messages call such a model, with its article
    title: ClassVar[str]
    #: `lmkeras train COMMAND`
    command: ClassVar[str]
    #: what the command's help says: "summary", "text", "validation", "tokenizer", "vocabulary_size"
    help: ClassVar[Mapping[str, str]] = {}
    #: the NamedTuple of an example; tables have a column for each of its fields
    Example: ClassVar[type]
    #: where tables hold the parts of an example
    Columns: ClassVar[type] = Columns
    #: what the user may choose beside network and tokenizer: the fields that the user sets, with their help
    Options: ClassVar[type] = NoOptions
    #: what may be chosen where a model is judged
    Evaluation: ClassVar[type] = NoOptions
    #: how to train
    Settings: ClassVar[type[TrainingSettings]] = TrainingSettings
    #: which bodies can do it: "readers" of whole texts, or "writers"
    bodies: ClassVar[str] = "readers"
    default_network: ClassVar[str] = "cnn"
    tokenizers: ClassVar[Sequence[str]] = ("words", "characters", "byte_pair", "word_piece")
    default_tokenizer: ClassVar[str] = "words"
    metrics: ClassVar[Sequence[Metric]] = ()
    #: the metric by which the best weights are chosen, or "loss"
    monitor: ClassVar[str] = "loss"
    #: the names of an exported model's signatures
    signatures: ClassVar[Sequence[str]]
    #: whether `lmkeras predict` answers texts one by one
    answers_texts: ClassVar[bool] = True
    #: whether a judgement comes with a report: `text()` gives its tables, `draw(picture)` draws it
    reports: ClassVar[bool] = False

    # what is learnt from, and kept

    def config(self) -> dict:
        """What config.json says of the task."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_config(cls, config: Mapping) -> "Task":
        """The task of what `config` gave, after a journey through JSON."""
        return cls(**{field.name: config[field.name] for field in dataclasses.fields(cls)})

    def open(self, sources: Sequence[str], columns: Columns, encoding: str):
        """The corpus that files stand for: unless a task says otherwise, tables with a column for each field."""
        return open_rows(sources, example=self.Example, columns=vars(columns), encoding=encoding)

    def open_texts(self, sources: Sequence[str], columns: TextColumns, encoding: str) -> Iterable:
        """Texts without what is to be said of them, for `predict`: unless a task says otherwise, of the text column."""
        from lmkeras.corpora import open_examples

        return open_examples(
            sources, text_column=columns.text_column, pair_column=columns.pair_column, encoding=encoding
        )

    def corpus(self, value):
        """What `fit` and `evaluate` make of their argument: a corpus, a source, or examples in memory."""
        return as_rows(value, self.Example)

    def split(self, corpus, validation_fraction: float, seed: int):
        """(what trains, what validates); unless a task says otherwise, examples taken at random."""
        return split_rows(corpus, validation_fraction, seed)

    def texts(self, corpus: Rows) -> Iterable[str]:
        """All texts of the examples, for a tokenizer to be fitted on."""
        return corpus.column(0)

    def tokenizer_in(self, corpus) -> "BaseTokenizer | None":
        """The tokenizer that a corpus was made with; None for text."""
        return None

    def learned(self, train, held_out, settings: TrainingSettings, trained: bool) -> "Task":
        """The task with what it learns from a corpus.

        Args:
            train: the corpus.
            held_out: what validates, or None.
            settings: how training will be done.
            trained: whether there is a network already, which the facts learnt before belong to.

        Raises:
            InputError: the corpus is none to learn this task from.
        """
        return self

    # the network

    def sizes(self) -> dict[str, int]:
        """Sizes of a body that the task's options say, where the body has them."""
        return {}

    def vocabulary_size(self, tokenizer: "BaseTokenizer") -> int:
        """How many ids the network must know."""
        return tokenizer.vocabulary_size

    @abc.abstractmethod
    def head(self, body: "Body", dropout: float | None = None) -> "Head":
        """A fresh head for a body; its dropout is the body's where it is None."""

    @abc.abstractmethod
    def check(self, network: "Network", tokenizer: "BaseTokenizer") -> None:
        """InputError where a network, its tokenizer and the task do not belong together."""

    # training

    @abc.abstractmethod
    def training_data(
        self, corpus, tokenizer: "BaseTokenizer", network: "Network", settings: TrainingSettings
    ) -> TrainingData:
        """The batches of a corpus."""

    @abc.abstractmethod
    def validation_data(self, corpus, tokenizer: "BaseTokenizer", network: "Network", replicas: int) -> ValidationData:
        """The batches of what validates, shared among so many replicas."""

    def keras_metrics(self) -> "list[keras.metrics.Metric]":
        """New Keras metrics under the names of `metrics`."""
        return []

    def monitored(self, settings: TrainingSettings) -> Metric:
        """What chooses the best weights, under the name that it has in the logs.

        Raises:
            InputError: the settings name no metric of this task.
        """
        known = {f"val_{name}": up for name, up in (("loss", False), *self.metrics)}
        name = settings.monitor or f"val_{self.monitor}"
        if name not in known:
            raise InputError(f"unknown monitor {name!r}: expected one of {', '.join(known)}")
        return Metric(name, known[name])

    # at work

    @abc.abstractmethod
    def runner(self, network: "Network", tokenizer: "BaseTokenizer") -> Runner:
        """What evaluates and predicts with a trained network."""

    @abc.abstractmethod
    def exported(self, network: "Network", tokenizer: "BaseTokenizer", dtype: str) -> "tuple[tf.Module, dict]":
        """A module of TensorFlow's own operations, from text to answers, and its functions by signature."""

    def after_training(self, train, held_out) -> Iterable[str]:
        """Lines that the command line prints when training and judging are done."""
        return ()
