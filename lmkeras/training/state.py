"""The state of a training: everything that its next update depends on, to be written to a checkpoint and restored."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.training.averaging import LastWeights


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best evaluation, and ends training when no better one has come for a while.

    If two evaluations are equal in the monitored metric, the one with the lower validation loss is better.

    Args:
        monitor: the metric that decides, by the name that it has in the logs, such as "val_accuracy".
        higher_is_better: whether a higher value of the metric is better.
        patience: training ends after this many evaluations in a row that were not better than the best one.
    """

    def __init__(self, monitor: str, higher_is_better: bool, patience: int):
        super().__init__()
        self._monitor, self._sign, self._patience = monitor, -1 if higher_is_better else 1, patience
        self._facts: dict = {"wait": 0, "best": None}
        self.weights: list[np.ndarray] | None = None

    @property
    def judge(self) -> tuple[str, bool]:
        """The name of the metric that decides, and whether a higher value is better."""
        return self._monitor, self._sign < 0

    def on_epoch_end(self, epoch, logs=None):
        """Compares this evaluation with the best one so far."""
        # compared in this order: the metric, turned so that lower is better, then the loss
        value = [self._sign * float(logs[self._monitor]), float(logs["val_loss"])]
        self._facts["wait"] += 1
        if self._facts["best"] is None or value < self._facts["best"]:
            self._facts = {"wait": 0, "best": value}
            self.weights = self.model.get_weights()
        elif self._facts["wait"] >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        """Puts the best weights back."""
        if self.weights is not None:
            self.model.set_weights(self.weights)

    def facts(self) -> dict:
        """The state of this callback except the weights, in types that JSON has."""
        return dict(self._facts)

    def restore(self, facts: dict, weights: list[np.ndarray] | None) -> None:
        """Restores the state: what `facts` returned, and the best weights at that time."""
        wait, best = facts["wait"], facts["best"]
        # + 0 raises TypeError for a value that is not a number
        self._facts = {"wait": wait + 0, "best": best and [value + 0.0 for value in best]}
        self.weights = weights


class TrainingState:
    """Weights, optimizer, random numbers, the epoch's metrics, the best and last weights and the evaluations so far.

    Args:
        network: a compiled network whose optimizer is built.
        metrics: the metrics that are averaged over an epoch.
        best: the callback that keeps the best weights; None without validation.
        average: at how many of the last evaluations the weights are kept, for their mean at the end; 0 for no mean.

    Attributes:
        lines: one dictionary for each evaluation; the callback Evaluations appends to it.
        last: the callback that keeps the weights of the last evaluations; None without a mean.
        callbacks: the callbacks whose state is a part of this one: `best` and `last`, as far as they are there.
        judge: the metric by which `best` chooses, and whether a higher value is better; None without `best`.
        validation: the batches to judge the mean on, to be set before training begins; None without `best`.
    """

    def __init__(
        self, network: keras.Model, metrics: list[keras.metrics.Metric], best: BestWeights | None, average: int = 0
    ):
        self._network, self._best, self.lines = network, best, []
        self.judge = None if best is None else best.judge
        self.validation = None
        self.last = None
        if average:
            self.last = LastWeights(average, self.lines, judge=self.judge, validation=lambda: self.validation)
        self.callbacks = [callback for callback in (best, self.last) if callback is not None]
        self._metrics = [variable for metric in metrics for variable in metric.variables]
        known = {id(variable) for variable in self._metrics}
        known |= {id(variable) for variable in network.optimizer.variables}
        # mixed_float16 has another optimizer around this one; so a run may be resumed in another precision
        optimizer = getattr(network.optimizer, "inner_optimizer", network.optimizer).variables
        own = {id(variable) for variable in optimizer}
        scaling = [variable for variable in network.optimizer.variables if id(variable) not in own]
        others = [variable for variable in network.variables if id(variable) not in known]
        self._variables = {"network": others, "optimizer": optimizer, "scaling": scaling, "metrics": self._metrics}
        self._metric_values = None

    def arrays(self, within_epoch: bool) -> dict[str, np.ndarray]:
        """All variables as arrays, by name; those of metrics only within an epoch, because the next one resets them."""
        arrays = {
            f"{group}.{index}": np.asarray(tf.convert_to_tensor(variable.value))
            for group, variables in self._variables.items()
            for index, variable in enumerate(variables)
            if within_epoch or group != "metrics"
        }
        if self._best is not None and self._best.weights is not None:
            arrays |= {f"best.{index}": weight for index, weight in enumerate(self._best.weights)}
        for place, weights in enumerate([] if self.last is None else self.last.weights):
            arrays |= {f"last.{place}.{index}": weight for index, weight in enumerate(weights)}
        return arrays

    def facts(self) -> dict:
        """Everything else, in types that JSON has."""
        return {"lines": self.lines, "best": None if self._best is None else self._best.facts()}

    def restore(self, arrays: dict[str, np.ndarray], facts: dict) -> None:
        """Restores everything but metrics, which Keras resets when the epoch begins; see `restore_metrics`.

        Raises:
            InputError: the arrays are not those of this network and optimizer.
        """
        absent = {group for group in ("metrics", "scaling") if f"{group}.0" not in arrays}
        within_epoch = "metrics" not in absent
        for group, variables in self._variables.items():
            for index, variable in enumerate([] if group in absent else variables):
                array = arrays.get(f"{group}.{index}")
                if array is None or array.shape != tuple(variable.shape):
                    got = "none" if array is None else f"one of {array.shape}"
                    raise InputError(
                        f"the checkpoint is of another training: expected an array of {tuple(variable.shape)} for "
                        f"{variable.path}, got {got}. Give the same arguments, or start another run"
                    )
        best, last = self._weights_of("best", arrays), []
        while (weights := self._weights_of(f"last.{len(last)}", arrays)) is not None:
            last.append(weights)
        for group in {"network", "optimizer", "scaling"} - absent:
            for index, variable in enumerate(self._variables[group]):
                variable.assign(arrays[f"{group}.{index}"])
        if within_epoch:
            self._metric_values = [arrays[f"metrics.{index}"] for index in range(len(self._metrics))]
        # + 0 raises TypeError for a value that is not a number
        lines = [{"step": line["step"], **line} for line in facts["lines"]]
        self.lines[:] = [{name: value + 0 for name, value in line.items()} for line in lines]
        if self._best is not None:
            self._best.restore(facts["best"], best)
        if self.last is not None:
            self.last.weights.clear()
            self.last.weights.extend(last)

    def _weights_of(self, group: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray] | None:
        if f"{group}.0" not in arrays:
            return None
        weights = [arrays[f"{group}.{index}"] for index in range(len(self._network.weights))]
        if [array.shape for array in weights] != [tuple(weight.shape) for weight in self._network.weights]:
            raise ValueError(f"the {group} weights are those of another network")
        return weights

    def interrupt(self) -> None:
        """Says that the training is not at its end, so that no mean of the last weights is made."""
        if self.last is not None:
            self.last.weights.clear()

    def restore_metrics(self) -> None:
        """Restores the metrics that `restore` was given; only the first call after `restore` does anything."""
        if self._metric_values is not None:
            for variable, value in zip(self._metrics, self._metric_values, strict=True):
                variable.assign(value)
            self._metric_values = None


def are_finite(arrays: Mapping[object, np.ndarray]) -> bool:
    """Whether no floating-point array has a NaN or an infinite number."""
    return all(np.isfinite(array).all() for array in arrays.values() if array.dtype.kind == "f")
