"""F1 as Keras metrics, counted while a classifier trains and is validated.

Shape letters: B batch, C classes or labels.
"""

import keras
from keras import ops


class _CountedF1(keras.metrics.Metric):
    """Counts, for each of C classes, how often it was right, and how often it was true plus how often predicted."""

    def __init__(self, size: int, name: str, **options):
        super().__init__(name=name, **options)
        add = {"shape": (size,), "initializer": "zeros", "aggregation": "sum"}
        self._hits = self.add_variable(name="hits", **add)
        self._seen = self.add_variable(name="seen", **add)  # how often a class is true plus how often it is predicted

    def _count(self, true, predicted, weights) -> None:
        """Counts a batch: zeros and ones [B, C] and weights [B, 1] or [B, C], all float32."""
        self._hits.assign_add(ops.sum(true * predicted * weights, axis=0))
        self._seen.assign_add(ops.sum((true + predicted) * weights, axis=0))

    def _counts(self):
        return ops.convert_to_tensor(self._hits), ops.convert_to_tensor(self._seen)


@keras.saving.register_keras_serializable("lmkeras")
class MacroF1(_CountedF1):
    """The mean F1 of all classes that are true or predicted somewhere; `reports.ClassificationReport` has the same.

    Args:
        num_classes: C.

    Source: van Rijsbergen 1979, chapter 7.
    """

    def __init__(self, num_classes: int, name: str = "macro_f1", **options):
        super().__init__(num_classes, name, **options)
        self.num_classes = num_classes

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true: the true classes, int [B] or [B, 1].
            y_pred: a number for each class, the largest for the predicted one [B, C].
            sample_weight: how much each example counts, float [B]; None for 1.
        """
        true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        true, predicted = (ops.one_hot(ids, self.num_classes) for ids in (true, ops.argmax(y_pred, axis=-1)))
        weights = ops.ones_like(true[:, 0]) if sample_weight is None else ops.reshape(sample_weight, (-1,))
        self._count(true, predicted, ops.expand_dims(ops.cast(weights, true.dtype), -1))

    def result(self):
        """The mean of 2 · hits / (true + predicted) over the classes that occur; 0 if nothing was counted."""
        hits, seen = self._counts()
        occur = ops.sum(ops.cast(seen > 0, hits.dtype))
        return ops.divide_no_nan(ops.sum(ops.divide_no_nan(2 * hits, seen)), occur)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}


@keras.saving.register_keras_serializable("lmkeras")
class LabelsF1(_CountedF1):
    """The F1 of labels of which a text may have several, where those with a probability above 0.5 are predicted.

    Args:
        num_labels: C.
        average: "micro" for the F1 of all decisions together, "macro" for the mean F1 of all labels, where that of a
            label which is neither true nor predicted anywhere is 0, as in scikit-learn.

    Source: van Rijsbergen 1979, chapter 7.
    """

    def __init__(self, num_labels: int, average: str, name: str | None = None, **options):
        super().__init__(num_labels, name or f"{average}_f1", **options)
        self.num_labels, self.average = num_labels, average

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true: 0 or 1 for each label [B, C].
            y_pred: logits [B, C].
            sample_weight: how much each decision counts, float [B, C] or [B, 1]; None for 1.
        """
        true, predicted = ops.cast(y_true, "float32"), ops.cast(ops.greater(y_pred, 0), "float32")
        self._count(true, predicted, 1.0 if sample_weight is None else ops.cast(sample_weight, "float32"))

    def result(self):
        """F1, in [0, 1]; 0 if nothing was counted."""
        hits, seen = self._counts()
        if self.average == "micro":
            return ops.divide_no_nan(2 * ops.sum(hits), ops.sum(seen))
        return ops.mean(ops.divide_no_nan(2 * hits, seen))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "num_labels": self.num_labels, "average": self.average}
