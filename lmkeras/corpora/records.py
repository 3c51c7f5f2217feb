"""Reads the wanted columns of tables and of JSON lines, row by row."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from lmkeras.corpora.characters import read_lines
from lmkeras.corpora.corpus import require_usable
from lmkeras.corpora.table_files import SEPARATORS, Record, listed, read_table
from lmkeras.errors import InputError

#: The option for the column whose values need not be text: in JSON a label may be a number or a list, or be missing.
LABEL_COLUMN = "label_column"
#: The option for several such columns, one for each label; in a mapping, each has a key that begins so.
_LABEL_COLUMNS = "label_columns"


def named_columns(
    text_column: str,
    pair_column: str | None = None,
    label_column: str | None = None,
    label_columns: Sequence[str] | None = None,
) -> dict[str, str]:
    """The names of the wanted columns, each under the option by which a user names it; labels come last.

    `label_columns` take the place of `label_column`: the keys of each are "label_columns" and its name.

    Raises:
        InputError: two options name the same column.
    """
    options = {"text_column": text_column, "pair_column": pair_column}
    if label_columns is None:
        options[LABEL_COLUMN] = label_column
    else:
        options |= {f"{_LABEL_COLUMNS} {name}": name for name in label_columns}
        if not label_columns or len(set(label_columns)) < len(label_columns):
            raise InputError(f"label_columns (--label-columns): expected different names, got {listed(label_columns)}")
    columns = {option: name for option, name in options.items() if name is not None}
    if len(set(columns.values())) < len(columns):
        spelled = ", ".join(f"{option} {name!r}" for option, name in columns.items())
        raise InputError(f"expected columns that differ from each other, got {spelled}")
    return columns


def is_of_labels(option: str) -> bool:
    """Whether a key of `named_columns` is that of a column of labels."""
    return option.split(" ")[0] in (LABEL_COLUMN, _LABEL_COLUMNS)


def text_of(values: Sequence[str]) -> str | tuple[str, str]:
    """The text of an example, from the values of its text columns: one value is a text, two are a pair of texts."""
    return values[0] if len(values) == 1 else tuple(values)


def require_columns_for_pairs(columns: Mapping[str, str], source: str, files: Iterable[str]) -> None:
    """Raises InputError where pairs of texts are wanted of files that have no columns."""
    if "pair_column" in columns and not all(map(has_records, files)):
        raise InputError(
            f"{source}: expected .csv, .tsv or .jsonl files, which can hold pairs of texts, got others. Leave out "
            "pair_column (--pair-column) where every example is one text"
        )


def read_records(
    path: str, columns: Mapping[str, str], encoding: str, numeric: Collection[str] = (), quoting: str = "auto"
) -> Iterator[Record]:
    """The rows of a table or the objects of a file of JSON lines; only one of them is in memory at a time.

    Args:
        path: a file whose name ends in one of `SUFFIXES`, in upper or lower case.
        columns: the wanted columns, from `named_columns`. If only a text column is wanted, a line of JSON may also be
            a string, which is then the text.
        encoding: name of the file's encoding.
        numeric: the options of columns of numbers, which in JSON may be numbers or strings.
        quoting: what quotation marks mean in a table, as for `table_files.read_table`.

    Yields:
        Records. All values are strings, except in JSON lines: numbers of numeric columns stay numbers, and a label is
        left as it is, and is None where it is missing.

    Raises:
        InputError: the file cannot be read, is not in the format of its suffix, or lacks one of the columns.
    """
    if path.lower().removesuffix(".gz").endswith(_JSON):
        return _json_records(path, read_lines(path, encoding), columns=columns, numeric=numeric)
    return read_table(path, columns=columns, encoding=encoding, quoting=quoting)


def _json_records(
    path: str, lines: Iterable[str], columns: Mapping[str, str], numeric: Collection[str]
) -> Iterator[Record]:
    """One record per line: a JSON object, or also a string where only a text is wanted."""
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        place = f"{path} line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
            raise InputError(f"{place}: not JSON ({reason}). Every line holds one object or one string") from error
        if isinstance(value, str) and list(columns) == ["text_column"]:
            value = {columns["text_column"]: value}
        how = {"columns": columns, "numeric": numeric, "place": place}
        values = [_json_value(value, option, **how) for option in columns]
        yield Record(number, values, names=value, cells=value.values())


def _json_value(
    record: object, option: str, columns: Mapping[str, str], numeric: Collection[str], place: str
) -> object:
    """The value that a JSON object has for the column of an option; InputError where it is not usable."""
    column = columns[option]
    value = record
    if isinstance(record, dict):
        if is_of_labels(option):
            return record.get(column)
        if column not in record:
            raise missing_name(place, what="key", option=option, column=column, names=record)
        value = record[column]
        if option in numeric and isinstance(value, int | float) and not isinstance(value, bool):
            return value
    if not isinstance(record, dict) or not isinstance(value, str):
        kind = "null" if value is None else type(value).__name__
        expected = "a string or an object" if list(columns) == ["text_column"] else "an object"
        what = "number" if option in numeric else "string"
        raise InputError(f"{place}: expected {expected} with a {what} under {column!r}, got {kind}")
    require_usable(value, place)  # an escape in JSON can stand for any character
    return value


def missing_name(place: str, what: str, option: str, column: str, names: Iterable[str]) -> InputError:
    """The error for a column or key that is missing: `what` it is, its `option`, and the names that there are."""
    option = option.split(" ")[0]  # of several columns of one option
    return InputError(
        f"{place}: {what} {column!r} is missing; the {what}s are {listed(names)}. Name one with "
        f"{option} (--{option.replace('_', '-')})"
    )


_JSON = ".jsonl"

#: The endings of the names of these files.
SUFFIXES = tuple(suffix + packed for packed in ("", ".gz") for suffix in (*SEPARATORS, _JSON))


def has_records(path: str) -> bool:
    """Whether the ending of a file's name stands for a table or for JSON lines."""
    return path.lower().endswith(SUFFIXES)
