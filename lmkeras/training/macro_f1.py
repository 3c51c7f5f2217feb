"""Macro F1 as a Keras metric, counted while a classifier trains and is validated.

Shape letters: B batch, C classes.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("lmkeras")
class MacroF1(keras.metrics.Metric):
    """The mean F1 of all classes that are true or predicted somewhere; `reports.ClassificationReport` has the same.

    Args:
        num_classes: C.

    Source: van Rijsbergen 1979, chapter 7.
    """

    def __init__(self, num_classes: int, name: str = "macro_f1", **options):
        super().__init__(name=name, **options)
        self.num_classes = num_classes
        add = {"shape": (num_classes,), "initializer": "zeros", "aggregation": "sum"}
        self._hits = self.add_variable(name="hits", **add)
        self._seen = self.add_variable(name="seen", **add)  # how often a class is true plus how often it is predicted

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
        weights = ops.expand_dims(ops.cast(weights, true.dtype), -1)
        self._hits.assign_add(ops.sum(true * predicted * weights, axis=0))
        self._seen.assign_add(ops.sum((true + predicted) * weights, axis=0))

    def result(self):
        """The mean of 2 · hits / (true + predicted) over the classes that occur; 0 if nothing was counted."""
        hits, seen = ops.convert_to_tensor(self._hits), ops.convert_to_tensor(self._seen)
        occur = ops.sum(ops.cast(seen > 0, hits.dtype))
        return ops.divide_no_nan(ops.sum(ops.divide_no_nan(2 * hits, seen)), occur)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}
