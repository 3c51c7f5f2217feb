"""A model's folder, written."""

import platform
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.models.folder import write_model
from lmkeras.networks.network import Network
from lmkeras.tasks.base import Task
from lmkeras.tokenizers.base import BaseTokenizer


def save_model(folder: str | Path, task: Task, tokenizer: BaseTokenizer, network: Network) -> None:
    """Writes config.json, tokenizer.json and network.keras.

    Args:
        folder: created where it is missing; the three files replace those of an earlier model, all at the end.
        task: with what it has learnt.
        tokenizer: fitted.
        network: trained.
    """
    sizes = {**network.get_config(), "name": type(network.body).__name__}
    config = {
        "kind": task.kind,
        **task.config(),
        "tokenizer": {"name": type(tokenizer).__name__, "vocabulary_size": tokenizer.vocabulary_size},
        "network": {**sizes, "parameters": network.count_params()},
        "versions": {
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
        },
    }
    files = {
        "network.keras": _without_optimizer(network).save,
        "tokenizer.json": lambda path: path.write_text(tokenizer.to_json(), encoding="utf-8"),
    }
    write_model(folder, config, files)


def _without_optimizer(network: Network) -> Network:
    """The same network as it was built: an optimizer's state would treble the file, and nobody reads it."""
    clone = type(network).from_config(network.get_config())
    clone.set_weights(network.get_weights())
    return clone


def without_names(config):
    """A network's config without the names of its layers, which number what a process has made before."""
    if isinstance(config, Mapping):
        return {name: without_names(value) for name, value in config.items() if name != "name"}
    return config
