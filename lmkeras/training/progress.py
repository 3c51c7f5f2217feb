"""Shows how far a training has come: a bar where a person looks on, plain lines where the output goes to a file."""

import io
import math
import shutil
import sys
import time
from collections.abc import Mapping

import keras
from tqdm import tqdm

from lmkeras.errors import InputError
from lmkeras.training.callbacks import Evaluations, Updates
from lmkeras.training.outcome import place_of_best, shown_number

_FIRST = 2  # updates of a process that are not timed: TensorFlow traces and compiles in them
_COLUMNS = 100  # the width of a bar in a notebook, and in a terminal that does not say how wide it is
_TIMED_SECONDS = 2.0  # how long updates are timed before a line says how long the training will take


def level_of(verbose: str | int, speaks: bool = True) -> int:
    """How much is shown, as a number from 0 to 3.

    Args:
        verbose: "auto" or 1 for a bar where the output is a terminal or a notebook, and else as 2; 0 for nothing; 2 for
            a line after each evaluation; 3 for all of this, and a line after each tenth of an epoch.
        speaks: whether this process shows anything: of several workers only the first does.

    Raises:
        InputError: verbose is none of these.

    Example:
        >>> level_of("auto"), level_of(0), level_of(3), level_of(2, speaks=False)
        (1, 0, 3, 0)
    """
    levels = {"auto": 1, 0: 0, 1: 1, 2: 2, 3: 3}
    if not isinstance(verbose, str | int) or verbose not in levels:
        raise InputError(f"verbose must be 'auto', 0, 1, 2 or 3, got {verbose!r}")
    return levels[verbose] if speaks else 0


def say(line: str) -> None:
    """Prints a line at once, so that whoever reads the output of a long training through a pipe sees it in time."""
    print(line, flush=True)


class Bar(tqdm):
    """A bar of tqdm that names its numbers itself, in a terminal or in a notebook's cell.

    A notebook gets it as an output that replaces itself, so that only the bar's last state is saved.
    """

    monitor_interval = 0  # no thread of tqdm's own: each update of a training is shown when it comes

    def __init__(self, total: int, done: int, what: str):
        self._cell = _cell()
        bar_format = what + " {n:,}/{total:,} {percentage:3.0f}%|{bar:20}|{desc}"
        file = io.StringIO() if self._cell else sys.stdout
        options = {"mininterval": 0.2, "miniters": 1, "nrows": 2, "ncols": _COLUMNS, "leave": False}
        super().__init__(total=total, initial=done, bar_format=bar_format, file=file, **options)

    def display(self, msg=None, pos=None):
        """Shows the bar, or nothing for an empty `msg`."""
        if self._cell is None:
            self.ncols = shutil.get_terminal_size((_COLUMNS, 0)).columns - 1  # the user may have changed its width
            return super().display(msg, pos)
        self._cell.update({"text/plain": str(self) if msg is None else msg}, raw=True)
        return True

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        if self._cell is None:
            self.write(line, file=sys.stdout)
            sys.stdout.flush()
        else:
            say(line)


def _cell():
    """The place of a new output in the notebook's cell that runs; None outside notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if not hasattr(shell, "kernel"):
        return None
    return ipython.display.display({"text/plain": ""}, raw=True, display_id=True)


def shows_bars() -> bool:
    """Whether the output is a terminal, or a notebook's cell, where a bar can be drawn over itself."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return sys.stdout.isatty() or hasattr(shell, "kernel")


class Clock:
    """Estimates the time to the end of a training from the updates and evaluations so far.

    Args:
        now: gives the time in seconds.
    """

    def __init__(self, now=time.monotonic):
        self._now, self._since = now, None
        self._updates, self._evaluations = [0, 0.0], []  # number and seconds; seconds of each
        self._seen = 0

    def begin(self) -> None:
        """Updates begin, at the start or after an evaluation, which ends here with all that was written after it."""
        now = self._now()
        if self._evaluations and self._evaluations[-1] < 0:
            self._evaluations[-1] += now
        self._since = now

    def updated(self) -> None:
        """An update has been made."""
        now, self._seen = self._now(), self._seen + 1
        if self._seen > _FIRST:
            self._updates = [self._updates[0] + 1, self._updates[1] + now - self._since]
        self._since = now

    def evaluating(self) -> None:
        """An evaluation begins."""
        self._evaluations.append(-self._now())

    @property
    def timed(self) -> float:
        """For how many seconds updates have been timed."""
        return self._updates[1]

    def left(self, updates: int, evaluations: int) -> float | None:
        """Seconds that so many updates and evaluations will take; None if no update has been timed.

        The first evaluation counts, in which TensorFlow traces, only until there is a second one.
        """
        number, seconds = self._updates
        if not number:
            return None
        known = [seconds for seconds in self._evaluations if seconds >= 0]
        known = known[1:] or known
        each = sum(known) / len(known) if known else 0.0
        return updates * seconds / number + evaluations * each


