"""The base of tasks that label texts or pairs of texts: one label each, or any number of labels.

Shape letters: N texts, C labels.
"""

import abc
import dataclasses
from typing import ClassVar, Literal, NamedTuple

from lmkeras.corpora import (
    as_labelled_corpus,
    folds,
    open_labelled_corpus,
    require_known_labels,
    require_several_labels,
    split_labelled,
)
from lmkeras.corpora.corpus import Text
from lmkeras.corpora.labelled_split import require_two_of_each_label
from lmkeras.display import shown
from lmkeras.errors import InputError
from lmkeras.tasks.base import TextColumns
from lmkeras.tasks.checks import findings_of_labels
from lmkeras.tasks.choosing import LabelledAmount, classifier_defaults
from lmkeras.tasks.predictions import ShownLabels
from lmkeras.tasks.whole_texts import TextLengths, WholeTextTask
from lmkeras.training.settings import ClassifierFitSettings

_LABELS, _LABEL_CELLS = 8, 20  # how many labels a training names at its beginning, and how wide each is


class LabelledText(NamedTuple):
    """An example: a text or a pair of texts, and its label."""

    text: Text
    label: str


@dataclasses.dataclass(frozen=True)
class LabelledColumns(TextColumns):
    """Where tables hold the parts of a labelled text."""

    label_column: str = "label"
    """column or key that holds the label, or a list of labels."""
    label_separator: str | None = None
    """what stands between labels, such as ",", where the column may hold several of them; None: it holds one."""
    label_columns: tuple[str, ...] | None = None
    """columns or keys that each hold a 0 or 1 for the label of their name, instead of one column of labels."""


@dataclasses.dataclass(frozen=True)
class ClassifierOptions(TextLengths):
    """How much of a text a classifier sees."""

    long_texts: Literal["start", "end", "both"] = "start"
    """what is kept of longer texts: their start, their end, or equal parts of both."""


