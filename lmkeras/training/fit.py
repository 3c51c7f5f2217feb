"""The training harness: Keras' own compile, fit and evaluate, with what a run needs around them."""

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.training.curves import draw_curves
from lmkeras.training.devices import precision, training_policy
from lmkeras.training.layer_rates import with_layer_rates
from lmkeras.training.optimizers import build_optimizer
from lmkeras.training.settings import TrainingSettings


class StopAfter(keras.callbacks.Callback):
    """Ends training after exactly `steps` updates, with the evaluation that ends an epoch.

    Args:
        steps: number of updates.
    """

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def on_train_begin(self, logs=None):
        """Counts from the start of this fit."""
        self._done = 0
        self._batch = -1

    def on_epoch_begin(self, epoch, logs=None):
        """Keras counts batches anew in every epoch."""
        self._batch = -1

    def on_train_batch_end(self, batch, logs=None):
        """Keras may report several updates at once."""
        self._done += batch - self._batch
        self._batch = batch
        if self._done >= self.steps:
            self.model.stop_training = True


class StopAtNaN(keras.callbacks.Callback):
    """Ends training when the loss is no number any more: nothing can be learned from there.

    Attributes:
        message: what happened and what to do; None while all is well.
    """

    message: str | None = None

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the mean loss of the epoch so far, which one NaN spoils."""
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            step = int(self.model.optimizer.iterations)
            advice = "train with a lower learning_rate, with clip_norm, or in precision float32"
            self.message = f"the loss became {loss} at update {step}: {advice}"
            self.model.stop_training = True


class MetricsFile(keras.callbacks.Callback):
    """Writes one JSON line an evaluation to metrics.jsonl, and draws curves.png from it when training ends.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def on_train_begin(self, logs=None):
        """Starts the clock and an empty file."""
        self._start = time.monotonic()
        (self.folder / "metrics.jsonl").write_text("")

    def on_epoch_end(self, epoch, logs=None):
        """Adds a line: step, seconds since the start, learning rate of the next update, and all that Keras reports."""
        line = {
            "step": int(self.model.optimizer.iterations),
            "seconds": round(time.monotonic() - self._start, 3),
            "learning_rate": float(self.model.optimizer.learning_rate),
            **{name: float(value) for name, value in (logs or {}).items()},
        }
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def on_train_end(self, logs=None):
        """Draws the curves."""
        draw_curves(self.folder / "metrics.jsonl", self.folder / "curves.png")


def uses_xla(network: keras.Model, choice: str, policy: str = "float32") -> bool | str:
    """What Keras' jit_compile should be.

    Args:
        network: its attribute `xla_on_cpu`, where it has one, says whether XLA was measured to help on CPUs.
        choice: "on", "off" or "auto".
        policy: the Keras dtype policy; XLA multiplies bfloat16 matrices slowly on CPUs.

    Returns:
        True, False, or "auto" to leave it to Keras (which turns XLA on where there is a GPU).
    """
    if choice != "auto":
        return choice == "on"
    if tf.config.list_logical_devices("GPU"):
        return "auto"
    return getattr(network, "xla_on_cpu", False) and policy == "float32"


