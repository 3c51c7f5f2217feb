"""Trains, saves and exports a tiny model, killed (SIGKILL) at a given moment; one child after another.

Arguments: the folder of the model, the kind of model, and a moment for each child, "never" among them: NAME:COUNT for
the COUNT-th time that what NAME says happens, or after:SECONDS. Children are forked once TensorFlow has been imported.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import keras
import safetensors.numpy

import lmkeras.durable
import lmkeras.models.folder
from lmkeras.models.language_model import LanguageModel
from lmkeras.models.text_classifier import TextClassifier

TEXTS = [f"the cat {number % 7} sat on the mat {number * number % 13}. " for number in range(60)]
SETTINGS = {"steps": 60, "batch_size": 4, "evaluate_every": 11, "checkpoint_every": 3, "patience": 4}


def die():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


class Counted:
    """Calls a function until its turn has come, and then dies before or in the middle of it."""

    def __init__(self, function, count, half=None):
        self.function, self.left, self.half = function, count, half

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if not self.left:
            if self.half:
                self.half(*args)
            die()
        return self.function(*args, **kwargs)


def half_a_file(tensors, path, metadata):
    Path(path).write_bytes(safetensors.numpy.save(tensors, metadata)[:-1000])


class AtUpdate(keras.callbacks.Callback):
    def __init__(self, count):
        super().__init__()
        self.left = count

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            die()


def prepare(moment):
    """Callbacks, and functions replaced by those that kill."""
    name, _, count = moment.partition(":")
    if name == "after":
        timer = threading.Timer(float(count), die)
        timer.daemon = True
        timer.start()
    elif name == "update":
        return [AtUpdate(int(count))]
    elif name == "writing":
        safetensors.numpy.save_file = Counted(safetensors.numpy.save_file, int(count), half_a_file)
    elif name == "syncing":
        lmkeras.durable.os = Substitute(os, fsync=Counted(os.fsync, int(count)))
    elif name == "renaming":
        lmkeras.durable.os = Substitute(os, replace=Counted(os.replace, int(count)))
    elif name == "pruning":
        counted = Counted(Path.unlink, int(count))
        Path.unlink = lambda path, **options: counted(path, **options)
    elif name == "evaluating":
        keras.Model.evaluate = Counted(keras.Model.evaluate, int(count))
    elif name == "saving":
        lmkeras.models.folder.os = Substitute(os, replace=Counted(os.replace, int(count)))
    elif name == "exporting":
        import tensorflow as tf

        write = tf.saved_model.save
        tf.saved_model.save = Counted(write, int(count), write)
    elif name != "never":
        raise SystemExit(f"no such moment: {moment}")
    return []


class Substitute:
    """A module of which some functions are others."""

    def __init__(self, module, **functions):
        self._module = module
        vars(self).update(functions)

    def __getattr__(self, name):
        return getattr(self._module, name)


def train(folder, kind, moment):
    options = {"run_folder": folder, "resume": True, "callbacks": prepare(moment), "tensorboard": False, "verbose": 0}
    options |= SETTINGS
    if kind == "classifier":
        model = TextClassifier("lstm", embedding_dim=8, units=8)
        model.fit((TEXTS, ["ab"[number % 2] for number in range(60)]), **options)
    else:
        recurrent = {"embedding_dim": 8, "units": 8}
        attending = {"d_model": 16, "num_heads": 2, "num_layers": 1, "context_length": 16}
        sizes = recurrent if kind == "lstm" else attending
        model = LanguageModel(kind, "characters", **sizes, dropout=0.2)
        model.fit(TEXTS, **options, average_checkpoints=3 if kind == "transformer" else 0)
    model.save(folder)
    model.export(f"{folder}/exported", overwrite=True)


def main(folder, kind, *moments):
    for moment in moments:
        child = os.fork()
        if not child:
            train(folder, kind, moment)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(moment, os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
