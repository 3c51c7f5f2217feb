"""Makes examples without labels, for a model to judge, from the sources that a user names."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from lmkeras.corpora.characters import read_lines, require_encoding
from lmkeras.corpora.corpus import Examples
from lmkeras.corpora.docstrings import python_docstrings
from lmkeras.corpora.paths import Reader, files_of, find_readers, quoted
from lmkeras.corpora.records import has_records, named_columns, read_records, require_columns_for_pairs, text_of
from lmkeras.corpora.sources import BUILTIN_TEXTS, builtin_reader
from lmkeras.corpora.tfds import tfds_rows_reader
from lmkeras.errors import InputError


def open_examples(
    sources: str | Path | Sequence[str | Path],
    text_column: str = "text",
    pair_column: str | None = None,
    encoding: str = "utf-8",
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

    Returns:
        Examples, each of which is a text or, with a pair_column, a tuple (first, second) of texts. Iterating them
        raises InputError if a file turns out to be unreadable, malformed or empty.

    Raises:
        InputError: a source does not exist, the encoding is unknown, or `pair_column` is given for a source without
            columns.
    """
    require_encoding(encoding)
    columns = named_columns(text_column, pair_column)
    schemes = {
        "builtin": partial(_builtin_reader, columns=columns),
        "tfds": partial(_tfds_reader, columns=columns),
    }
    return Examples(*find_readers(sources, schemes, partial(_path_readers, columns=columns, encoding=encoding)))


def _builtin_reader(source: str, columns: Mapping[str, str]) -> Reader:
    require_columns_for_pairs(columns, source, [source])
    return builtin_reader(source, {**BUILTIN_TEXTS, "python-docstrings": _docstrings})


def _docstrings() -> Iterator[str]:
    return (text for text, _ in python_docstrings())


def _tfds_reader(source: str, columns: Mapping[str, str]) -> Reader:
    read_rows = tfds_rows_reader(source, columns)
    return lambda: (text_of(texts) for _, texts in read_rows())


def _path_readers(path: str, columns: Mapping[str, str], encoding: str) -> list[Reader]:
    files = files_of(path)
    require_columns_for_pairs(columns, quoted(path), files)
    return [partial(_read_examples, file, columns=columns, encoding=encoding) for file in files]


def _read_examples(path: str, columns: Mapping[str, str], encoding: str) -> Iterator[str | tuple[str, str]]:
    if has_records(path):
        texts = (text_of(record.values) for record in read_records(path, columns, encoding))
    else:
        texts = (line.removesuffix("\n") for line in read_lines(path, encoding))
    empty = True
    for text in texts:
        empty = False
        yield text
    if empty:
        raise InputError(f"{path} holds no text: fill it or leave it out")
