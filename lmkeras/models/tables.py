"""Writes results as tables, one row for each text, and as JSON."""

import csv
import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from lmkeras.corpora.unlabelled import different
from lmkeras.durable import local, replacing
from lmkeras.errors import InputError

Row = Mapping[str, object]


def require_output(output: str | Path | None, overwrite: bool, json: bool, others: Collection[str] = ()) -> None:
    """Raises InputError if `require_writable_table` refuses `output`, or if JSON is to be printed as well."""
    if output is not None and json:
        raise InputError("--json prints, and --output writes a file: say one of them; a .jsonl file holds JSON too")
    if output is not None:
        require_writable_table(output, overwrite, others)


def require_writable_table(path: str | Path, overwrite: bool, others: Collection[str] = ()) -> None:
    """Raises InputError if `path` has no suffix of a table or of `others`, or if `require_writable_file` refuses it."""
    suffixes = [*_WRITERS, *others]
    if Path(path).suffix not in suffixes:
        known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        raise InputError(f"{path}: answers are written as {known}; end the name in one of these")
    require_writable_file(path, overwrite)


def require_writable_file(path: str | Path, overwrite: bool) -> None:
    """Raises InputError if a file at `path` cannot be made, or exists and `overwrite` is False.

    Call this before the work whose result is to be written, so that the work is not done in vain.
    """
    path = local(path).absolute()
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already: name another file, or say --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first")


def as_json(value: object, **how) -> str:
    """A value as strict JSON, which has no NaN and no infinity: these become null. Letters stay as they are.

    Args:
        value: what `json.dumps` takes; also tuples with names, which become objects.
        how: further arguments of `json.dumps`, such as indent.

    Example:
        >>> as_json({"perplexity": math.inf, "text": "你好"})
        '{"perplexity": null, "text": "你好"}'
    """
    return json.dumps(_strict(value), ensure_ascii=False, allow_nan=False, **how)


def _strict(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: _strict(one) for name, one in value.items()}
    return [_strict(one) for one in value] if isinstance(value, list | tuple) else value


def beside(columns: Row, own: Row) -> dict[str, object]:
    """The columns of an input's row and then a result; what the result calls like a column is called predicted_NAME.

    Example:
        >>> beside({"text": "so good", "label": "pos"}, {"label": "neg", "probability": 0.75})
        {'text': 'so good', 'label': 'pos', 'predicted_label': 'neg', 'probability': 0.75}
    """
    return {**columns, **dict(zip(_names_beside(columns, own), own.values(), strict=True))}


def _names_beside(columns: Iterable[str], names: Iterable[str]) -> list[str]:
    taken = set(columns)
    return different((f"predicted_{name}" if name in taken else name for name in names), taken)


def write_rows(path: str | Path, rows: Iterable[tuple[Row, Row]], names: Sequence[str]) -> int:
    """Writes a table row by row, first to a temporary file, so that the file at `path` is never incomplete.

    Args:
        path: .jsonl for an object a row; or .csv or .tsv, in which each number and text inside the objects of a result
            has a cell of its own. A .tsv file has no quotation marks around cells: a tab or the end of a line inside a
            text becomes a blank.
        rows: for each row the columns of the input, which come first, and the result, as `beside` puts them together.
        names: the headings of the cells of a result, in .csv and .tsv.

    Returns:
        The number of rows.

    Raises:
        InputError: a row has a column that the first one lacks, so that a .csv or .tsv file has no heading for it.
    """
    write = _WRITERS[Path(path).suffix]
    with replacing(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        return write(file, rows, names)


def _cells_of(own: Row, names: Sequence[str]) -> list[object]:
    """The cells of a result: one for each name, so that what has no name of its own is JSON."""
    cells = list(_cells(own.values()))
    if len(cells) == len(names):
        return cells
    return [as_json(value) if isinstance(value, Mapping | list | tuple) else value for value in own.values()]


def _cells(values: Iterable[object]) -> Iterator[object]:
    """All numbers and texts, also those inside objects; numbers are rounded to six digits, lists of texts are JSON."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _cells(value.values())
        elif isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
            yield from _cells(value)
        elif isinstance(value, list | tuple):
            yield as_json(value)
        else:
            yield float(f"{value:.6g}") if isinstance(value, float) else value


def _given_cells(columns: Row, header: Sequence[str]) -> list[object]:
    """The values of an input's row in the order of the header; objects and lists as JSON."""
    if unknown := columns.keys() - header:
        raise InputError(
            f"a row has {min(unknown)!r}, which the first row lacks, so that the table has no heading for it: name a "
            ".jsonl file as --output"
        )
    values = map(columns.get, header)
    return [as_json(value) if isinstance(value, Mapping | list) else value for value in values]


def _table(rows: Iterable[tuple[Row, Row]], names: Sequence[str]) -> Iterator[list[object]]:
    """The headings, and then the cells of every row."""
    header = None
    for columns, own in rows:
        if header is None:
            header = list(columns)
            yield [*header, *_names_beside(header, names)]
        yield [*_given_cells(columns, header), *_cells_of(own, names)]
    if header is None:
        yield ["text", *_names_beside(["text"], names)]


def _write_csv(file: TextIO, rows, names) -> int:
    # every text is quoted, because a carriage return in a text without quotes would end the row
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return sum(1 for cells in _table(rows, names) if writer.writerow(cells)) - 1


def _write_tsv(file: TextIO, rows, names) -> int:
    texts = (["" if cell is None else str(cell).translate(_BLANKS) for cell in cells] for cells in _table(rows, names))
    return sum(1 for cells in texts if file.write("\t".join(cells) + "\n")) - 1


def _write_json_lines(file: TextIO, rows, names) -> int:
    return sum(1 for row in rows if file.write(as_json(beside(*row)) + "\n"))


_BLANKS = str.maketrans(dict.fromkeys("\t\r\n", " "))
_WRITERS = {".csv": _write_csv, ".tsv": _write_tsv, ".jsonl": _write_json_lines}
