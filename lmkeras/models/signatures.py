"""Signatures that name every setting, so that `help`, editors and notebooks show and complete them."""

import dataclasses
import functools
import inspect
from collections.abc import Callable

from lmkeras.tasks.base import Task


def naming_settings(task: type[Task]) -> Callable[[type], type]:
    """Decorates a class of models for one task: its verbs that take `changes` name each setting and its default.

    A verb that takes an `encoding` reads files, so that it names their columns too. The verbs do what they did before.
    """

    def name_them(model: type) -> type:
        for name, verb in inspect.getmembers(model, inspect.isfunction):
            if "changes" in inspect.signature(verb).parameters:
                setattr(model, name, _naming(verb, task))
        return model

    return name_them


def _naming(verb: Callable, task: type[Task]) -> Callable:
    @functools.wraps(verb)
    def with_names(*args, **kwargs):
        return verb(*args, **kwargs)

    own = inspect.signature(verb)
    parameters = {name: parameter for name, parameter in own.parameters.items() if name != "changes"}
    for options in (task.Settings, *([task.Columns] if "encoding" in parameters else [])):
        for field in dataclasses.fields(options):
            named = inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
            )
            parameters.setdefault(field.name, named)
    with_names.__signature__ = own.replace(parameters=list(parameters.values()))
    return with_names
