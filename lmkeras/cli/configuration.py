"""The settings of a run on the command line: kept in settings.json, and given again by --config."""

import glob
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmkeras.arguments import Command, Option
from lmkeras.arguments.values import from_json
from lmkeras.errors import InputError, unknown_name

NAME = "settings.json"
#: what says where a run is written and how it goes on, not what it is
_OF_THIS_RUN = ("output", "overwrite", "resume", "config")
#: settings that name files, which are meant as they were found from the folder where the command was typed
_FILES = ("text", "validation")


def entries_of(command: Command) -> dict[str, object]:
    """The entries of settings.json for a command: what was typed, where, and the values of all its options."""
    settings = {name: value for name, value in command.values.items() if name not in _OF_THIS_RUN}
    return {"command": list(command.words), "folder": os.getcwd(), "verb": command.verb, "settings": settings}


def with_config(verb: str, values: Mapping[str, object], options: Sequence[Option]) -> dict[str, object]:
    """The values that were typed, and for all others those of the run that --config names.

    Args:
        verb: the verb that was typed.
        values: what was typed, by the options' names; "config" is a settings.json or the folder with one.
        options: those of the verb.

    Raises:
        InputError: there is no such file, it is damaged, it is of another verb, or it has unknown settings.
    """
    if values.get("config") is None:
        return dict(values)
    path = Path(values["config"])
    path = path / NAME if path.is_dir() else path
    entries = read_entries(path)
    if entries.get("verb") != verb:
        of = f"of {entries['verb']}" if entries.get("verb") else "of a training in Python"
        raise InputError(f"{path} has the settings {of}, and this is {verb}")
    known = {option.name: option for option in options if option.name not in _OF_THIS_RUN}
    settings = {}
    for name, value in entries["settings"].items():
        if name not in known:
            raise unknown_name(f"setting in {path}", name, known)
        try:
            settings[name] = from_json(value, known[name].type)
            if name in _FILES and settings[name] is not None and isinstance(entries.get("folder"), str):
                settings[name] = [_where_it_was(file, entries["folder"]) for file in settings[name]]
        except (ValueError, TypeError):
            raise InputError(f"{path}: {value!r} is no value of {name}") from None
    return {**settings, **values}


def _where_it_was(file: str, folder: str) -> str:
    """A file's name, or glob, with the folder from which a run found it; unchanged if it is not there any more."""
    was = os.path.join(folder, file)
    there = folder != os.getcwd() and (os.path.exists(was) or glob.glob(was))
    return was if there else file


def read_entries(path: Path) -> dict:
    """What a settings.json holds; InputError if there is none, or if it is damaged."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"no settings in {path.parent}: {path} is missing") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if not isinstance(entries, dict) or not isinstance(entries.get("settings"), dict):
        raise InputError(f"{path} is damaged: expected an object with an object under 'settings'")
    return entries
