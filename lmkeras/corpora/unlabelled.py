"""Makes examples without labels, for a model to judge, from the sources that a user names."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lmkeras.corpora.characters import read_lines, require_encoding
from lmkeras.corpora.corpus import Examples, Text
from lmkeras.corpora.docstrings import python_docstrings
from lmkeras.corpora.paths import Reader, files_of, find_readers, quoted
from lmkeras.corpora.records import (
    Record,
    has_records,
    named_columns,
    read_records,
    require_columns_for_pairs,
    text_of,
)
from lmkeras.corpora.sources import BUILTIN_TEXTS, builtin_reader
from lmkeras.corpora.table_files import require_quoting
from lmkeras.corpora.tfds import tfds_rows_reader
from lmkeras.errors import InputError


class TextRow(NamedTuple):
    """A text, or a pair of texts, and the row in which it stood.

    Attributes:
        text: the text, or the two texts of a pair.
        columns: all columns or keys of the row, by name and in the row's order; of a text that stood in no table, the
            text alone. Of columns with equal names, all but the first have a number after their name.
    """

    text: Text
    columns: Mapping[str, object]


def text_row(text: Text) -> TextRow:
    """The row of a text, or of a pair of texts, that stood in no table.

    Example:
        >>> text_row(("a question", "a passage")).columns
        {'text': 'a question', 'pair': 'a passage'}
    """
    return TextRow(text, {"text": text[0], "pair": text[1]} if isinstance(text, tuple) else {"text": text})


def open_examples(
    sources: str | Path | Sequence[str | Path],
    text_column: str = "text",
    pair_column: str | None = None,
    encoding: str = "utf-8",
    quoting: str = "auto",
) -> Examples:
    """The texts of one or several sources, in the order given, for a model to judge one by one.

    Sources are those of `open_corpus`, with one difference: a .txt file has one text per line, and a blank line is an
    empty text, so that there is one result for every line. Tables may have more columns, such as labels; these are
    not read.

    Args:
        sources: one source or a sequence of them. A name that exists as a path is taken as that path, even if it looks
            like another kind of source.
        text_column: name of the column (.csv, .tsv), key (.jsonl) or feature (`tfds:`) that holds the text.
        pair_column: name of the one that holds the second text, where pairs of texts are judged; None for single texts.
        encoding: name of the files' encoding.
        quoting: what a quotation mark means in .csv and .tsv, as for `open_corpus`.

    Returns:
        Examples, each of which is a text or, with a pair_column, a tuple (first, second) of texts. Iterating them
        raises InputError if a file turns out to be unreadable, malformed or empty.

    Raises:
        InputError: a source does not exist, the encoding or quoting is unknown, or `pair_column` is given for a source
            without columns.
    """
    how = {"text_column": text_column, "pair_column": pair_column, "encoding": encoding, "quoting": quoting}
    rows = open_text_rows(sources, **how)
    return Examples(lambda: (row.text for row in rows))


def open_text_rows(
    sources: str | Path | Sequence[str | Path],
    text_column: str = "text",
    pair_column: str | None = None,
    encoding: str = "utf-8",
    quoting: str = "auto",
) -> Examples:
    """As `open_examples`, but each example is a TextRow, which holds the other columns too."""
    require_encoding(encoding)
    require_quoting(quoting)
    columns = named_columns(text_column, pair_column)
    schemes = {
        "builtin": partial(_builtin_reader, columns=columns),
        "tfds": partial(_tfds_reader, columns=columns),
    }
    path_readers = partial(_path_readers, columns=columns, encoding=encoding, quoting=quoting)
    return Examples(*find_readers(sources, schemes, path_readers))


def _builtin_reader(source: str, columns: Mapping[str, str]) -> Reader:
    require_columns_for_pairs(columns, source, [source])
    read = builtin_reader(source, {**BUILTIN_TEXTS, "python-docstrings": _docstrings})
    return lambda: map(text_row, read())


def _docstrings() -> Iterator[str]:
    return (text for text, _ in python_docstrings())


def _tfds_reader(source: str, columns: Mapping[str, str]) -> Reader:
    read_rows = tfds_rows_reader(source, columns)
    names = columns.values()
    return lambda: (TextRow(text_of(texts), dict(zip(names, texts, strict=True))) for _, texts in read_rows())


def _path_readers(path: str, columns: Mapping[str, str], encoding: str, quoting: str) -> list[Reader]:
    files = files_of(path)
    require_columns_for_pairs(columns, quoted(path), files)
    how = {"columns": columns, "encoding": encoding, "quoting": quoting}
    return [partial(_read_examples, file, **how) for file in files]


def _read_examples(path: str, columns: Mapping[str, str], encoding: str, quoting: str) -> Iterator[TextRow]:
    if has_records(path):
        rows = map(_row, read_records(path, columns, encoding, quoting=quoting))
    else:
        rows = (text_row(line.removesuffix("\n")) for line in read_lines(path, encoding))
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise InputError(f"{path} holds no text: fill it or leave it out")


def _row(record: Record) -> TextRow:
    return TextRow(text_of(record.values), dict(zip(different(record.names), record.cells, strict=True)))


def different(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """The names, with a number after each that is among the taken ones or the names before it.

    Example:
        >>> different(["a", "b", "a"], taken=["b"])
        ['a', 'b_2', 'a_2']
    """
    used, found = set(taken), []
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        found.append(next(free for free in itertools.chain([name], numbered) if free not in used))
        used.add(found[-1])
    return found
