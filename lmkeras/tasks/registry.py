"""The registered tasks, by kind. Each task registers itself; models and the command line find it here."""

import importlib

from lmkeras.errors import InputError

#: the modules whose import registers the tasks that come with lmkeras
_MODULES = ("language", "classification")
_tasks: dict[str, type] = {}


def register_task(task: type) -> type:
    """Decorates a task's class, so that models, the command line and saved folders find it by its `kind`."""
    _tasks[task.kind] = task
    return task


def tasks() -> dict[str, type]:
    """All tasks by kind, including those that this process has registered."""
    for module in _MODULES:
        importlib.import_module(f"lmkeras.tasks.{module}")
    return dict(_tasks)


def task_of(kind: str) -> type:
    """The task of a kind; InputError if this version has no such kind."""
    found = tasks()
    if kind not in found:
        raise InputError(f"there is no kind of model {kind!r}; this version knows {', '.join(found)}")
    return found[kind]
