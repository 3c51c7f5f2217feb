import dataclasses
from typing import ClassVar

import pytest

from lmkeras.cli.runs import own_options
from lmkeras.errors import InputError
from lmkeras.networks import registry as bodies
from lmkeras.tasks import registry
from lmkeras.tasks.base import NoOptions
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.labelled import ClassifierOptions


@pytest.fixture
def register(monkeypatch):
    """Registers a task until the end of the test."""
    registry.tasks()
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    monkeypatch.setattr(bodies, "_options", {kind: dict(of) for kind, of in bodies._options.items()})
    return registry.register_task


def new_task(name="Made", kind="made", command="made", **fields):
    body = {"kind": kind, "command": command, "title": "a made one", "__module__": __name__, **fields}
    body["__annotations__"] = {key: ClassVar[str] if key in ("kind", "command", "title") else object for key in body}
    return dataclasses.dataclass(frozen=True)(type(name, (Classification,), body))


@pytest.mark.parametrize("field", ["network", "digest", "validation", "seed", "total"])
def test_a_field_with_the_name_of_something_else_is_refused(register, field):
    with pytest.raises(ValueError, match=f"Made: name the field {field} otherwise"):
        register(new_task(**{field: None}))


def with_options(**fields):
    """A task whose Options are those of a classifier and these."""
    task = new_task(**fields)
    own = [(name, object, value) for name, value in fields.items()]
    task.Options = dataclasses.make_dataclass("Options", own, bases=(ClassifierOptions,), frozen=True)
    return task


def test_an_option_must_be_a_field_of_the_task(register):
    task = new_task()
    task.Options = dataclasses.make_dataclass("Options", [("cut", int, 1)], frozen=True)
    with pytest.raises(ValueError, match="Made: its option cut must be a field of the task as well"):
        register(task)
    assert "made" not in registry.tasks()
    register(with_options(cut=1))


@pytest.mark.parametrize("option", ["output", "encoding", "resume", "vocabulary_size", "text_column", "label_column"])
def test_an_option_with_the_name_of_another_is_refused(register, option):
    with pytest.raises(ValueError, match=f"Made: name the option {option} otherwise, there is another of this name"):
        register(with_options(**{option: None}))


def test_an_option_with_the_name_of_a_size_is_refused(register):
    with pytest.raises(ValueError, match="Made: name the option units otherwise, it is a size of a network"):
        register(with_options(units=3))
    register(with_options(context_length=3))  # only bodies that write have a size of this name


def test_a_task_whose_bodies_are_of_no_kind_is_refused(register):
    task = new_task()
    task.bodies = "reader"
    with pytest.raises(ValueError, match="Made: unknown kind of bodies 'reader', expected readers or writers"):
        register(task)


def test_a_second_task_of_the_same_kind_or_command_is_refused(register):
    register(new_task())
    register(new_task())  # the same one, as when its module is run again in a notebook
    for name, kind, command in (("Other", "made", "other"), ("Other", "other", "made"), ("Mine", "mine", "classifier")):
        with pytest.raises(ValueError, match="have the same kind or command"):
            register(new_task(name, kind, command))


def test_fields_that_a_saved_task_lacks_have_their_defaults():
    task = Classification(labels=("a", "b"), max_length=7)
    saved = task.config()
    assert Classification.from_config(saved) == task
    del saved["long_texts"]
    assert Classification.from_config(saved) == task


def test_an_option_that_was_not_given_is_nobodys(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Cut:
        cut: list = dataclasses.field(default_factory=list)

    task = new_task()
    task.Evaluation = Cut
    monkeypatch.setattr("lmkeras.cli.runs.tasks", lambda: {"made": task})
    monkeypatch.setattr("lmkeras.cli.runs.require_task", lambda run: Classification)
    assert own_options(Cut(), NoOptions, "Evaluation", "run") == NoOptions()
    with pytest.raises(InputError, match="--cut is for a made one, and run is a text classifier"):
        own_options(Cut([1]), NoOptions, "Evaluation", "run")


def test_tasks_come_in_the_order_of_their_modules_whatever_was_imported_first(monkeypatch):
    monkeypatch.setattr(registry, "_tasks", dict(reversed(registry.tasks().items())))
    modules = [task.__module__.rpartition(".")[2] for task in registry.tasks().values()]
    assert modules[: len(registry._MODULES)] == list(registry._MODULES)
