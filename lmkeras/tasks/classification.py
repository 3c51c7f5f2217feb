"""The task of a classifier: to choose one of several labels for a text or for a pair of texts.

Shape letters: N texts, C classes.
"""

import dataclasses
from collections import Counter
from typing import ClassVar, Literal, NamedTuple

import numpy as np

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
from lmkeras.reports import ClassificationReport
from lmkeras.tasks.base import Metric, TextColumns
from lmkeras.tasks.checks import findings_of_labels
from lmkeras.tasks.predictions import Prediction, ShownLabels
from lmkeras.tasks.registry import register_task
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
    """column or key that holds the label."""


@dataclasses.dataclass(frozen=True)
class ClassifierOptions(TextLengths):
    """How much of a text a classifier sees."""

    long_texts: Literal["start", "end", "both"] = "start"
    """what is kept of longer texts: their start, their end, or equal parts of both."""


@register_task
@dataclasses.dataclass(frozen=True)
class Classification(WholeTextTask):
    """Which of some labels a text has. The labels are learnt from the corpus, or are given with a built network."""

    labels: tuple[str, ...] | None = None
    """The classes' names in the order of the logits, None until a corpus has shown them."""

    kind: ClassVar[str] = "text_classifier"
    title: ClassVar[str] = "a text classifier"
    command: ClassVar[str] = "classifier"
    help: ClassVar[dict] = {
        "summary": "Train a text classifier on labelled text and save it.",
        "text": ".csv, .tsv, .jsonl with columns, .txt of label TAB text or __label__ lines (.gz too), a folder with a "
        "subfolder for each label, tfds:NAME:SPLIT, builtin:python-docstrings.",
        "validation": "labelled text to validate on; None: examples of every label taken from the training text.",
        "tokenizer": "how text becomes tokens; auto: words, characters for text such as Chinese, WordPiece for bert.",
        "vocabulary_size": "the largest number of different tokens; None: 10000 words, every character, 4096 byte "
        "pairs, 8192 pieces.",
    }
    Example: ClassVar[type] = LabelledText
    Columns: ClassVar[type] = LabelledColumns
    Options: ClassVar[type] = ClassifierOptions
    Showing: ClassVar[type] = ShownLabels
    Settings: ClassVar[type] = ClassifierFitSettings
    metrics: ClassVar[tuple] = (Metric("accuracy", higher_is_better=True), Metric("macro_f1", higher_is_better=True))
    monitor: ClassVar[str] = "accuracy"
    signatures: ClassVar[tuple] = ("classify",)
    reports: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        if self.labels is not None:
            if isinstance(self.labels, str) or not all(isinstance(label, str) for label in self.labels):
                raise InputError(f"labels must be a list of strings, got {self.labels!r}")
            object.__setattr__(self, "labels", tuple(self.labels))  # JSON gives a list

    def open(self, sources, columns, encoding):
        """See `open_labelled_corpus`."""
        return open_labelled_corpus(
            sources,
            text_column=columns.text_column,
            label_column=columns.label_column,
            pair_column=columns.pair_column,
            encoding=encoding,
            quoting=columns.quoting,
        )

    def corpus(self, value, columns=None, encoding="utf-8"):
        """See `as_labelled_corpus`."""
        return as_labelled_corpus(value, encoding, **vars(columns or self.Columns()))

    def split(self, corpus, validation_fraction, seed):
        """Takes examples at random, with the same share of every label in both parts."""
        require_several_labels(corpus.label_counts())  # checked on all examples, as a part may lack a label
        return split_labelled(corpus, validation_fraction, seed)

    def folds(self, corpus, num_folds, seed):
        """Deals the examples at random to the folds, so that every label has its share in each of them.

        Raises:
            InputError: there are fewer than two labels, or a label has only one example.
        """
        require_several_labels(corpus.label_counts())
        require_two_of_each_label(corpus)
        return folds(corpus, num_folds, seed)

    def texts(self, corpus):
        """All texts; of a pair, both."""
        return corpus.texts()

    def learned(self, train, held_out, settings, trained):
        """Learns the labels, unless they are known already."""
        counts = train.label_counts()
        require_several_labels(counts)
        labels = self.labels or tuple(counts)
        for part in (counts, {} if held_out is None else held_out.label_counts()):
            require_known_labels(part, labels)
        settings.weights_of({label: counts.get(label, 0) for label in labels})  # raises InputError for unknown labels
        return dataclasses.replace(
            super().learned(train, held_out=held_out, settings=settings, trained=trained), labels=labels
        )

    def head(self, body, dropout=None):
        """Dropout and a dense layer with a logit for each label."""
        from lmkeras.networks.heads.classes import ClassesHead

        return ClassesHead(len(self.labels), body.dropout if dropout is None else dropout, body.initializer_range)

    def check(self, network, tokenizer):
        """Raises InputError if network and labels differ in their number of classes, or if `layout` raises it."""
        super().check(network, tokenizer)
        classes = getattr(network.head, "num_classes", None)
        if classes is None:
            raise InputError(f"network must be a name or a classification network, got {network.described()}")
        if self.labels is None:
            raise InputError("a built network needs the fitted tokenizer and the labels it belongs to")
        if len(set(self.labels)) != len(self.labels) or len(self.labels) != classes:
            raise InputError(
                f"expected {classes} labels, one for each of the network's classes, got {', '.join(self.labels)}"
            )

    def targets(self, values):
        """The number of each label, int32 [N]; InputError if a label is not known."""
        require_known_labels(Counter(values), self.labels)
        number = {label: i for i, label in enumerate(self.labels)}
        return np.array([number[label] for label in values], np.int32)

    def weights(self, targets, settings):
        """How much each example counts, by its class."""
        counts = np.bincount(targets, minlength=len(self.labels)).tolist()
        weights = settings.weights_of(dict(zip(self.labels, counts, strict=True)))
        return None if weights is None else np.asarray(weights, np.float32)[targets]

    def findings(self, train, held_out, tokenizer, network):
        """As for all texts; also labels with one example, and one that most examples have."""
        yield from super().findings(train, held_out, tokenizer=tokenizer, network=network)
        if train.noted is not None:
            counts = np.bincount(train.noted.targets, minlength=len(self.labels)).tolist()
            yield from findings_of_labels(dict(zip(self.labels, counts, strict=True)))

    def described(self):
        """How many labels there are, and the first of them."""
        named = ", ".join(shown(label, _LABEL_CELLS) for label in self.labels[:_LABELS])
        return f"{self.title} of {len(self.labels)} labels: {named}{', …' * (len(self.labels) > _LABELS)}"

    def baseline(self, train, judged):
        """Accuracy and macro F1 of always answering the commonest label, and the loss of the labels' shares."""
        counts = 1 + np.bincount(train, minlength=len(self.labels))
        always = np.full_like(judged, counts.argmax())
        report = ClassificationReport.from_predictions(judged, always, self.labels)
        loss = float(-np.log(counts / counts.sum())[judged].mean())
        return {"accuracy": report.accuracy, "macro_f1": report.macro_f1, "loss": loss}

    def keras_metrics(self):
        """Accuracy and macro F1."""
        import keras

        from lmkeras.training.macro_f1 import MacroF1

        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy"), MacroF1(len(self.labels))]

    def answer(self, outputs):
        """A Prediction."""
        return Prediction.from_logits(outputs, self.labels)

    def row(self, answer, **options):
        """See `ShownLabels.row`."""
        return ShownLabels(**options).row(answer)

    def row_names(self, **options):
        """See `ShownLabels.row_names`."""
        return ShownLabels(**options).row_names(self.labels)

    def line(self, answer, **options):
        """See `ShownLabels.line`."""
        return ShownLabels(**options).line(answer)

    def judged(self, outputs, targets):
        """loss_nats (mean -log P of the true label), accuracy, macro_f1 and number of examples; and the report."""
        losses = np.logaddexp.reduce(outputs, axis=1) - np.take_along_axis(outputs, targets[:, None], 1)[:, 0]
        report = ClassificationReport.from_predictions(targets, outputs.argmax(axis=1), self.labels)
        scores = {"accuracy": report.accuracy, "macro_f1": report.macro_f1, "examples": report.examples}
        return {"loss_nats": float(losses.mean()), **scores}, report

    def in_graph_answers(self, outputs):
        """label [B], probabilities float32 [B, C] and labels [C], the classes' names."""
        import tensorflow as tf

        labels, probabilities = tf.constant([label.encode() for label in self.labels]), tf.nn.softmax(outputs)
        label = tf.gather(labels, tf.argmax(probabilities, axis=1))
        return {"label": label, "probabilities": probabilities, "labels": labels}
