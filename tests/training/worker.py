"""Trains a tiny model by the strategy and the options that JSON on the command line names, and saves what came out.

{"kind": "lstm", "transformer", "classifier" or "tagger", "output": a folder, "devices": logical CPUs, "options": of
fit, "stop": [update, signal], "arrays": a file, "sizes": of a language network, "start_seconds": see strategies}
"""

import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.models.language_model import LanguageModel
from lmkeras.models.tagger import Tagger
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.training import strategies
from lmkeras.training.interruption import Interrupted

# Texts of many lengths, of which 61 - 6 in batches of 8 leave 7 for the last batch, and 4 batches of an odd number
TEXTS = [f"the cat {number % 7} sat on {'the old ' * (number % 5)}mat {number * number % 13}. " for number in range(61)]


class Stop(keras.callbacks.Callback):
    def __init__(self, update, number):
        super().__init__()
        self.left, self.number = update, number

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.number)


def main(task):
    strategies.START_SECONDS = task.get("start_seconds", strategies.START_SECONDS)
    if task.get("devices", 1) > 1:
        parts = [tf.config.LogicalDeviceConfiguration()] * task["devices"]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    options = {"batch_size": 8, "steps": 20, "evaluate_every": 7, "precision": "float32", "tensorboard": False}
    options |= {"clip_norm": 0.05}  # so short that it always matters
    options |= {"average_checkpoints": 2 if task["kind"] in ("lstm", "transformer") else 0}
    options |= {"verbose": 0, "callbacks": [Stop(*task["stop"])] if "stop" in task else [], **task["options"]}
    if task["kind"] == "classifier":
        model = TextClassifier("dense", embedding_dim=8, units=8, dropout=task.get("dropout", 0.0))
        labels = ["abc"[number % 3] for number in range(61)]
        history = model.fit((TEXTS, labels), class_weights={"a": 2.0, "b": 0.5}, **options)
    elif task["kind"] == "tagger":
        sizes = {"embedding_dim": 8, "character_dim": 4, "units": 8, "buckets": 512}
        model = Tagger("lstm", **sizes, dropout=task.get("dropout", 0.0), word_dropout=0.0)
        texts = [text.split() for text in TEXTS]
        history = model.fit(
            [(words, ["B-A" if word == "mat" else "O" for word in words]) for words in texts], **options
        )
    else:
        recurrent = {"embedding_dim": 8, "units": 8}
        attending = {"d_model": 16, "num_heads": 2, "num_layers": 1, "context_length": 16}
        sizes = recurrent if task["kind"] == "lstm" else attending
        sizes = {**sizes, **task.get("sizes", {})}
        model = LanguageModel(task["kind"], "characters", **sizes, dropout=task.get("dropout", 0.0))
        history = model.fit(TEXTS, **options)
    np.savez(task["arrays"], *model.network.get_weights())
    return history


if __name__ == "__main__":
    try:
        print(json.dumps(main(json.loads(sys.argv[1]))))
    except (InputError, Interrupted) as error:
        print(json.dumps(str(error)))
        sys.exit(getattr(error, "exit_code", 2))