def fit(
    network: keras.Model,
    train: tf.data.Dataset,
    steps_per_epoch: int,
    settings: TrainingSettings,
    validation: tf.data.Dataset | None = None,
    run_folder: str | Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    metrics: Sequence[str] = (),
    monitor: str = "val_loss",
    rate_factors: Mapping[str, float] | None = None,
) -> list[dict[str, float]]:
    """Trains a network whose targets are ids, of tokens or of classes, and whose outputs are logits.

    Args:
        network: a built network; its `default_optimizer`, where it has one, serves settings.optimizer=None.
        train: batches of (inputs, targets), or of (inputs, targets, weights), without end.
        steps_per_epoch: how many of them are one pass over the corpus.
        settings: how to train.
        validation: batches of (inputs, targets, weights); with them the best weights by `monitor` are kept.
        run_folder: where metrics.jsonl, curves.png and TensorBoard logs go; nowhere where it is None.
        callbacks: further Keras callbacks.
        verbose: Keras' progress display: 0 none, 1 bar, 2 a line an evaluation.
        metrics: further Keras metrics to report, such as accuracy.
        monitor: "val_loss" (the lowest is best) or "val_accuracy" (the highest).
        rate_factors: see `layer_rates`; None for one learning rate everywhere.

    Returns:
        One dictionary an evaluation: loss and the metrics and, with validation, val_loss and theirs; losses in nats.

    Raises:
        InputError: the loss became NaN or infinite; with validation, the best weights until then are kept.
    """
    total = settings.total_steps(steps_per_epoch)
    interval = settings.steps_between_evaluations(steps_per_epoch)
    _seed_dropout(network, settings.seed)
    nan = StopAtNaN()
    policy = training_policy(network, settings.precision)
    with precision(network, policy):
        _compile(network, settings, policy, total, metrics, rate_factors)
        history = network.fit(
            train,
            steps_per_epoch=interval,
            epochs=-(-total // interval),
            validation_data=validation,
            callbacks=[
                nan,
                *_callbacks(settings, total, None if validation is None else monitor, run_folder),
                *callbacks,
            ],
            verbose=verbose,
            shuffle=False,  # batches come in their order
        ).history
    if nan.message:
        raise InputError(nan.message)
    return [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]


def _compile(network, settings, policy, total, metrics, rate_factors):
    optimizer = _optimizer(network, settings, policy, total)
    if rate_factors is not None:
        optimizer = with_layer_rates(optimizer, rate_factors)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, metrics=list(metrics) or None, jit_compile=uses_xla(network, settings.xla, policy))


def _optimizer(network, settings, policy, total):
    default = getattr(network, "default_optimizer", "adamw")
    name, learning_rate = settings.optimizer or default, settings.learning_rate
    if learning_rate is None and name == default:
        learning_rate = getattr(network, "default_learning_rate", None)
    rates = (learning_rate, settings.warmup_steps, settings.weight_decay, settings.clip_norm)
    return build_optimizer(name, settings.schedule, total, *rates, policy=policy)


def _seed_dropout(network: keras.Model, seed: int) -> None:
    """Dropout starts from the seed in every fit, whatever was drawn before."""
    for index, layer in enumerate(network._flatten_layers()):
        if generator := getattr(layer, "seed_generator", None):
            generator.state.assign([seed % 2**32, index])


def _callbacks(settings, total, monitor, run_folder):
    callbacks = [StopAfter(total)]
    if run_folder is not None:
        Path(run_folder).mkdir(parents=True, exist_ok=True)
        callbacks.append(MetricsFile(Path(run_folder)))
        if settings.tensorboard:
            logs = Path(run_folder) / "logs"
            shutil.rmtree(logs, ignore_errors=True)  # an earlier run's curves would be drawn into this one's
            callbacks.append(keras.callbacks.TensorBoard(str(logs), write_graph=False))
    if monitor is not None:
        patience = settings.patience or total  # more evaluations than there can be: never early
        best = "max" if monitor == "val_accuracy" else "min"
        callbacks.append(
            keras.callbacks.EarlyStopping(monitor, patience=patience, mode=best, restore_best_weights=True)
        )
    return callbacks


def evaluate(network: keras.Model, dataset: tf.data.Dataset, verbose: str | int = 0) -> dict[str, float]:
    """Mean loss over a data set, in nats a target, each target weighted as the data set says.

    Args:
        network: a built network; its optimizer and metrics, if compiled, are left as they are.
        dataset: batches of (inputs, targets, weights).
        verbose: as in `fit`.
    """
    if not network.compiled:
        network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    return network.evaluate(dataset, verbose=verbose, return_dict=True)