@dataclasses.dataclass(frozen=True)
class LabelledTask(WholeTextTask):
    """A task that labels texts. The labels are learnt from the corpus, or are given with a built network."""

    labels: tuple[str, ...] | None = None
    """The labels' names in the order of the logits, None until a corpus has shown them."""

    auto_networks: ClassVar[tuple] = ("ngrams", "cnn", "dense", "lstm", "transformer")
    Example: ClassVar[type] = LabelledText
    Columns: ClassVar[type] = LabelledColumns
    Options: ClassVar[type] = ClassifierOptions
    Showing: ClassVar[type] = ShownLabels
    help: ClassVar[dict] = {
        "validation": "labelled text to validate on; None: examples of every label taken from the training text.",
        "tokenizer": "how text becomes tokens; auto: words, characters for text such as Chinese, WordPiece for bert, "
        "characters for ngrams.",
        "vocabulary_size": "the largest number of different tokens; None: 10000 words, every character, 4096 byte "
        "pairs, 8192 pieces.",
    }
    Settings: ClassVar[type] = ClassifierFitSettings
    signatures: ClassVar[tuple] = ("classify",)
    reports: ClassVar[bool] = True
    architectures: ClassVar[tuple] = ("ForSequenceClassification",)
    #: what a published config.json calls this kind of answers
    problem_type: ClassVar[str]

    @classmethod
    def of_published(cls, architecture, config, labels):
        """The task with the published labels; InputError for a model that gives texts a number."""
        labels = labels or ("LABEL_0", "LABEL_1")
        kind = config.get("problem_type") or "single_label_classification"
        if kind == "regression" or (len(labels) == 1 and not config.get("problem_type")):
            raise InputError("the published model gives each text a number (regression), and lmkeras has no such task")
        return cls(labels=labels) if kind == cls.problem_type else None

    def __post_init__(self):
        super().__post_init__()
        if self.labels is not None:
            if isinstance(self.labels, str) or not all(isinstance(label, str) for label in self.labels):
                raise InputError(f"labels must be a list of strings, got {self.labels!r}")
            object.__setattr__(self, "labels", tuple(self.labels))  # JSON gives a list

    def sizes(self):
        """Also the number of labels, once they are known."""
        return super().sizes() if self.labels is None else {**super().sizes(), "num_labels": len(self.labels)}

    def defaults(self, corpus, networks):
        """For single texts see `classifier_defaults`; for pairs, the first network that tells their texts apart."""
        if self.pairs:
            return super().defaults(corpus, [name for name in networks if name != "ngrams"] or networks)
        return classifier_defaults(LabelledAmount.of(corpus.texts(), len(self.labels)), networks)

    @abc.abstractmethod
    def size_of(self, network) -> int | None:
        """The number of labels that a network's head answers with; None for a head that is not of this task."""

    @abc.abstractmethod
    def counts(self, targets):
        """The number of examples with each label, int [C], from what `targets` returned."""

    def open(self, sources, columns, encoding):
        """See `open_labelled_corpus`."""
        return open_labelled_corpus(sources, encoding=encoding, **vars(columns))

    def corpus(self, value, columns=None, encoding="utf-8"):
        """See `as_labelled_corpus`."""
        return as_labelled_corpus(value, encoding, **vars(columns or self.Columns()))

    def split(self, corpus, validation_fraction, seed):
        """Takes examples at random, with the same share of every label in both parts."""
        require_several_labels(corpus)  # checked on all examples, as a part may lack a label
        return split_labelled(corpus, validation_fraction, seed)

    def folds(self, corpus, num_folds, seed):
        """Deals the examples at random to the folds, so that every label has its share in each of them.

        Raises:
            InputError: there are fewer than two labels, or a label has only one example.
        """
        require_several_labels(corpus)
        require_two_of_each_label(corpus)
        return folds(corpus, num_folds, seed)

    def texts(self, corpus):
        """All texts; of a pair, both."""
        return corpus.texts()

    def learned(self, train, held_out, settings, trained):
        """Learns the labels, unless they are known already."""
        require_several_labels(train)
        counts = train.label_counts()
        labels = self.labels or tuple(counts)
        for part in (counts, {} if held_out is None else held_out.label_counts()):
            require_known_labels(part, labels)
        settings.weights_of({label: counts.get(label, 0) for label in labels})  # raises InputError for unknown labels
        return dataclasses.replace(
            super().learned(train, held_out=held_out, settings=settings, trained=trained), labels=labels
        )

    def findings(self, train, held_out, tokenizer, network):
        """As for all texts; also labels with one example, and one that most examples have."""
        yield from super().findings(train, held_out, tokenizer=tokenizer, network=network)
        if train.noted is not None:
            counts = self.counts(train.noted.targets).tolist()
            counts, texts = dict(zip(self.labels, counts, strict=True)), len(train.noted.targets)
            yield from findings_of_labels(counts, texts, self.monitor)

    def described(self):
        """How many labels there are, and the first of them."""
        named = ", ".join(shown(label, _LABEL_CELLS) for label in self.labels[:_LABELS])
        count = f"{len(self.labels)} label{'s' * (len(self.labels) != 1)}"
        return f"{self.title} of {count}: {named}{', …' * (len(self.labels) > _LABELS)}"

    def check(self, network, tokenizer):
        """Raises InputError if network and labels differ in their number, or if `layout` raises it."""
        super().check(network, tokenizer)
        classes = self.size_of(network)
        if classes is None:
            raise InputError(f"network must be a name or a classification network, got {network.described()}")
        if self.labels is None:
            raise InputError("a built network needs the fitted tokenizer and the labels it belongs to")
        if len(set(self.labels)) != len(self.labels) or len(self.labels) != classes:
            raise InputError(
                f"expected {classes} labels, one for each of the network's classes, got {', '.join(self.labels)}"
            )
