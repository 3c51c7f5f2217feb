"""The contract of a task. A task is what a model does with texts, such as continuing or classifying them.

A task knows its examples, how they become batches, the head that answers, the metrics, the report and the signatures
of an exported model. Through this contract, fitting, resuming, saving, loading, exporting and most verbs of the command
line work for every task, also for a new one. Only the verbs `score` and `generate` are for language models alone.

This module and the tasks' modules import no TensorFlow, so that the command line shows its help at once.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from lmkeras.corpora.memory import sources_in
from lmkeras.corpora.tables import Rows, as_rows, fold_rows, open_rows, split_rows
from lmkeras.errors import unknown_name
from lmkeras.tasks.columns import Columns, TextColumns
from lmkeras.tasks.data import Defaults, Metric, TrainingData, ValidationData
from lmkeras.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from lmkeras.corpora.unlabelled import TextRow
    from lmkeras.networks.contract import Body, Head
    from lmkeras.networks.network import Network
    from lmkeras.tokenizers.base import BaseTokenizer


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """The options of a task that has none."""


class Runner(abc.ABC):
    """Evaluates and predicts with a trained network; keeps the functions that it has traced."""

    @abc.abstractmethod
    def judge(self, corpus, **options) -> tuple[dict[str, float], Any]:
        """Judges a corpus: values by name, and a report or None.

        Args:
            corpus: what `Task.corpus` returned.
            options: the fields of `Task.Evaluation`.
        """

    @abc.abstractmethod
    def predict(self, texts: Iterable, at_a_time: int = 1024) -> Iterable[tuple[Any, Any]]:
        """Each text with its answer, in the order of the texts, which are read and answered `at_a_time` at a time."""


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """What a model does with texts, such as continuing or classifying them.

    A task is a frozen dataclass. Its fields are the options that its user chose and the facts that it learnt from the
    corpus, such as labels; both are kept in config.json, under the fields' names, as JSON. Every field has a default,
    because the command line makes the task without arguments to open files.

    Attributes of the class without a default are required: `kind`, `title`, `command`, `Example` and `signatures`; so
    are the abstract methods. docs/extending.md says when each attribute and each method is used.
    """

    #: what config.json calls models of this task
    kind: ClassVar[str]
    #: what messages call such a model, with its article
    title: ClassVar[str]
    #: the word COMMAND in `lmkeras train COMMAND`
    command: ClassVar[str]
    #: what the command's help says: "summary", "text", "validation", "tokenizer", "vocabulary_size"
    help: ClassVar[Mapping[str, str]] = {}
    #: the NamedTuple of an example; tables have a column for each of its fields
    Example: ClassVar[type]
    #: where tables hold the parts of an example
    Columns: ClassVar[type] = Columns
    #: the options of `lmkeras train` beside network and tokenizer: fields of the task that the user may set
    Options: ClassVar[type] = NoOptions
    #: the options of `evaluate`
    Evaluation: ClassVar[type] = NoOptions
    #: the options of `predict`, by which `row`, `row_names` and `line` show an answer
    Showing: ClassVar[type] = NoOptions
    #: the settings of `fit`
    Settings: ClassVar[type[TrainingSettings]] = TrainingSettings
    #: the kind of bodies that suit the task: "readers" of whole texts, or "writers"
    bodies: ClassVar[str] = "readers"
    #: the networks among which `defaults` chooses for a corpus
    auto_networks: ClassVar[Sequence[str]] = ("cnn",)
    tokenizers: ClassVar[Sequence[str]] = ("words", "characters", "byte_pair", "word_piece")
    default_tokenizer: ClassVar[str] = "words"
    #: the default for text of scripts without spaces between words, such as Chinese; if it is one of `tokenizers`
    default_tokenizer_without_spaces: ClassVar[str] = "characters"
    metrics: ClassVar[Sequence[Metric]] = ()
    #: metrics of texts that the network writes; they take long, so that only one that is the monitor is reported
    written_metrics: ClassVar[Sequence[Metric]] = ()
    #: the metric by which the best weights are chosen, or "loss"
    monitor: ClassVar[str] = "loss"
    #: the names of an exported model's signatures
    signatures: ClassVar[Sequence[str]]
    #: how the names of transformers' classes end whose published models do this task, such as "ForMaskedLM"
    architectures: ClassVar[Sequence[str]] = ()
    #: whether `lmkeras predict` answers texts one by one
    answers_texts: ClassVar[bool] = True
    #: what `predict --output` writes beside tables: functions of an open text file and answers, by the file's ending
    answers_files: ClassVar[Mapping[str, Callable[[TextIO, Iterable], None]]] = {}
    #: whether `judge` returns a report: its `text()` gives tables, `data()` the same for JSON, `draw(picture)` draws it
    reports: ClassVar[bool] = False

    # the corpus, and what is learnt from it

    def config(self) -> dict:
        """The entries of the task in config.json."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_config(cls, config: Mapping) -> "Task":
        """The task that `config` described. Tuples may have become lists, because JSON has no tuples.

        A field that the entries lack has its default, so that a task may get new fields.
        """
        return cls(**{field.name: config[field.name] for field in dataclasses.fields(cls) if field.name in config})

    @classmethod
    def of_published(cls, architecture: str, config: Mapping, labels: Sequence[str] | None) -> "Task | None":
        """The task of a published model; None if it does another task.

        Args:
            architecture: one of `architectures`.
            config: the content of its config.json.
            labels: the names of its answers; None if config.json has none.
        """
        return cls()

    def open(self, sources: Sequence[str], columns: Columns, encoding: str):
        """Opens files as a corpus; by default, tables with a column for each field of an example."""
        return open_rows(sources, example=self.Example, columns=vars(columns), encoding=encoding)

    def open_texts(self, sources: Sequence[str], columns: TextColumns, encoding: str) -> "Iterable[TextRow]":
        """Opens files of texts without answers, for `predict`; by default, the texts of the text (and pair) column."""
        from lmkeras.corpora.unlabelled import open_text_rows

        return open_text_rows(sources, encoding=encoding, **vars(columns))

    def corpus(self, value, columns: Columns | None = None, encoding: str = "utf-8"):
        """The corpus that an argument of `fit` or `evaluate` stands for: a corpus, files, or examples in memory.

        Args:
            value: a corpus, sources, or whatever holds examples, see `corpora.memory`.
            columns: where files and tables hold the parts of an example; None: under the default names.
            encoding: the files' encoding.
        """
        columns, sources = columns or self.Columns(), sources_in(value)
        if sources is not None:
            return self.open(list(map(str, sources)), columns, encoding)
        return as_rows(value, self.Example, **vars(columns))

    def split(self, corpus, validation_fraction: float, seed: int):
        """Splits a corpus: (the part to train on, the part to validate on); by default, examples at random."""
        return split_rows(corpus, validation_fraction, seed)

    def folds(self, corpus, num_folds: int, seed: int) -> Iterable[tuple]:
        """For each fold of a cross-validation (the part to train on, the part held out); by default, at random."""
        return fold_rows(corpus, num_folds, seed)

    def texts(self, corpus: Rows) -> Iterable[str]:
        """All texts of the examples, on which a tokenizer is fitted."""
        return corpus.column(0)

    def tokenizer_in(self, corpus) -> "BaseTokenizer | None":
        """The tokenizer with which a corpus was tokenized; None for a corpus of text."""
        return None

    def learned(self, train, held_out, settings: TrainingSettings, trained: bool) -> "Task":
        """The task with what it learns from a corpus.

        Args:
            train: the corpus to train on.
            held_out: the corpus to validate on, or None.
            settings: how training will be done.
            trained: whether there is a network already. It belongs to facts that were learnt before, which must stay.

        Raises:
            InputError: this task cannot be learnt from the corpus.
        """
        return self

    def defaults(self, corpus, networks: Sequence[str]) -> Defaults:
        """What a corpus to train on is trained with; `networks` are those of `auto_networks` that suit the request."""
        return Defaults(networks[0])

    def sizes(self) -> dict[str, int]:
        """Sizes of the body that follow from the task's options; they are used for bodies that have such sizes."""
        return {}

    def vocabulary_size(self, tokenizer: "BaseTokenizer") -> int:
        """How many ids the network must know."""
        return tokenizer.vocabulary_size

    @abc.abstractmethod
    def head(self, body: "Body", dropout: float | None = None) -> "Head":
        """A new head for a body; dropout None means the body's dropout."""

    @abc.abstractmethod
    def check(self, network: "Network", tokenizer: "BaseTokenizer") -> None:
        """Raises InputError if a network, its tokenizer and the task do not belong together."""

    @abc.abstractmethod
    def training_data(
        self, corpus, tokenizer: "BaseTokenizer", network: "Network", settings: TrainingSettings
    ) -> TrainingData:
        """The batches of a corpus to train on."""

    @abc.abstractmethod
    def validation_data(self, corpus, tokenizer: "BaseTokenizer", network: "Network", replicas: int) -> ValidationData:
        """The batches of a corpus to validate on, which `replicas` replicas can share."""

    def findings(self, train: TrainingData, held_out: ValidationData | None, tokenizer, network) -> Iterable[str]:
        """What is odd about the data, a line for each thing, such as texts that stand in both parts."""
        return ()

    def keras_metrics(self, network: "Network") -> "list[keras.metrics.Metric]":
        """New Keras metrics under the names of `metrics`."""
        return []

    def described(self) -> str:
        """What is trained, for people: the first line that a training prints."""
        return self.title

    def baseline(self, train, judged) -> Mapping[str, float]:
        """What a guess gets that does not read the text: values by name, for a warning where a network is no better.

        Args:
            train: many targets of the training, in an array (or one for each kind), without those of weight 0.
            judged: the same of the validation part; without one, `train`.
        """
        return {}

    def monitored(self, settings: TrainingSettings) -> Metric:
        """The metric that decides which weights are the best, under its name in Keras' logs.

        Raises:
            InputError: the settings name a monitor that is not a metric of this task.
        """
        known = {f"val_{name}": up for name, up in (("loss", False), *self.metrics, *self.written_metrics)}
        name = settings.monitor or f"val_{self.monitor}"
        if name not in known:
            raise unknown_name("monitor", name, known)
        return Metric(name, known[name])

    def calibrated(self, runner: Runner, held_out) -> "Task":
        """The task with what is chosen after training, such as thresholds; by default, itself.

        Args:
            runner: the Runner of the trained network, with the best weights.
            held_out: the corpus on which the training was validated.
        """
        return self

    def row(self, answer: Any, **options) -> Mapping[str, object]:
        """An answer of the Runner as a JSON object, for `predict`; `options` are the fields of `Task.Showing`."""
        return {"answer": answer}

    def row_names(self, **options) -> Sequence[str]:
        """The headings of a table's columns for an answer: one for each number or string that `row` contains."""
        return ["answer"]

    def line(self, answer: Any, **options) -> str:
        """An answer as `lmkeras predict` prints it, before the text; the arguments are those of `row`."""
        return str(answer)

    @abc.abstractmethod
    def runner(self, network: "Network", tokenizer: "BaseTokenizer") -> Runner:
        """The Runner that evaluates and predicts with a trained network."""

    @abc.abstractmethod
    def exported(self, network: "Network", tokenizer: "BaseTokenizer", dtype: str) -> "tuple[tf.Module, dict]":
        """A module of TensorFlow's own operations, from text to answers, and its functions by signature name."""

    def after_training(self, train, held_out) -> Iterable[str]:
        """Lines that the command line prints after training and evaluation."""
        return ()
