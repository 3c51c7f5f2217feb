"""The registered tasks, by kind. Each task registers itself; models and the command line find it here."""

import dataclasses
import importlib
from collections import Counter

from lmkeras.errors import InputError, unknown_name
from lmkeras.networks.registry import keep_from_sizes
from lmkeras.networks.settings import TRAIN_OPTIONS

#: the modules whose import registers the tasks that come with lmkeras
_MODULES = ("language", "classification", "multi_label", "tagging", "answering", "masked", "seq2seq")
_tasks: dict[str, type] = {}
OWN_KINDS = "A kind of your own must be registered first: import its module"


#: entries of config.json and of checkpoints that are not a task's, so no field of a task may have these names
_TAKEN = {"kind", "tokenizer", "network", "versions", "format_version", "files", "digest"}
_TAKEN |= {"text", "validation", "total", "interval"}


def register_task(task: type) -> type:
    """Decorates a task's class, so that models, the command line and saved folders find it by its `kind`.

    Raises:
        ValueError: another task has this kind or command; a field of the task has the name of something else that is
            kept beside the task's fields; or an option of the task is no field of it, or has the name of another option
            of `lmkeras train`, such as a size of a network.
    """
    taken = _TAKEN | {field.name for field in dataclasses.fields(task.Settings)}
    if wrong := sorted(taken.intersection(field.name for field in dataclasses.fields(task))):
        raise ValueError(f"{task.__name__}: name the field {wrong[0]} otherwise, this name has another meaning")
    for other in _tasks.values():
        same = (other.kind, other.command) == (task.kind, task.command) and other.__qualname__ == task.__qualname__
        if not same and (other.kind == task.kind or other.command == task.command):
            raise ValueError(f"{task.__name__} and {other.__name__} have the same kind or command")
    keep_from_sizes(task.__name__, task.bodies, _options_of(task))
    _tasks[task.kind] = task
    return task


def _options_of(task: type) -> list[str]:
    """The options that `lmkeras train` has for this task alone; ValueError if one of them cannot be an option."""
    if lacking := _names(task.Options) - _names(task):
        raise ValueError(f"{task.__name__}: its option {min(lacking)} must be a field of the task as well")
    options = [name for part in (task.Columns, task.Options, task.Settings) for name in _names(part)]
    if twice := sorted(name for name, count in Counter([*TRAIN_OPTIONS, *options]).items() if count > 1):
        raise ValueError(f"{task.__name__}: name the option {twice[0]} otherwise, there is another of this name")
    return options


def _names(options: type) -> set[str]:
    return {field.name for field in dataclasses.fields(options)}


def tasks() -> dict[str, type]:
    """All tasks by kind: those that come with lmkeras, in one order, then those that this process has registered."""
    modules = [importlib.import_module(f"lmkeras.tasks.{module}").__name__ for module in _MODULES]
    place = {name: number for number, name in enumerate(modules)}
    return dict(sorted(_tasks.items(), key=lambda item: place.get(item[1].__module__, len(place))))


def task_of(kind: str) -> type:
    """The task of a kind; InputError if this version has no such kind."""
    found = tasks()
    if kind not in found:
        raise InputError(f"{unknown_name('kind of model', kind, found)}. {OWN_KINDS}")
    return found[kind]
