"""The task of a classifier: to choose one of several labels for a text or for a pair of texts.

Shape letters: N texts, C classes.
"""

import dataclasses
import logging
from collections import Counter
from typing import ClassVar

import numpy as np

from lmkeras.corpora import require_known_labels
from lmkeras.errors import InputError
from lmkeras.reports import ClassificationReport
from lmkeras.tasks.base import Metric
from lmkeras.tasks.labelled import LabelledTask
from lmkeras.tasks.predictions import Prediction, ShownLabels
from lmkeras.tasks.registry import register_task

_log = logging.getLogger("lmkeras")


@register_task
@dataclasses.dataclass(frozen=True)
class Classification(LabelledTask):
    """Which of some labels a text has. The labels are learnt from the corpus, or are given with a built network."""

    kind: ClassVar[str] = "text_classifier"
    title: ClassVar[str] = "a text classifier"
    command: ClassVar[str] = "classifier"
    problem_type: ClassVar[str] = "single_label_classification"
    help: ClassVar[dict] = {
        **LabelledTask.help,
        "summary": "Train a text classifier on labelled text and save it.",
        "text": ".csv, .tsv, .jsonl with columns, .txt of label TAB text or __label__ lines (.gz too), a folder with a "
        "subfolder for each label, tfds:NAME:SPLIT, builtin:python-docstrings.",
    }
    metrics: ClassVar[tuple] = (Metric("accuracy", higher_is_better=True), Metric("macro_f1", higher_is_better=True))
    monitor: ClassVar[str] = "accuracy"

    def learned(self, train, held_out, settings, trained):
        """Learns the labels, unless they are known already; of lists of labels, the task is a multi-label one."""
        several = train.multi_label or (held_out is not None and held_out.multi_label)
        if several and trained:
            raise _lists_of_labels()
        if not several:
            return super().learned(train, held_out=held_out, settings=settings, trained=trained)
        _log.warning("texts have lists of labels: this becomes a multi-label classifier, with any number of them each")
        other = _multi_label_task()(self.max_length, self.long_texts, pairs=self.pairs, labels=self.labels)
        return other.learned(train, held_out=held_out, settings=settings, trained=trained)

    def monitored(self, settings):
        """Before a corpus has shown labels, it may also be a metric of the multi-label task that this may become."""
        other = [f"val_{metric.name}" for metric in _multi_label_task().metrics]
        if self.labels is None and settings.monitor in other:
            return _multi_label_task()().monitored(settings)
        return super().monitored(settings)

    def size_of(self, network):
        """The classes of a ClassesHead."""
        return getattr(network.head, "num_classes", None)

    def counts(self, targets):
        """The number of examples of each class."""
        return np.bincount(targets, minlength=len(self.labels))

    def head(self, body, dropout=None):
        """Dropout and a dense layer with a logit for each label."""
        from lmkeras.networks.heads.classes import ClassesHead

        return ClassesHead(len(self.labels), body.dropout if dropout is None else dropout, body.initializer_range)

    def targets(self, values):
        """The number of each label, int32 [N]; InputError if a label is not known."""
        if any(isinstance(value, tuple) for value in values):
            raise _lists_of_labels()
        require_known_labels(Counter(values), self.labels)
        number = {label: i for i, label in enumerate(self.labels)}
        return np.array([number[label] for label in values], np.int32)

    def weights(self, targets, settings):
        """How much each example counts, by its class."""
        counts = self.counts(targets).tolist()
        weights = settings.weights_of(dict(zip(self.labels, counts, strict=True)))
        return None if weights is None else np.asarray(weights, np.float32)[targets]

    def baseline(self, train, judged):
        """Accuracy and macro F1 of always answering the commonest label, and the loss of the labels' shares."""
        counts = 1 + self.counts(train)
        always = np.full_like(judged, counts.argmax())
        report = ClassificationReport.from_predictions(judged, always, self.labels)
        loss = float(-np.log(counts / counts.sum())[judged].mean())
        return {"accuracy": report.accuracy, "macro_f1": report.macro_f1, "loss": loss}

    def keras_metrics(self, network):
        """Accuracy and macro F1."""
        import keras

        from lmkeras.training.f1 import MacroF1

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
        return {"loss_nats": float(losses.mean()), **report.scores(), "examples": report.examples}, report

    def in_graph_answers(self, outputs):
        """label [B], probabilities float32 [B, C] and labels [C], the classes' names."""
        import tensorflow as tf

        labels, probabilities = tf.constant([label.encode() for label in self.labels]), tf.nn.softmax(outputs)
        label = tf.gather(labels, tf.argmax(probabilities, axis=1))
        return {"label": label, "probabilities": probabilities, "labels": labels}


def _multi_label_task() -> type[LabelledTask]:
    from lmkeras.tasks.multi_label import MultiLabelClassification  # later, so that tasks register in the right order

    return MultiLabelClassification


def _lists_of_labels() -> InputError:
    return InputError("this model gives every text one label, and here are lists of labels: train a new model for them")
