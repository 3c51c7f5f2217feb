"""Saves a model to a folder."""

import functools
import platform
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.models.folder import WEIGHTS, write_model
from lmkeras.models.network_file import write_network
from lmkeras.networks.network import Network
from lmkeras.tasks import tasks
from lmkeras.tasks.base import Task
from lmkeras.tokenizers.base import BaseTokenizer


def save_model(folder: str | Path, task: Task, tokenizer: BaseTokenizer, network: Network) -> None:
    """Writes config.json, tokenizer.json and model.safetensors.

    Args:
        folder: created if it does not exist. Files of an earlier model are replaced, once all new ones are complete.
        task: the task, with what it has learnt.
        tokenizer: the fitted tokenizer.
        network: the trained network.

    Raises:
        InputError: the task is not registered.
    """
    if type(task) is not tasks().get(task.kind):
        name = type(task).__name__
        raise InputError(f"the task {name} is not registered, so its model could not be loaded: see register_task")
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
        WEIGHTS: functools.partial(write_network, network),
        "tokenizer.json": lambda path: path.write_text(tokenizer.to_json(), encoding="utf-8"),
    }
    write_model(folder, config, files)


def without_names(config):
    """A network's config without names of layers: they contain a count of the layers that the process made before."""
    if isinstance(config, Mapping):
        return {name: without_names(value) for name, value in config.items() if name != "name"}
    return config
