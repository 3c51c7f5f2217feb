"""Writes SavedModels, either completely or not at all."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from lmkeras.durable import local, locked
from lmkeras.errors import InputError

_SAVED_MODEL_NAMES = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


def write_saved_model(module: tf.Module, signatures: dict, folder: str | Path, overwrite: bool = False) -> None:
    """Writes a SavedModel to a temporary folder, then moves it into place, so that it is never incomplete there.

    Args:
        module: the module to save.
        signatures: functions of the module, by the names of the SavedModel's signatures.
        folder: a new folder, or an empty one.
        overwrite: whether to replace a SavedModel that is there already.

    Raises:
        InputError: the folder holds a SavedModel and overwrite is False, or it holds something else.
    """
    folder = local(folder)
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise InputError(f"{folder} has files in it already: name a new folder, or say --overwrite")
        others = {path.name for path in folder.iterdir()} - _SAVED_MODEL_NAMES
        if others or not (folder / "saved_model.pb").is_file():
            raise InputError(f"{folder} is not a SavedModel alone: it is not overwritten. Name another folder")
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise InputError(f"{nearest} is a file: name a folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".exporting-{folder.name}-"
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as aside, _held(aside):
        tf.saved_model.save(module, f"{aside}/new", signatures)
        if folder.exists():
            os.replace(folder, f"{aside}/old")
        os.replace(f"{aside}/new", folder)
    # not before: if an export was killed between the two moves above, what it left is the only copy of the old model
    _remove_leftovers(folder.parent, prefix)


@contextlib.contextmanager
def _held(folder: str) -> Iterator[None]:
    """A context in which other processes see that a folder is in use, where the system has locks for that."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(locked(folder))
        yield


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Removes temporary folders of exports to the same place that were killed; those still in use are locked.

    Where the system has no locks, nothing shows which are in use, and all of them stay.
    """
    for leftover in parent.iterdir():
        if re.fullmatch(rf"{re.escape(prefix)}\w{{8}}", leftover.name):
            with contextlib.suppress(OSError), locked(leftover):
                shutil.rmtree(leftover)
