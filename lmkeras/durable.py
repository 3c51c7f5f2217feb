"""Files that are there whole or not at all, whatever happens to the process or the machine while they are written."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

ASIDE = ".writing"  # the suffix of a file that is being written; it begins with a dot too


def sync(path: str | Path) -> None:
    """Waits until a file's content, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A context that gives a path to write to; at its end what was written there is at `path`, all at once.

    Args:
        path: of a file; an earlier one stays as it is until the new one is whole and on the disk, and for good where
            the context ends with an exception.

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
