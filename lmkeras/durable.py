"""Writing files safely: a file is there whole or not at all, even if the process or the machine dies meanwhile."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

from lmkeras.errors import InputError

_IS_WINDOWS = os.name == "nt"
ASIDE = ".writing"  # suffix of the temporary file that is being written; its name also begins with a dot


def sync(path: str | Path) -> None:
    """Waits until the content of a file, or the list of files of a folder, is on the disk.

    Windows opens no folders, and syncs only what may be written; there, folders are left to the system.
    """
    if _IS_WINDOWS and os.path.isdir(path):
        return
    descriptor = os.open(path, os.O_RDWR if _IS_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """A context that holds a lock on a folder; the lock ends with the process, even if that is killed.

    Raises:
        OSError: another process holds the lock, or this system has no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise OSError("this system has no locks on folders") from None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def local(path: str | Path) -> Path:
    """The path of something to write, which must be on this machine.

    Raises:
        InputError: the path is an address such as gs://bucket/run, which would become a local folder "gs:".
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/]", str(path)):  # a Path has one of the two slashes alone
        raise InputError(f"{path} is an address: name a folder or file of this machine, and copy it there afterwards")
    return Path(path)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A context that gives a temporary path to write to, and at its end moves the file there to `path` in one step.

    Args:
        path: the file to create or replace. A file that exists there is kept unchanged until the new one is complete
            and on the disk; it also stays where the context ends with an exception.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(f"{folder}/note.txt") as aside:
        ...         _ = aside.write_text("whole")
        ...     (Path(folder) / "note.txt").read_text()
        'whole'
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}{ASIDE}")
    try:
        yield aside
        sync(aside)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    sync(path.parent)


def write_arrays(
    path: str | Path, arrays: "Mapping[str, np.ndarray]", metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a safetensors file that those may read who may read any other new file, and not its owner alone.

    Args:
        path: the file to create or replace.
        arrays: by name.
        metadata: texts by name, which the file's header is to hold.

    Raises:
        OSError: the file cannot be written, such as where the disk is full.
    """
    import safetensors.numpy

    Path(path).touch()
    mode = stat.S_IMODE(os.stat(path).st_mode)
    try:
        safetensors.numpy.save_file(dict(arrays), path, metadata)  # to a private file, which it then moves to the path
    except safetensors.SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise OSError(f"{path}: {error}") from error
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
    os.chmod(path, mode)
