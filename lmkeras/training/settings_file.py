"""The file settings.json in a run's folder: with which settings the run was started, and how they acted."""

import datetime
import json
import time
from collections.abc import Mapping
from pathlib import Path

import keras

import lmkeras
from lmkeras.durable import replacing
from lmkeras.training.optimizers import chosen_optimizer
from lmkeras.training.settings import TrainingSettings
from lmkeras.training.strategies import is_chief, strategy_for

NAME = "settings.json"


class SettingsFile(keras.callbacks.Callback):
    """Writes settings.json when training begins, and adds at its end how long it took.

    Args:
        folder: the run's folder.
        settings: how training is done.
        entries: the file's entries on where the run comes from, which JSON must be able to hold: "settings", the
            settings by name; "command" and "verb", what was typed, if the run is one of the command line.
        resume: whether the run goes on from an earlier one, whose seconds count too.
    """

    def __init__(self, folder: Path, settings: TrainingSettings, entries: Mapping[str, object], resume: bool):
        super().__init__()
        self._path, self._settings, self._resume = folder / NAME, settings, resume
        self._network = None
        self._writes = is_chief(strategy_for(settings.distribute))  # of several workers, the first
        self._entries, self._start, self._before = dict(entries), time.perf_counter(), 0.0

    def acts(self, settings: TrainingSettings, network: str) -> None:
        """Says how the settings act, before training begins.

        Args:
            settings: the settings with a value for everything that the user left to lmkeras.
            network: the name of the network.
        """
        self._settings, self._network = settings, network

    def on_train_begin(self, logs=None):
        """Writes the file."""
        self._start = time.perf_counter()
        if not self._writes:
            return
        if self._resume:
            try:
                self._before = float(json.loads(self._path.read_text(encoding="utf-8"))["seconds"])
            except (OSError, ValueError, KeyError, TypeError):
                self._before = 0.0  # it is not known: the run was killed
        optimizer, learning_rate = chosen_optimizer(self.model, self._settings)
        self._entries |= {
            "acting": {
                "network": self._network,
                "epochs": self._settings.epochs,
                "steps": self._settings.steps,
                "minutes": self._settings.minutes,
                "batch_size": self._settings.batch_size,
                "parameters": self.model.count_params(),
                "optimizer": optimizer,
                "learning_rate": learning_rate,
            },
            "version": lmkeras.__version__,
            "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        }
        self._write()

    def on_train_end(self, logs=None):
        """Adds the seconds of training."""
        self._entries["seconds"] = round(self._before + time.perf_counter() - self._start, 1)
        if self._writes:
            self._write()

    def _write(self) -> None:
        text = json.dumps(self._entries, indent=1, ensure_ascii=False, default=str)
        with replacing(self._path) as aside:
            aside.write_text(text + "\n", encoding="utf-8")
