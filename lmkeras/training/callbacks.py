"""What a run needs around Keras' fit, as callbacks: where to stop, what to write."""

import json
import math
from pathlib import Path

import keras

from lmkeras.training.checkpoints import Checkpoints
from lmkeras.training.curves import draw_curves
from lmkeras.training.interruption import Interrupted, SignalNote
from lmkeras.training.state import TrainingState, are_finite


class Updates(keras.callbacks.Callback):
    """Counts updates and ends training after exactly `total`, with the evaluation that ends an epoch.

    Args:
        total: number of updates in all.
        interval: number of updates from one evaluation to the next.

    Attributes:
        done: number of updates so far.
        epoch: number of evaluations so far; all of them where training has ended.
    """

    def __init__(self, total: int, interval: int):
        super().__init__()
        self.total, self.interval, self.done, self.epoch = total, interval, 0, 0
        self._cut = False

    def resume(self, done: int, ended: bool) -> None:
        """Goes on after an earlier process's updates; in the middle of an interval Keras' first epoch is cut short."""
        if type(done) is not int or not 0 <= done <= self.total or type(ended) is not bool:
            raise ValueError(f"expected a number of updates up to {self.total}, got {done!r} and {ended!r}")
        self.done, self._cut = done, done % self.interval != 0
        self.epoch = -(-self.total // self.interval) if ended else done // self.interval

    def on_train_begin(self, logs=None):
        """Says where training goes on, if anything is to be said."""
        if self.done and self.params.get("verbose"):
            print(f"going on after update {self.done} of {self.total}")

    @property
    def at_evaluation(self) -> bool:
        """Whether the evaluation comes next that ends an epoch."""
        return self.done % self.interval == 0 or self.done >= self.total

    def on_train_batch_end(self, batch, logs=None):
        """Counts."""
        self.done += 1
        if self.done >= self.total or (self._cut and self.at_evaluation):
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        """Goes on after a first epoch that was cut."""
        if self._cut and self.done < self.total:
            self.model.stop_training = False
        self._cut = False


class StopAtNaN(keras.callbacks.Callback):
    """Ends training when a loss or a weight is no number any more: nothing can be learned from there.

    Args:
        updates: counts.

    Attributes:
        message: what happened and what to do; None while all is well.
    """

    message: str | None = None

    def __init__(self, updates: Updates):
        super().__init__()
        self._updates = updates

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the mean loss of the epoch so far, which one NaN spoils."""
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            self._stop(f"the loss became {loss}")

    def on_epoch_end(self, epoch, logs=None):
        """Looks at what the evaluation found, and at the weights that training ends with."""
        wrong = [name for name, value in (logs or {}).items() if not math.isfinite(float(value))]
        if wrong:
            self._stop(f"{wrong[0]} became {float(logs[wrong[0]])}")
        elif self._updates.done >= self._updates.total and not are_finite(dict(enumerate(self.model.get_weights()))):
            self._stop("a weight became NaN or infinite")
        if self.message is not None:  # whatever another callback wants, there is no next epoch
            self.model.stop_training = True

    def _stop(self, what: str):
        if self.message is None:
            advice = "train with a lower learning_rate, with clip_norm, or in precision float32"
            self.message = f"{what} at update {self._updates.done}: {advice}"
            self.model.stop_training = True


class Evaluations(keras.callbacks.Callback):
    """Notes each evaluation, with a run in metrics.jsonl too, of which curves.png is drawn when training ends.

    Args:
        lines: one dictionary an evaluation: those of an earlier process to begin with, this one's are added.
        updates: counts.
        folder: the run's folder; None where there is no run.
    """

    OWN = ("step", "learning_rate")  # what a line has beside the values that Keras reports

    def __init__(self, lines: list[dict], updates: Updates, folder: Path | None):
        super().__init__()
        self.lines, self._updates, self._folder = lines, updates, folder

    def on_train_begin(self, logs=None):
        """Starts the file: empty, or with what an earlier process had written up to its checkpoint."""
        if self._folder is not None:
            self._file.write_text("".join(map(_json_line, self.lines)))

    def on_epoch_end(self, epoch, logs=None):
        """Adds step, learning rate of the next update, and all that Keras reports."""
        line = {
            **dict(zip(self.OWN, (self._updates.done, float(self.model.optimizer.learning_rate)), strict=True)),
            **{name: float(value) for name, value in (logs or {}).items()},
        }
        self.lines.append(line)
        if self._folder is not None:
            with self._file.open("a") as file:
                file.write(_json_line(line))

    def on_train_end(self, logs=None):
        """Draws the curves."""
        if self._folder is not None:
            draw_curves(self._file, self._folder / "curves.png")

    @property
    def _file(self) -> Path:
        return self._folder / "metrics.jsonl"


def _json_line(line: dict) -> str:
    """A line of metrics.jsonl; JSON has no NaN and no infinity, for which null stands."""
    return json.dumps({name: value if math.isfinite(value) else None for name, value in line.items()}) + "\n"


class CheckpointWriter(keras.callbacks.Callback):
    """Writes a checkpoint after each evaluation, every so many updates between them, and when a signal comes.

    Args:
        checkpoints: where to.
        state: what to.
        facts: what else a checkpoint shall say.
        every: updates between checkpoints.
        updates: counts.
        nan: after what it finds nothing is written: there would be nothing to go on from.
        note: the signal that has come.
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
        """Keras has just reset the metrics that a checkpoint from within an epoch brings back."""
        self._state.restore_metrics()

    def on_train_batch_end(self, batch, logs=None):
        """Between evaluations: an evaluation that comes next has its own checkpoint after it."""
        if self._updates.at_evaluation or self.model.stop_training:
            return
        if self._note.due is not None:
            self._stop(within_epoch=True)
        if self._updates.done % self._every == 0:
            self._write(within_epoch=True)

    def on_epoch_end(self, epoch, logs=None):
        """After an evaluation; the last of the callbacks, so that all others have seen it."""
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
            return None  # the one before it stays the newest
        facts = {**self._state.facts(), **self._facts, "step": self._updates.done, "stopped": self.model.stop_training}
        return self._checkpoints.write(self._updates.done, arrays, facts)
