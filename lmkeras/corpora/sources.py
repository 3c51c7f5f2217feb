"""From what a user names to a corpus: paths, globs, folders, `tfds:` and `builtin:` names."""

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from lmkeras.corpora.corpus import Corpus
from lmkeras.corpora.files import SUFFIXES, has_known_suffix, read_texts, require_encoding
from lmkeras.corpora.tfds import tfds_reader
from lmkeras.errors import InputError, unknown_name

_Reader = Callable[[], Iterator[str]]


def open_corpus(
    sources: str | Path | Sequence[str | Path], text_column: str = "text", encoding: str = "utf-8"
) -> Corpus:
    """The corpus of one or several sources, in the order given.

    Finding the files happens here, reading them during iteration. A source is

    - a file: .txt is one text (a file of more than 2**20 characters several, cut at line ends), .csv and .tsv have
      a header and one text per row, .jsonl has one object or string per line; each may be packed as .gz;
    - a glob such as `data/**/*.txt`, or a folder with all its subfolders: the files with those suffixes, sorted by
      name, hidden ones left out;
    - `tfds:name/config:split:feature`, from TensorFlow Datasets (config and feature may be left out);
    - `builtin:python-docs`, the help texts that come with Python.

    Line ends become "\\n", a byte order mark is dropped; otherwise a text is what the file holds.

    Args:
        sources: a source or a sequence of them. What exists as a path is taken as that path, whatever its name.
        text_column: the column of .csv and .tsv, the key of .jsonl, that holds the text.
        encoding: name of the files' encoding.

    Returns:
        A Corpus. Iterating it raises InputError where a file turns out to be unreadable, malformed or empty.

    Raises:
        InputError: a source names nothing, or the encoding is unknown.

    Example:
        >>> texts, characters = open_corpus("builtin:python-docs").count()
        >>> texts > 70 and characters > 400_000
        True
    """
    require_encoding(encoding)
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    readers = [reader for source in sources for reader in _readers(source, text_column, encoding)]
    if not readers:
        raise InputError("expected at least one source of text, got an empty list")
    return Corpus(*readers)


def as_corpus(value: Corpus | str | Path | Sequence[str] | Sequence[Path]) -> Corpus:
    """What a function that takes "a corpus" makes of its argument.

    A string or a Path is a source for `open_corpus`, and so is each Path of a list. A list of strings is a list of
    texts; where every string of it reads like a file name or a `tfds:` or `builtin:` name, nothing is guessed.

    Args:
        value: a Corpus, a source, a list of Paths, or a list of texts (a tuple will do as well).

    Returns:
        `value` itself if it is a Corpus, otherwise a new Corpus.

    Raises:
        InputError: `value` is none of these, or a list of strings that look like sources.

    Example:
        >>> list(as_corpus(["one text", "another"]))
        ['one text', 'another']
    """
    if isinstance(value, Corpus):
        return value
    if isinstance(value, str | os.PathLike):
        return open_corpus(value)
    if not isinstance(value, list | tuple):
        raise InputError(
            f"expected a file name, a Path, a list of texts or a Corpus, got {type(value).__name__}; "
            "a corpus is read more than once, so put texts into a list: list(texts)"
        )
    if value and all(isinstance(item, os.PathLike) for item in value):
        return open_corpus(value)
    if value and all(isinstance(item, str) and _reads_like_a_source(item) for item in value):
        raise InputError(
            f"a list of strings is a list of texts, but {_quoted(value[0])} reads like a source: for the sources' "
            "content use open_corpus(list), for these very strings Corpus.from_texts(list)"
        )
    return Corpus.from_texts(value)


def _reads_like_a_source(text: str) -> bool:
    return text.startswith(tuple(f"{scheme}:" for scheme in _SCHEMES)) or (has_known_suffix(text) and "\n" not in text)


def _readers(source: str | Path, text_column: str, encoding: str) -> list[_Reader]:
    """A reader for a name, or one for each file that a path stands for."""
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"expected the name of a file or another source of text, got {type(source).__name__}")
    name = re.match(r"([a-z][a-z0-9+.-]+):\S", source) if isinstance(source, str) else None
    if name and not os.path.exists(source):
        scheme = name[1]
        if scheme not in _SCHEMES:
            unknown = unknown_name("kind of source", f"{scheme}:", [f"{known}:" for known in _SCHEMES])
            raise InputError(f"no such file: {_quoted(source)}; {unknown}")
        return [_SCHEMES[scheme](source)]
    return [partial(read_texts, path, text_column, encoding) for path in _files(source)]


def _files(source: str | Path) -> list[str]:
    """The files that a path, a glob or a folder stands for."""
    path = os.path.expanduser(source)
    if os.path.isdir(path):
        found = _files_below(path)
    elif os.path.exists(path):
        found = {path}
    else:
        found = set(glob.iglob(path, recursive=True)) if _is_glob(path) else set()
        if not found:
            raise _not_found(path)
    known = [file for file in found if has_known_suffix(file) and os.path.isfile(file)]
    if not known:
        raise InputError(f"{_quoted(path)} is or has no file with a name that ends in one of {', '.join(SUFFIXES)}")
    return sorted(known, key=lambda file: file.split(os.sep))


def _is_glob(path: str) -> bool:
    return any(mark in path for mark in "*?[") and "\0" not in path  # glob fails on U+0000, which no name has


def _files_below(folder: str) -> set[str]:
    """The files of a folder and its subfolders, hidden ones left out."""

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
    return InputError(f"{problem} {_quoted(path)}; to pass the text itself, give a list: [text]")


def _quoted(text: object) -> str:
    """The beginning of what was given, on one line: a text given instead of a file name may be long."""
    text = repr(str(text))
    return text if len(text) <= 100 else f"{text[:100]}…"


def _builtin_reader(source: str) -> _Reader:
    name = source.removeprefix("builtin:")
    if name not in _BUILTINS:
        raise unknown_name("builtin corpus", name, _BUILTINS)
    return _BUILTINS[name]


def _python_docs() -> Iterator[str]:
    from pydoc_data.topics import topics

    return (topics[name] for name in sorted(topics))


_BUILTINS = {"python-docs": _python_docs}
_SCHEMES = {"builtin": _builtin_reader, "tfds": tfds_reader}
