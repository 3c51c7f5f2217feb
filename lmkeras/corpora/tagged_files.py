"""Finds the files of a tagged corpus, and recognises the format of each by its content."""

import re
from collections.abc import Callable, Iterator
from functools import partial

from lmkeras.corpora.characters import read_lines
from lmkeras.corpora.paths import Reader, named_files
from lmkeras.corpora.spans import TaggedRow
from lmkeras.corpora.tagged_columns import read_columns
from lmkeras.corpora.tagged_records import Keys, read_json

#: the endings of the files that are read of a folder; a file that is named may have any other
ENDINGS = ("conll", "conllu", "bmes", "bio", "iob", "txt", "tsv", "jsonl", "json")
_SUFFIXES = tuple(f".{ending}{packed}" for ending in ENDINGS for packed in ("", ".gz"))

_JSON = re.compile(r"\s*(\{\s*(\"|\}|$)|\[\s*(\[|\{|\"|\]|$))")
_LIST = re.compile(r"\s*\[\s*(\[|\{|\]|$)")
_WORDS = re.compile(r'\s*\[\s*\[\s*"(?:[^"\\]|\\.)*"\s*(,\s*"|\])')  # a pair of words and tags is a list of two lists


def path_readers(path: str, read: Callable[[str], Iterator[TaggedRow]]) -> list[Reader]:
    """The readers of a path, a glob or a folder, made by `read` of each file; a folder's files have known endings."""
    return [partial(read, file) for file in named_files(path, _SUFFIXES)]


def read_file(
    path: str, encoding: str, word_column: int | str | None, tag_column: int | str | None, keys: Keys
) -> Iterator[TaggedRow]:
    """The texts of a file, whatever its name ends in.

    Args:
        path: a file of columns, see `read_columns`, or of JSON, see `read_json`.
        encoding: name of the file's encoding.
        word_column: as for `read_columns`.
        tag_column: as for `read_columns`.
        keys: as for `read_json`.

    Raises:
        InputError: the file cannot be read, or as for these functions.
    """
    first = next((line for line in read_lines(path, encoding) if not line.isspace()), "")
    if not _JSON.match(first):
        return read_columns(path, encoding, word_column=word_column, tag_column=tag_column)
    several = _LIST.match(first) and not _WORDS.match(first)
    return read_json(path, encoding, keys=keys, whole=bool(several) or first.strip() == "{")