def duration(seconds: float) -> str:
    """A time for people, rounded.

    Example:
        >>> duration(7.6), duration(100), duration(3720), duration(100_000)
        ('8 s', '1 min 40 s', '1 h 2 min', '27 h 46 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min {seconds % 60} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Progress(keras.callbacks.Callback):
    """Shows each evaluation of a training as a line, and between evaluations how far it has come and the time left.

    It is a context manager too, which removes the bar at the end, however the training ends.

    Args:
        level: what `level_of` gave.
        updates: the callback that counts updates.
        lines: the evaluations, to which the callback Evaluations adds each one before this callback sees it.
        steps_per_epoch: number of updates in one pass over the corpus.
        best: (monitor, whether higher is better), to mark the best evaluations; None without validation.
    """

    def __init__(
        self,
        level: int,
        updates: Updates,
        lines: list[dict],
        steps_per_epoch: int,
        best: tuple[str, bool] | None,
    ):
        super().__init__()
        self._level, self._updates, self._lines = level, updates, lines
        self._steps_per_epoch, self._best = steps_per_epoch, best
        self._clock, self._bar, self._has_said_how_long = Clock(), None, False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.close()

    def on_train_begin(self, logs=None):
        """Says after which update an earlier process's training goes on."""
        if self._level and self._updates.done:
            say(f"going on after update {self._updates.done} of {self._updates.total}")
        if self._level in (1, 3) and shows_bars():
            self._bar = Bar(self._updates.total, self._updates.done, "update")

    def on_epoch_begin(self, epoch, logs=None):
        """Updates begin."""
        self._clock.begin()

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar; without one, says once how long the training will take."""
        self._clock.updated()
        left = self._left()
        if self._bar is not None:
            self._bar.set_description_str(self._state(logs or {}, left), refresh=False)
            self._bar.update(1)
        elif self._level and not self._has_said_how_long and self._clock.timed > _TIMED_SECONDS:
            self._has_said_how_long = True
            if left > _TIMED_SECONDS:
                say(f"about {duration(left)} for the other {self._updates.total - self._updates.done:,} updates")
        tenth = max(1, self._steps_per_epoch // 10)
        if self._level == 3 and self._updates.done % tenth == 0 and not self._updates.at_evaluation:
            self._say(f"{self._where()}  loss {shown_number(float(logs['loss']))}")

    def on_test_begin(self, logs=None):
        """An evaluation begins."""
        self._clock.evaluating()
        if self._bar is not None:
            self._bar.set_description_str(f" {self._epoch()}  evaluating")

    def on_epoch_end(self, epoch, logs=None):
        """Shows the evaluation."""
        if not self._level:
            return
        line = self._lines[-1]
        judged = [name for name in sorted(line, key="val_loss".__ne__) if name.startswith("val_")]
        others = judged or [name for name in line if name not in ("loss", *Evaluations.OWN)]
        values = "".join(f"  {name} {shown_number(line[name])}" for name in ("loss", *others))
        kept = self._best is not None and math.isfinite(line["val_loss"])
        best = kept and place_of_best(self._lines, *self._best) == len(self._lines) - 1
        self._say(f"{self._where()}{values}{'  best' * best}")

    def _say(self, line: str) -> None:
        (say if self._bar is None else self._bar.say)(line)

    def _where(self) -> str:
        return f"update {self._updates.done:,}/{self._updates.total:,}  {self._epoch()}"

    def _epoch(self) -> str:
        passes = (updates / self._steps_per_epoch for updates in (self._updates.done, self._updates.total))
        return "epoch " + "/".join(f"{number:.3g}" if number < 100 else f"{number:,.0f}" for number in passes)

    def _left(self) -> float | None:
        done, total, interval = self._updates.done, self._updates.total, self._updates.interval
        return self._clock.left(total - done, -(-total // interval) - done // interval)

    def _state(self, logs: Mapping, left: float | None) -> str:
        loss = f"  loss {shown_number(float(logs['loss']))}" if "loss" in logs else ""
        return f" {self._epoch()}{loss}" + ("" if left is None else f"  {duration(left)} left")


class EvaluationBar(keras.callbacks.Callback):
    """A bar for an evaluation alone, where the output is a terminal or a notebook.

    Args:
        level: what `level_of` gave; a bar is shown for 1 and 3.
        total: the number of batches.
    """

    def __init__(self, level: int, total: int):
        super().__init__()
        self._bar = Bar(total, 0, "batch") if level in (1, 3) and shows_bars() else None

    def on_test_batch_end(self, batch, logs=None):
        """Moves the bar."""
        if self._bar is not None:
            self._bar.update(1)

    def on_test_end(self, logs=None):
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
