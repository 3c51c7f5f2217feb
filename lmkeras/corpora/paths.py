"""Finds the files that a user's names stand for (paths, globs, folders), or says why there are none."""

import difflib
import glob
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lmkeras.corpora.files import SUFFIXES
from lmkeras.errors import InputError, unknown_name

Reader = Callable[[], Iterator]

#: The files that a run of lmkeras writes into its folder; a folder with both of them is not one of texts.
_OF_A_RUN = ("config.json", "metrics.jsonl")


def find_readers(
    sources: str | Path | Sequence[str | Path],
    schemes: Mapping[str, Callable[[str], Reader]],
    path_readers: Callable[[str], list[Reader]],
) -> list[Reader]:
    """The readers of one or several sources, in the order given.

    A reader is a function that starts reading the texts or examples from the beginning.

    Args:
        sources: one source or a sequence of them. A name that exists as a path is taken as that path, even if it looks
            like another kind of source.
        schemes: for each scheme a function that makes the reader of a source `scheme:…`.
        path_readers: a function that makes the readers of a path, a glob or a folder.

    Raises:
        InputError: `sources` is empty, or a source does not exist.
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    readers = []
    for source in sources:
        if not isinstance(source, str | os.PathLike):
            raise InputError(f"expected the name of a file or another source of text, got {type(source).__name__}")
        name = re.match(r"([a-z][a-z0-9+.-]+):\S", source) if isinstance(source, str) else None
        if not name or os.path.exists(source):
            readers += path_readers(os.path.expanduser(source))
        elif name[1] in schemes:
            readers.append(schemes[name[1]](source))
        else:
            unknown = unknown_name("kind of source", f"{name[1]}:", [f"{known}:" for known in schemes])
            raise InputError(f"no such file: {quoted(source)}; {unknown}")
    if not readers:
        raise InputError("expected at least one source of text, got an empty list")
    return readers


def files_of(path: str, endings: Sequence[str] = SUFFIXES) -> list[str]:
    """The files that a path, a glob or a folder stands for, sorted by name; files of an unknown format are left out.

    Args:
        path: what the user named.
        endings: the endings of names, in lower case, that stand for known formats.

    Raises:
        InputError: there is no such file, or none has a known format.
    """
    if os.path.isdir(path):
        if all(os.path.isfile(os.path.join(path, name)) for name in _OF_A_RUN):
            raise InputError(
                f"{quoted(path)} is the folder of a trained model and its run (it has {' and '.join(_OF_A_RUN)}), not "
                "of texts: name the files of texts"
            )
        found = _files_below(path)
    elif os.path.exists(path):
        found = {path}
    else:
        found = set(glob.iglob(path, recursive=True)) if _is_glob(path) else set()
        if not found:
            raise _not_found(path)
    known = [file for file in found if file.lower().endswith(tuple(endings)) and os.path.isfile(file)]
    if not known:
        raise InputError(f"{quoted(path)} is or has no file with a name that ends in one of {', '.join(endings)}")
    return sorted(known, key=lambda file: file.split(os.sep))


def named_files(path: str, endings: Sequence[str]) -> list[str]:
    """As `files_of`, but a single file that is named may have any ending: its content says what it is."""
    return [path] if os.path.isfile(path) else files_of(path, endings)


def _is_glob(path: str) -> bool:
    return any(mark in path for mark in "*?[") and "\0" not in path  # glob fails on U+0000, which no file name has


def _files_below(folder: str) -> set[str]:
    """The files of a folder and its subfolders, without hidden files and folders."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}") from error

    files = set()
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files.update(os.path.join(parent, name) for name in names if not name.startswith("."))
    return files


def _not_found(path: str) -> InputError:
    try:
        os.stat(path)
    except PermissionError as error:
        return InputError(f"{path} cannot be read: {error.strerror}")
    except (OSError, ValueError):
        pass
    problem = "no file matches" if _is_glob(path) else "no such file or folder:"
    in_python = "to pass the text itself, give a list: [text]"
    return InputError(f"{problem} {quoted(path)}, searched in {_place_of(path)}", in_python=in_python)


def _place_of(path: str) -> str:
    """The folder in which the first part of a path is missing, with the nearest name in it."""
    folder, name = os.path.split(path.rstrip(os.sep))
    while not os.path.isdir(folder or os.curdir):
        folder, name = os.path.split(folder)
    try:
        near = difflib.get_close_matches(name, os.listdir(folder or os.curdir), n=1)
    except OSError:
        near = []
    guess = f"; did you mean {os.path.join(folder, near[0])!r}?" if near else ""
    return os.path.abspath(folder) + guess


def quoted(text: object) -> str:
    """What the user gave, in quotes on one line, cut after 100 characters: it may be a whole text, not a file name."""
    text = repr(str(text))
    return text if len(text) <= 100 else f"{text[:100]}…"
