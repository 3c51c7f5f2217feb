"""Callbacks around Keras' fit: they count updates, stop training, and write metrics and checkpoints.

In this module "epoch" has Keras' meaning: the updates from one evaluation to the next, not a pass over the corpus.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from lmkeras.training.checkpoints import Checkpoints
from lmkeras.training.curves import draw_curves
from lmkeras.training.interruption import Interrupted, SignalNote
from lmkeras.training.keras_contract import wrap_train_function
from lmkeras.training.outcome import MEAN_OF
from lmkeras.training.state import TrainingState, are_finite


class Updates(keras.callbacks.Callback):
    """Counts updates and ends training after exactly `total` of them, followed by a last evaluation.

    Args:
        total: number of updates in all.
        interval: number of updates from one evaluation to the next.

    Attributes:
        done: number of updates so far.
        epoch: number of evaluations that an earlier process has made; of all evaluations if its training had ended.
    """

    def __init__(self, total: int, interval: int):
        super().__init__()
        self.total, self.interval, self.done, self.epoch = total, interval, 0, 0
        self._cut = False

    def resume(self, done: int, ended: bool) -> None:
        """Continues the count of an earlier process.

        If that process stopped between two evaluations, Keras' first epoch is shorter: it ends at the next evaluation.

        Args:
            done: number of updates that the earlier process has made.
            ended: whether its training had ended, such as by early stopping.
        """
        if type(done) is not int or not 0 <= done <= self.total or type(ended) is not bool:
            raise ValueError(f"expected a number of updates up to {self.total}, got {done!r} and {ended!r}")
        self.done, self._cut = done, done % self.interval != 0
        self.epoch = -(-self.total // self.interval) if ended else done // self.interval

    @property
    def at_evaluation(self) -> bool:
        """Whether an evaluation comes next, because an epoch or the whole training is complete."""
        return self.done % self.interval == 0 or self.done >= self.total

    def on_train_batch_end(self, batch, logs=None):
        """Counts the update, and stops Keras after the last one and at the end of a shortened first epoch."""
        self.done += 1
        if self.done >= self.total or (self._cut and self.at_evaluation):
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        """Lets training continue after a shortened first epoch."""
        if self._cut and self.done < self.total:
            self.model.stop_training = False
        self._cut = False


class LateLogs(keras.callbacks.Callback):
    """Gives Keras, after each update, the logs of the update before it, so that Keras does not wait for the device.

    A GPU still works on an update when TensorFlow returns. Keras reads the logs of every update and would wait for it
    each time; meanwhile nothing new could be prepared for the GPU. The first update of an epoch gives its own logs. The
    values at the end of an epoch are those of all its updates, because Keras reads them from the metrics.

    Args:
        wanted: whether to do this; if False, Keras gets the logs of each update as it comes.

    Attributes:
        late: by how many updates the logs that Keras got last are late, 0 or 1.
    """

    def __init__(self, wanted: bool):
        super().__init__()
        self._wanted, self._logs, self.late = wanted, None, 0
        self._take_out = None

    def on_train_begin(self, logs=None):
        """Puts itself between Keras and the function that does an update."""
        if self._wanted:
            self._take_out = wrap_train_function(self.model, self._later)

    def on_train_end(self, logs=None):
        """Takes itself out again, so that another training may begin."""
        if self._take_out is not None:
            self._take_out()
            self._take_out = None

    def on_epoch_begin(self, epoch, logs=None):
        """Forgets the logs of the last epoch."""
        self._logs = None

    def _later(self, update):
        def late_update(iterator):
            before, self._logs = self._logs, update(iterator)
            self.late = 0 if before is None else 1
            return self._logs if before is None else before

        return late_update


class StopAtNaN(keras.callbacks.Callback):
    """Ends training when a loss or a weight has become NaN or infinite, because nothing can be learned from then on.

    Args:
        updates: the callback that counts updates.
        late: the callback that knows which update the logs are of.

    Attributes:
        message: what happened and what to do; None while all is well.
    """

    message: str | None = None

    def __init__(self, updates: Updates, late: LateLogs):
        super().__init__()
        self._updates, self._late = updates, late

    def on_train_batch_end(self, batch, logs=None):
        """Checks the mean loss of the epoch so far, which a single NaN turns into NaN."""
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            self._stop(f"the loss became {loss}", self._updates.done - self._late.late)

    def on_epoch_end(self, epoch, logs=None):
        """Checks the values of the evaluation and, at the end of training, the weights."""
        wrong = [name for name, value in (logs or {}).items() if not math.isfinite(float(value))]
        if wrong:
            self._stop(f"{wrong[0]} became {float(logs[wrong[0]])}")
        elif self._updates.done >= self._updates.total and not are_finite(dict(enumerate(self.model.get_weights()))):
            self._stop("a weight became NaN or infinite")
        if self.message is not None:  # Updates may have set it to False
            self.model.stop_training = True

    def _stop(self, what: str, update: int | None = None):
        if self.message is None:
            advice = "train with a lower learning_rate, with clip_norm, or in precision float32"
            self.message = f"{what} at update {update or self._updates.done}: {advice}"
            self.model.stop_training = True


class WrittenValues(keras.callbacks.Callback):
    """Adds values of texts that the network writes to those of an evaluation; it must come before all who read these.

    Args:
        written: gives the values by name, without val_.
    """

    def __init__(self, written: Callable[[], Mapping[str, float]]):
        super().__init__()
        self._written = written

    def on_epoch_end(self, epoch, logs=None):
        """Lets the network write, and adds the values."""
        logs.update({f"val_{name}": value for name, value in self._written().items()})


class Evaluations(keras.callbacks.Callback):
    """Collects the values of each evaluation; in a run it also writes metrics.jsonl and, at the end, curves.png.

    Args:
        lines: the list of evaluations, one dictionary each. It holds those of an earlier process, if there was one; new
            ones are appended to it.
        updates: the callback that counts updates.
        folder: the run's folder; None if nothing is to be written.
        judge: the name of the value that chooses the weights that are kept, and whether higher is better; None if the
            last ones are kept.
    """

    OWN = ("step", "learning_rate")  # entries of a line in addition to the values that Keras reports

    def __init__(self, lines: list[dict], updates: Updates, folder: Path | None, judge: tuple[str, bool] | None = None):
        super().__init__()
        self.lines, self._updates, self._folder, self._judge = lines, updates, folder, judge

    def on_train_begin(self, logs=None):
        """Starts metrics.jsonl: empty, or in a resumed run with the evaluations up to the checkpoint."""
        if self._folder is not None:
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        """Adds a line: the step, the learning rate of the next update, and all values that Keras reports."""
        line = {
            **dict(zip(self.OWN, (self._updates.done, float(self.model.optimizer.learning_rate)), strict=True)),
            **{name: float(value) for name, value in (logs or {}).items()},
        }
        self.lines.append(line)
        if self._folder is not None:
            with self._file.open("a") as file:
                file.write(_json_line(line))

    def on_train_end(self, logs=None):
        """Writes what was noted in the last line of the mean of the last weights, and draws the curves."""
        if self._folder is not None:
            if self.lines and MEAN_OF in self.lines[-1]:
                self._write()
            draw_curves(self._file, self._folder / "curves.png", *(self._judge or ()))

    def _write(self) -> None:
        self._file.write_text("".join(map(_json_line, self.lines)))

    @property
    def _file(self) -> Path:
        return self._folder / "metrics.jsonl"


def _json_line(line: dict) -> str:
    """A line of metrics.jsonl; NaN and infinity are written as null, because JSON does not have them."""
    return json.dumps({name: value if math.isfinite(value) else None for name, value in line.items()}) + "\n"


class CheckpointWriter(keras.callbacks.Callback):
    """Writes a checkpoint after each evaluation, after every `every` updates, and when a signal asks to stop.

    Args:
        checkpoints: the run's checkpoints, which new ones are added to.
        state: the state of the training, such as weights and optimizer, which is written.
        facts: further entries of each checkpoint, such as the settings of the training.
        every: number of updates from one checkpoint to the next, within an epoch.
        updates: the callback that counts updates.
        nan: the callback that looks for NaN. Once it has found one, no checkpoint is written, because training could
            not continue from it.
        note: says whether a signal such as SIGTERM or Ctrl-C has come.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        state: TrainingState,
        facts: dict,
        every: int,
        updates: Updates,
        nan: StopAtNaN,
        note: SignalNote,
    ):
        super().__init__()
        self._checkpoints, self._state, self._facts = checkpoints, state, facts
        self._every, self._updates, self._nan, self._note = every, updates, nan, note

    def on_epoch_begin(self, epoch, logs=None):
        """Restores metrics from a checkpoint that was written within an epoch; Keras has just reset them."""
        self._state.restore_metrics()

    def on_train_batch_end(self, batch, logs=None):
        """Writes a checkpoint if one is due, but not right before an evaluation, which is followed by its own."""
        if self._updates.at_evaluation or self.model.stop_training:
            return
        if self._note.due is not None:
            self._stop(within_epoch=True)
        if self._updates.done % self._every == 0:
            self._write(within_epoch=True)

    def on_epoch_end(self, epoch, logs=None):
        """Writes a checkpoint after an evaluation. This callback comes last, so all others have seen the evaluation."""
        if self._note.due is not None:
            self._stop(within_epoch=False)
        self._write(within_epoch=False)

    def _stop(self, within_epoch: bool):
        path = self._write(within_epoch)
        where = "without a checkpoint" if path is None else f"the checkpoint is {path}"
        raise Interrupted(self._note.due, f"stopped at update {self._updates.done}; {where}")

    def _write(self, within_epoch: bool) -> Path | None:
        arrays = self._state.arrays(within_epoch)
        if self._nan.message is not None or not are_finite(arrays):
            return None  # the checkpoint before this one stays the newest
        facts = {**self._state.facts(), **self._facts, "step": self._updates.done, "stopped": self.model.stop_training}
        return self._checkpoints.write(self._updates.done, arrays, facts)
