"""The mean of the weights at the last evaluations of a training, which may become the weights that are kept.

Weights that have nearly converged move around the place that they converge to; their mean is nearer to it.
"""

import collections
from collections.abc import Callable, Sequence

import keras
import numpy as np

from lmkeras.training.outcome import MEAN, MEAN_OF, mean_is_kept


class LastWeights(keras.callbacks.Callback):
    """Keeps the weights at the last evaluations; at the end their mean becomes the weights, unless it judges worse.

    It notes the number of evaluations, and the values that the mean has on the validation part, in the last line of the
    evaluations. It must come after the callback that puts the best weights back. Of several workers, all have the same
    weights and get the same values from the evaluation that they share, so all keep the same.

    Args:
        count: the number of evaluations.
        lines: the evaluations, see `Evaluations`.
        judge: the metric by which weights are judged, and whether a higher value is better; None without validation,
            where the mean is kept always.
        validation: a function that gives the batches to judge the mean on.

    Attributes:
        weights: the weights at each of the last evaluations, the oldest first.

    Source: Vaswani et al. 2017, "Attention Is All You Need", 6.1 (the mean of the last 5 or 20 checkpoints).
    """

    def __init__(self, count: int, lines: list[dict], judge: tuple[str, bool] | None, validation: Callable):
        super().__init__()
        self._lines, self._judge, self._validation = lines, judge, validation
        self.weights: collections.deque[list[np.ndarray]] = collections.deque(maxlen=count)

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the weights of this evaluation."""
        self.weights.append(self.model.get_weights())

    def on_train_end(self, logs=None):
        """Makes the mean, notes it, and lets the network have it or what it had before."""
        if not self.weights:
            return
        before, line = self.model.get_weights(), self._lines[-1]
        self.model.set_weights([mean_of(arrays) for arrays in zip(*self.weights, strict=True)])
        line[MEAN_OF] = len(self.weights)
        if self._judge is not None:
            values = self.model.evaluate(self._validation(), verbose=0, return_dict=True)
            line |= {f"{MEAN}val_{name}": float(value) for name, value in values.items()}
            if not mean_is_kept(self._lines, *self._judge):
                self.model.set_weights(before)


def mean_of(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of arrays of one shape, in their dtype; of counts, which have no mean, the last ones."""
    if arrays[-1].dtype.kind in "iub":
        return arrays[-1]
    return (sum(array.astype("float64") for array in arrays) / len(arrays)).astype(arrays[-1].dtype)
