"""How often a span is found, as a Keras metric, counted while a network trains and is validated.

Shape letters: B batch, T tokens.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("lmkeras")
class SpanAccuracy(keras.metrics.Metric):
    """The share of texts of which both the likeliest start and the likeliest end are right."""

    def __init__(self, name: str = "span_accuracy", **options):
        super().__init__(name=name, **options)
        add = {"shape": (), "initializer": "zeros", "aggregation": "sum"}
        self._right, self._seen = self.add_variable(name="right", **add), self.add_variable(name="seen", **add)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch.

        Args:
            y_true: the places of start and end, int [B, 2].
            y_pred: logits of each place [B, T, 2].
            sample_weight: how much each counts, float [B, 2]; None for 1.
        """
        right = ops.all(ops.argmax(y_pred, axis=1) == ops.cast(y_true, "int32"), axis=-1)
        weights = ops.ones_like(right, "float32") if sample_weight is None else ops.min(sample_weight, axis=-1)
        self._right.assign_add(ops.sum(ops.cast(right, "float32") * weights))
        self._seen.assign_add(ops.sum(weights))

    def result(self):
        """The share, in [0, 1]; 0 if nothing was counted."""
        return ops.divide_no_nan(ops.convert_to_tensor(self._right), ops.convert_to_tensor(self._seen))
