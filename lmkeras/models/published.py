"""Published checkpoints with the head of a task: which task it is, and its parts."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lmkeras.archives import MEGABYTE, inside, read_json, shortened
from lmkeras.errors import InputError, unknown_argument
from lmkeras.models.folder import is_saved, read_config
from lmkeras.pretrained.bert import family_of, labels_of
from lmkeras.tasks import task_of, tasks
from lmkeras.tasks.base import Task

if TYPE_CHECKING:
    from lmkeras.networks.network import Network
    from lmkeras.tokenizers.base import BaseTokenizer

_LARGEST_CONFIG = 64 * MEGABYTE


def is_published(folder: str | Path) -> bool:
    """Whether a folder holds a checkpoint of transformers, and not a model that lmkeras saved."""
    path = Path(folder) / "config.json"
    if not path.is_file() or is_saved(folder):
        return False
    try:
        config = read_json(inside(folder, path.name), _LARGEST_CONFIG)
    except (InputError, ValueError):
        return False
    return isinstance(config, dict) and ("architectures" in config or "model_type" in config)


def kind_in(folder: str | Path) -> type[Task]:
    """The task of the model in a folder, whether lmkeras saved it or it is published; imports no TensorFlow.

    Raises:
        InputError: there is no model, or a published one of no task.
    """
    if is_published(folder):
        config = read_json(inside(folder, "config.json"), _LARGEST_CONFIG)
        return type(published_task(config, folder))
    return task_of(read_config(folder, whole=False)["kind"])  # `load` checks the other files


def published_task(config: Mapping, source: object, **options) -> Task:
    """The task of a published model.

    Args:
        config: the content of its config.json.
        source: where it is from, for messages.
        options: fields of the task that shall differ from what config.json says.

    Raises:
        InputError: the checkpoint is of another family, or has no head of a task, or the task has no such field.
    """
    family, named = family_of(config, source), config.get("architectures")
    name = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    architecture = name.removeprefix(family.class_name)
    labels = labels_of(config, source)
    suitable = [task for task in tasks().values() if architecture in task.architectures]
    found = next(filter(None, (task.of_published(architecture, config, labels=labels) for task in suitable)), None)
    if found is None:
        known = ", ".join(sorted({one for task in tasks().values() for one in task.architectures}))
        raise InputError(
            f"{source} holds {shortened(repr(name))}, which has the head of no task (of {known}): give its folder as "
            'weights, as in TextClassifier("bert", weights=…), and train'
        )
    fields = [field.name for field in dataclasses.fields(found)]
    for option in options:
        if option not in fields:
            raise unknown_argument("from_pretrained", option, fields)
    return dataclasses.replace(found, **options)


def read_published(source: str | Path, **options) -> "tuple[Task, Network, BaseTokenizer]":
    """The parts of a published model: a folder or hub name; for `options` and errors see `published_task`."""
    from lmkeras.networks.bodies.bert import Bert
    from lmkeras.networks.network import Network
    from lmkeras.pretrained.checkpoint import read_checkpoint
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    checkpoint = read_checkpoint(source)
    task = published_task(checkpoint.config, source, **options)
    bert = Bert.of_checkpoint(checkpoint, pooled=False)
    network = Network(bert, task.head(bert))
    bert.read_head(network.head, checkpoint)
    return task, network, WordPieceTokenizer.from_pretrained(source)
