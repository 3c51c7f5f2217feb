"""The task of a multi-label classifier: for each of several labels, whether a text or a pair of texts has it.

Shape letters: B batch, N texts, C labels.
"""

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from lmkeras.corpora import require_known_labels
from lmkeras.corpora.label_lists import separator_in
from lmkeras.corpora.labelled import names_in
from lmkeras.errors import InputError
from lmkeras.reports import MultiLabelReport
from lmkeras.tasks.base import Metric
from lmkeras.tasks.labelled import LabelledTask
from lmkeras.tasks.predictions import MultiLabelPrediction
from lmkeras.tasks.registry import register_task
from lmkeras.tasks.thresholds import best_thresholds

_log = logging.getLogger("lmkeras")

#: A separator in more than this share of the labels may well separate labels.
_MANY_SEPARATED = 0.05


@register_task
@dataclasses.dataclass(frozen=True)
class MultiLabelClassification(LabelledTask):
    """Which of some labels a text has: any number of them, each decided for itself."""

    thresholds: tuple[float, ...] | None = None
    """The probability from which on each label is predicted; None, before they were chosen, for 0.5 each."""

    kind: ClassVar[str] = "multi_label_classifier"
    title: ClassVar[str] = "a multi-label classifier"
    command: ClassVar[str] = "multi-label"
    problem_type: ClassVar[str] = "multi_label_classification"
    help: ClassVar[dict] = {
        **LabelledTask.help,
        "summary": "Train a classifier of texts that may have several labels, or none, and save it. (train classifier "
        "does the same where it finds lists of labels.)",
        "text": ".csv, .tsv, .jsonl with a column of lists, of labels with a separator, or columns of 0 and 1; .txt of "
        "__label__ lines (.gz too).",
    }
    metrics: ClassVar[tuple] = (Metric("micro_f1", higher_is_better=True), Metric("macro_f1", higher_is_better=True))
    # of all decisions together: the mean over labels would hang on labels that few texts of the validation part have
    monitor: ClassVar[str] = "micro_f1"

    def __post_init__(self):
        super().__post_init__()
        if self.thresholds is not None:
            is_one = [isinstance(one, int | float) and 0 <= one <= 1 for one in self.thresholds]
            if not all(is_one) or len(is_one) != len(self.labels or ()):
                raise InputError(f"expected a threshold from 0 to 1 for each label, got {self.thresholds!r}")
            object.__setattr__(self, "thresholds", tuple(map(float, self.thresholds)))  # JSON gives a list

    def learned(self, train, held_out, settings, trained):
        """Learns the labels, unless they are known; thresholds are chosen anew after training."""
        if not train.multi_label:
            _log.warning("every text has exactly one label here: %s", _how_to_say_several(train.label_counts()))
        known = dataclasses.replace(self, thresholds=None)
        return super(MultiLabelClassification, known).learned(
            train, held_out=held_out, settings=settings, trained=trained
        )

    def calibrated(self, runner, held_out):
        """Chooses the thresholds with the best F1 on the validation part, see `best_thresholds`."""
        outputs, targets = runner.outputs_and_targets(held_out)
        thresholds = best_thresholds(_probabilities(outputs), targets)
        return dataclasses.replace(self, thresholds=tuple(thresholds.tolist()))

    def size_of(self, network):
        """The labels of a LabelsHead."""
        return getattr(network.head, "num_labels", None)

    def counts(self, targets):
        """The number of texts with each label."""
        return np.asarray(targets).sum(axis=0, dtype=np.int64)

    def head(self, body, dropout=None):
        """Dropout and a dense layer with a logit for each label."""
        from lmkeras.networks.heads.labels import LabelsHead

        return LabelsHead(len(self.labels), body.dropout if dropout is None else dropout, body.initializer_range)

    def targets(self, values):
        """For each text and label whether the text has it, int8 [N, C]; InputError if a label is not known."""
        require_known_labels(Counter(label for value in values for label in names_in(value)), self.labels)
        number = {label: i for i, label in enumerate(self.labels)}
        targets = np.zeros((len(values), len(self.labels)), np.int8)
        for row, value in zip(targets, values, strict=True):
            row[[number[label] for label in names_in(value)]] = 1
        return targets

    def weights(self, targets, settings):
        """How much each decision counts, float32 [N, C].

        A weight by label is that of the texts which have the label; those without it count 1. Balanced, texts with a
        label and texts without it count the same in total, and every label the same.
        """
        texts, having = len(targets), self.counts(targets)
        weights = settings.weights_of(dict(zip(self.labels, having.tolist(), strict=True)))
        if weights is None:
            return None
        of_true, of_false = np.asarray(weights), np.ones(len(having))
        if settings.class_weights == "balanced":
            of_true, of_false = texts / (2 * np.maximum(having, 1)), texts / (2 * np.maximum(texts - having, 1))
        return np.where(targets, of_true, of_false).astype(np.float32)

    def keras_metrics(self, network):
        """Micro and macro F1, both with 0.5 as the threshold of every label."""
        from lmkeras.training.f1 import LabelsF1

        return [LabelsF1(len(self.labels), average) for average in ("micro", "macro")]

    def answer(self, outputs):
        """A MultiLabelPrediction."""
        probabilities = _probabilities(outputs)
        found = np.flatnonzero(probabilities >= self._limits)
        chosen = tuple(self.labels[i] for i in sorted(found, key=lambda i: -probabilities[i]))
        return MultiLabelPrediction(chosen, dict(zip(self.labels, probabilities.tolist(), strict=True)))

    def row(self, answer, top_k=None, threshold=None):
        """The predicted labels as a list, and all probabilities, or the likeliest labels as `top`."""
        labels = list(_chosen(answer, threshold))
        if top_k is None:
            return {"labels": labels, "probabilities": answer.probabilities}
        return {"labels": labels, "top": [{"label": name, "probability": p} for name, p in answer.top(top_k)]}

    def row_names(self, top_k=None, threshold=None):
        """The column labels, with a list in JSON, and a column probability_NAME for each, or two for each likeliest."""
        if top_k is None:
            return ["labels", *(f"probability_{'_'.join(label.split())}" for label in self.labels)]
        numbers = range(1, min(top_k, len(self.labels)) + 1)
        return ["labels", *(f"{name}_{number}" for number in numbers for name in ("label", "probability"))]

    def line(self, answer, top_k=None, threshold=None):
        """Each predicted label with its probability, or the likeliest labels with theirs; "none" if there are none."""
        names = _chosen(answer, threshold) if top_k is None else [name for name, _ in answer.top(top_k)]
        return ", ".join(f"{name} {answer.probabilities[name]:.4f}" for name in names) or "none"

    def baseline(self, train, judged):
        """The scores of predicting the labels that most texts have, and the loss of the labels' shares."""
        if train.ndim != 2:  # decisions of weight 0 are left out, so it is not known which label each of them is of
            return {}
        shares = (1 + self.counts(train)) / (2 + len(train))
        report = MultiLabelReport.from_predictions(judged, np.tile(shares > 0.5, (len(judged), 1)), self.labels)
        losses = np.where(judged, -np.log(shares), -np.log1p(-shares))
        return {"micro_f1": report.micro_f1, "macro_f1": report.macro_f1, "loss": float(losses.mean())}

    def judged(self, outputs, targets):
        """loss_nats (mean binary cross-entropy of all decisions), micro_f1, macro_f1, subset_accuracy, examples."""
        losses = np.logaddexp(0, outputs) - outputs * targets
        predicted = _probabilities(outputs) >= self._limits
        report = MultiLabelReport.from_predictions(targets, predicted, self.labels, thresholds=self._limits.tolist())
        return {"loss_nats": float(losses.mean()), **report.scores(), "examples": report.examples}, report

    def in_graph_answers(self, outputs):
        """probabilities float32 [B, C], predicted bool [B, C], and of the labels [C] their names and thresholds."""
        import tensorflow as tf

        labels = tf.constant([label.encode() for label in self.labels])
        probabilities, thresholds = tf.sigmoid(outputs), tf.constant(self._limits, tf.float32)
        predicted = probabilities >= thresholds
        return {"predicted": predicted, "probabilities": probabilities, "labels": labels, "thresholds": thresholds}

    @property
    def _limits(self) -> np.ndarray:
        """The thresholds, float64 [C]."""
        return np.full(len(self.labels), 0.5) if self.thresholds is None else np.asarray(self.thresholds)


def _how_to_say_several(counts: Mapping[str, int]) -> str:
    """What a user should say so that labels, which count as one for each text, are read as several."""
    separator, examples = separator_in(counts) or ("", 0)
    if examples > _MANY_SEPARATED * sum(counts.values()):
        return (
            f"{examples} of {sum(counts.values())} contain {separator!r}; if it stands between several labels, say "
            f"label_separator {separator!r} (--label-separator {separator!r})"
        )
    return (
        "if the labels are lists, say how they are written with label_separator (--label-separator) or label_columns "
        "(--label-columns)"
    )


def _probabilities(outputs: np.ndarray) -> np.ndarray:
    # the sigmoid, as a formula that does not overflow
    return np.exp(-np.logaddexp(0, -np.asarray(outputs, np.float64)))


def _chosen(answer: MultiLabelPrediction, threshold: float | None) -> tuple[str, ...]:
    if threshold is None:
        return answer.labels
    return tuple(label for label, probability in answer.top(len(answer.probabilities)) if probability >= threshold)
