"""SavedModels: written whole, or not at all."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from lmkeras.errors import InputError

_SAVED_MODEL_NAMES = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


def write_saved_model(module: tf.Module, signatures: dict, folder: str | Path, overwrite: bool = False) -> None:
    """Writes a SavedModel aside and moves it into its place, so that the folder is never half of one.

    Args:
        module: what the SavedModel holds.
        signatures: its functions by name.
        folder: a new folder, or an empty one.
        overwrite: whether a SavedModel that is there already is replaced.

    Raises:
        InputError: the folder holds something else, or a SavedModel that is not to be replaced.
    """
    folder = Path(folder)
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
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as aside, _locked(aside):
        tf.saved_model.save(module, f"{aside}/new", signatures)
        if folder.exists():
            os.replace(folder, f"{aside}/old")
        os.replace(f"{aside}/new", folder)
    # only now: where an export was killed between those two moves, what it left is all that there was
    _remove_leftovers(folder.parent, prefix)


@contextlib.contextmanager
def _locked(folder: str | Path) -> Iterator[None]:
    """A context in which the folder is locked, however the process ends; BlockingIOError where another has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_leftovers(parent: Path, prefix: str) -> None:
    """Removes what exports to the same place left aside when they were killed, but not what is being written."""
    for leftover in parent.iterdir():
        if re.fullmatch(rf"{re.escape(prefix)}\w{{8}}", leftover.name):
            with contextlib.suppress(OSError), _locked(leftover):
                shutil.rmtree(leftover)
