"""How many updates fit into some minutes: found from the speed of the first updates, which are then undone.

Where epochs are given beside minutes, the training ends with whichever ends first.
"""

import bisect
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lmkeras.datasets.prefetching import failures_of_batches
from lmkeras.datasets.sharing import WHOLE
from lmkeras.training.callbacks import LateLogs
from lmkeras.training.checkpoints import Checkpoints
from lmkeras.training.keras_contract import learning_rate_schedule
from lmkeras.training.optimizers import schedule_lengths
from lmkeras.training.policy import device_in_use
from lmkeras.training.progress import say
from lmkeras.training.run import Batches, Run
from lmkeras.training.settings import TrainingSettings
from lmkeras.training.state import TrainingState

_log = logging.getLogger("lmkeras")
_MOST_SECONDS = 30.0  # of measuring updates
_SHARE = 0.05  # of the minutes, or of the updates, if that is less: as these are undone, their time is lost
_MOST_UPDATES = 1000
_FEWEST_UPDATES = 3
_UNSTEADY = 3  # updates that are left out if there are many more: they are traced and compiled, and fill caches
_COMPILED = 5  # updates that take so many times as long as most do are those for which a new shape was compiled
_JUDGED = 5  # batches of the validation part, taken evenly from it


class Speed(NamedTuple):
    """How long the parts of a training take.

    Attributes:
        update: seconds of an update, without what only the first one takes, such as compiling.
        evaluation: seconds of an evaluation; 0.0 without a validation part.
        spent: seconds that measuring took, with compiling.
    """

    update: float
    evaluation: float
    spent: float

    def updates_in(self, minutes: float, interval_of: Callable[[int], int]) -> int:
        """The number of updates that end, with all evaluations, when the minutes do; at least 1.

        Args:
            minutes: what the training may take, measuring included.
            interval_of: gives, for a number of updates, how many of them there are from one evaluation to the next.

        Example:
            >>> Speed(update=0.5, evaluation=2.0, spent=10.0).updates_in(1, lambda total: 20)
            80
        """
        left = 60 * minutes - self.spent

        def seconds(updates: int) -> float:
            return updates * self.update + -(-updates // interval_of(updates)) * self.evaluation

        most = int(max(0.0, left) / self.update)
        return max(1, bisect.bisect_right(range(1, most + 1), left, key=seconds))


def planned_settings(settings: TrainingSettings, run: Run | None) -> TrainingSettings | None:
    """Settings whose number of updates is known; None if it has to be measured, because minutes are given.

    If a run goes on from a checkpoint, the minutes have been measured: the checkpoint knows the number.
    """
    if settings.minutes is None:
        return settings
    if run is None or not run.resume:
        return None
    facts = Checkpoints(run.folder, keep=1, read_only=True).newest_facts() or {}
    total = facts["made_of"].get("total") if isinstance(facts.get("made_of"), dict) else None
    return settings.of_length(total) if type(total) is int and total > 0 else None


def settings_in_time(
    network: keras.Model,
    settings: TrainingSettings,
    averages: Sequence[keras.metrics.Metric],
    data: tuple[Batches, Callable[[Batches], tuple]],
    level: int = 0,
) -> TrainingSettings:
    """The settings with the number of updates for which their minutes have room, but no more than epochs ask for.

    The network's learning-rate schedule gets this length too. So what follows is the training of so many steps.

    Args:
        network: a network that is compiled for these settings.
        settings: how to train.
        averages: see `measured_speed`; so is `data`.
        level: whether to print what was found; 0 for no.
    """
    late = LateLogs(device_in_use().runs_ahead)
    steps = data[0].steps_per_epoch
    most = settings.most_steps(steps)
    with failures_of_batches():
        speed = measured_speed(network, averages, data=data, minutes=settings.minutes, late=late, most=most)
    room = speed.updates_in(settings.minutes, lambda total: settings.of_length(total).steps_between_evaluations(steps))
    total = room if most is None else min(room, most)
    learning_rate_schedule(network.optimizer).set_lengths(*schedule_lengths(total, settings.warmup_steps))
    if speed.spent >= 60 * settings.minutes:
        _log.warning(
            "minutes %g: compiling and measuring alone took %.0f s; one update follows", settings.minutes, speed.spent
        )
    elif level:
        asked = f"; the {settings.epochs:,} epochs end before, with {total:,}" if total < room else ""
        say(
            f"{settings.minutes:g} minutes have room for {room:,} updates of {speed.update:.3g} s, and evaluations of "
            f"{speed.evaluation:.3g} s; {speed.spent:.3g} s are gone for compiling and measuring{asked}"
        )
    return settings.of_length(total)


def measured_speed(
    network: keras.Model,
    averages: Sequence[keras.metrics.Metric],
    data: tuple[Batches, Callable[[Batches], tuple]],
    minutes: float,
    late: LateLogs,
    most: int | None = None,
) -> Speed:
    """Trains for some updates and evaluates on some batches, to see how long each takes, and undoes all of it.

    The training step is traced and compiled here; the training to come uses the same one. Weights, optimizer and
    random states are what they were before.

    Args:
        network: a compiled network whose optimizer is built.
        averages: its metrics.
        data: the batches of the training (as they come in random order, the first ones are of all lengths); and a
            function that gives what Keras' fit takes of Batches: a function from a number of updates to the batches to
            train on, and those to validate on or None.
        minutes: how long the training will take; a twentieth of them, at most 30 seconds, is spent on measuring, or as
            long as three updates take.
        late: the callback that lets a GPU run ahead, as in the training.
        most: the number of updates that the training will not exceed, of which as small a share is spent; None: no
            limit is known.
    """
    (batches, shared), state = data, TrainingState(network, list(averages), None)
    before = state.arrays(within_epoch=False), state.facts()
    enough = _MOST_UPDATES if most is None else min(_MOST_UPDATES, max(_FEWEST_UPDATES, int(_SHARE * most)))
    parts = 0 if batches.validation is None else max(0, int(batches.validation(WHOLE).cardinality()))
    train, validation = shared(_sampled(batches, parts))
    watch = _Watch(min(_MOST_SECONDS, _SHARE * 60 * minutes))
    try:
        network.fit(
            train(0),
            steps_per_epoch=enough,
            validation_data=validation,
            callbacks=[late, watch],
            verbose=0,
            shuffle=False,
        )
    finally:
        state.restore(*before)
    return watch.speed(parts)


def _sampled(batches: Batches, parts: int) -> Batches:
    """The batches with few to validate on, each of which comes twice: the second time they are made already."""
    if not parts:
        return batches
    every = -(-parts // _JUDGED)

    def some(share) -> tf.data.Dataset:
        return batches.validation(share).shard(every, every // 2).cache().repeat(2)

    return Batches(batches.train, batches.steps_per_epoch, some)


class _Watch(keras.callbacks.Callback):
    """Notes when each update and each batch of an evaluation ends; ends the updates once `enough` seconds are timed."""

    def __init__(self, enough: float):
        super().__init__()
        self._enough, self._start, self._updates, self._judged = enough, time.monotonic(), [], []

    def on_train_batch_end(self, batch, logs=None):
        """Notes the end of an update. The first one's time is not counted, as it is compiled."""
        self._updates.append(time.monotonic())
        if len(self._updates) >= _FEWEST_UPDATES and self._updates[-1] - self._updates[0] >= self._enough:
            self.model.stop_training = True

    def on_test_batch_end(self, batch, logs=None):
        """Notes the end of a batch."""
        self._judged.append(time.monotonic())

    def speed(self, parts: int) -> Speed:
        """What was found, for an evaluation of so many batches."""
        ends, judged = self._updates, self._judged
        first = _UNSTEADY if len(ends) > 3 * _UNSTEADY else 1
        update = _usual(np.diff(ends[first - 1 :]))
        once = len(judged) // 2
        evaluation = parts * (judged[-1] - judged[once - 1]) / once if once else 0.0
        return Speed(max(update, 1e-6), evaluation, time.monotonic() - self._start)


def _usual(seconds: np.ndarray) -> float:
    """The mean time of updates, without those for which something was compiled: each shape is compiled only once."""
    return float(seconds[seconds <= _COMPILED * np.median(seconds)].mean())
