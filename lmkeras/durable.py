"""Writing files safely: a file is there whole or not at all, even if the process or the machine dies meanwhile."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

ASIDE = ".writing"  # suffix of the temporary file that is being written; its name also begins with a dot


def sync(path: str | Path) -> None:
    """Waits until the content of a file, or the list of files of a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
