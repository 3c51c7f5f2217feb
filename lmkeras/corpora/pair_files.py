"""Reads pairs of source and target from tables, from two files that have them line by line, and from memory."""

import itertools
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lmkeras.corpora.characters import read_lines, require_encoding
from lmkeras.corpora.memory import sources_in
from lmkeras.corpora.pairs import Pair, Pairs
from lmkeras.corpora.paths import Reader, files_of, find_readers, quoted
from lmkeras.corpora.records import has_records, read_records
from lmkeras.corpora.table_files import require_quoting
from lmkeras.corpora.tables import Rows, as_rows
from lmkeras.corpora.tfds import tfds_rows_reader
from lmkeras.errors import InputError

_log = logging.getLogger("lmkeras")


class _Plain(NamedTuple):
    """A file that is no table: one side of the pairs, a text in each line."""

    path: str
    was_named: bool


def open_pairs(
    sources: str | Path | Sequence[str | Path],
    encoding: str = "utf-8",
    quoting: str = "auto",
    source_column: str = "source",
    target_column: str = "target",
    reverse: bool = False,
) -> Pairs:
    """The pairs of tables, in the order given, or of exactly two files that are no tables, line by line.

    Tables are .csv, .tsv and .jsonl files (.gz too), and `tfds:` names. Two other files, such as train.en and train.de,
    have the sources and the targets: line n of the first belongs to line n of the second. A glob or a folder may stand
    for tables or for two such files. Pairs with a blank side are left out, with a warning.

    Args:
        sources: one source or a sequence of them.
        encoding: name of the files' encoding.
        quoting: what a quotation mark means in .csv and .tsv, as for `open_corpus`.
        source_column: name of the column (.csv, .tsv), key (.jsonl) or feature (`tfds:`) that holds the source.
        target_column: name of the one that holds the target.
        reverse: whether source and target change places, after they have been found under these names.

    Raises:
        InputError: a source names nothing; or files are neither tables nor two others. While iterating: a column is
            missing, a file cannot be read, or the two files have different numbers of lines.
    """
    require_encoding(encoding)
    require_quoting(quoting)
    columns = _columns(source_column, target_column)
    how = {"columns": columns, "encoding": encoding, "quoting": quoting}
    found = find_readers(sources, {"tfds": partial(_tfds_reader, columns=columns)}, partial(_path_readers, how=how))
    plain = [one for one in found if isinstance(one, _Plain)]
    if plain:
        _require_two(plain, found)
        found = [partial(_read_side_by_side, *(one.path for one in plain), encoding)]
    return Pairs.of(*found, reverse=reverse)


def as_pairs(
    value: object,
    encoding: str = "utf-8",
    quoting: str = "auto",
    source_column: str = "source",
    target_column: str = "target",
    reverse: bool = False,
) -> Rows:
    """Turns the argument of a function that takes pairs into a corpus.

    Args:
        value: Pairs, which are taken as they are; a source of `open_pairs`, or a list of Paths; or pairs in memory, see
            `memory.examples_in`: a list of (source, target) or of dictionaries, a table with columns for both, a tuple
            (sources, targets) of columns, or an iterator, which is read once here, into memory.
        encoding: as for `open_pairs`.
        quoting: as for `open_pairs`.
        source_column: as for `open_pairs`; in memory, the name of a table's column or of a dictionary's key.
        target_column: the same for the target.
        reverse: whether source and target change places.

    Raises:
        InputError: the value is none of these, or as for `open_pairs`.

    Example:
        >>> list(as_pairs([("good night", "晚安")], reverse=True))
        [Pair(source='晚安', target='good night')]
    """
    if isinstance(value, Pairs):
        return value
    columns = _columns(source_column, target_column)
    sources = sources_in(value)
    if sources is not None:
        return open_pairs(sources, encoding=encoding, quoting=quoting, reverse=reverse, **columns)
    rows = as_rows(value, Pair, **columns)
    return Pairs.of(
        lambda: ((f"item {number} of the list", row) for number, row in enumerate(rows, 1)), reverse=reverse
    )


def _columns(source_column: str, target_column: str) -> dict[str, str]:
    if source_column == target_column:
        raise InputError(f"expected different columns for source and target, got {source_column!r} for both")
    return {"source_column": source_column, "target_column": target_column}


def _path_readers(path: str, how: Mapping[str, object]) -> list:
    """The readers of tables, or the plain files, that a path stands for; plain files beside tables are left out."""
    was_named = os.path.isfile(path)
    files = [path] if was_named else files_of(path, endings=("",))
    tables = [partial(_read_table, file, **how) for file in files if has_records(file)]
    return tables or [_Plain(file, was_named) for file in files]


def _require_two(plain: Sequence[_Plain], found: Sequence) -> None:
    if len(plain) != 2 or len(found) != 2:
        names = ", ".join(quoted(one.path) for one in plain[:5])
        raise InputError(
            "expected .csv, .tsv or .jsonl files with columns for source and target, or exactly two other files, one "
            f"with the sources and one with the targets line by line; got {len(plain)} of these others ({names}) among "
            f"{len(found)} sources"
        )
    if not all(one.was_named for one in plain):
        of_sources, of_targets = (one.path for one in plain)
        _log.warning(
            "the sources are those of %s, the targets those of %s: in the order of their names, which reverse changes",
            of_sources,
            of_targets,
        )


def _read_table(path: str, columns: Mapping[str, str], encoding: str, quoting: str) -> Iterator[tuple[str, Pair]]:
    for record in read_records(path, columns, encoding, quoting=quoting):
        yield f"{path} line {record.line}", Pair(*record.values)


def _tfds_reader(source: str, columns: Mapping[str, str]) -> Reader:
    read_rows = tfds_rows_reader(source, columns)
    return lambda: ((f"{source} {place}", Pair(*texts)) for place, texts in read_rows())


def _read_side_by_side(of_sources: str, of_targets: str, encoding: str) -> Iterator[tuple[str, Pair]]:
    """The lines of two files, side by side; InputError at the end if one has more lines."""
    paths = (of_sources, of_targets)
    counts = [0, 0]
    for lines in itertools.zip_longest(*(read_lines(path, encoding) for path in paths)):
        for side, line in enumerate(lines):
            counts[side] += line is not None
        if counts[0] == counts[1]:
            yield f"{of_sources} line {counts[0]}", Pair(*(line.removesuffix("\n") for line in lines))
    if counts[0] != counts[1]:
        raise InputError(
            f"expected as many lines in {of_targets} as in {of_sources}, got {counts[1]} and {counts[0]}: line n of "
            "one belongs to line n of the other"
        )
