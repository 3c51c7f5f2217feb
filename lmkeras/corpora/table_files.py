"""Reads the rows of .csv and .tsv files: finds out what separates the fields, and where each wanted column stands."""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from lmkeras.corpora.characters import LONGEST_LINE, read_lines
from lmkeras.errors import InputError, unknown_name

#: What separates the fields, by the ending of a file's name.
SEPARATORS = {".csv": ",", ".tsv": "\t"}

#: Separators that are tried where the one of the file's ending does not give the wanted columns.
_KNOWN = (",", "\t", ";", "|", "，")

#: Another separator is only used if this many of the first rows have as many fields with it as the header.
_FIRST_ROWS = 100

_QUOTING = ("auto", "on", "off")
_NOT_OF_A_NAME = " \t\xa0\ufeff"  # blanks, and byte order marks that some programs write inside a file
_MOST_NOTED = 10_000
_LONGEST_NOTED = 40

#: a field of these alone says nothing of whether a row is several: any sentence may leave it over
_SAYING_NOTHING = " .,;:!?…"

_SAY_OFF = "if quotation marks are characters like others here, say quoting off (--quoting off)"


class Record(NamedTuple):
    """One row of a table, or one line of JSON.

    `line` is the number of the line in which the row begins, from 1; `values` has one value for each wanted column;
    `names` are the names of all columns or keys that the row has, and `cells` the values of all of them, as they are.
    """

    line: int
    values: list
    names: Collection[str]
    cells: Collection


class _NotARow(InputError):
    """Quotation marks do not belong together."""


class _Form(NamedTuple):
    """How fields are written. `doubtful`: whether rows that quotation marks have probably merged are errors."""

    separator: str
    quoted: bool
    doubtful: bool

    @classmethod
    def of(cls, suffix: str, quoting: str, separator: str) -> "_Form":
        quoted = suffix == ".csv" or separator != "\t" if quoting == "auto" else quoting == "on"
        return cls(separator, quoted, doubtful=quoting == "auto")


def require_quoting(quoting: str) -> None:
    """Raises InputError for a value of `quoting` that there is not."""
    if quoting not in _QUOTING:
        raise unknown_name("quoting", quoting, _QUOTING)


def read_table(path: str, columns: Mapping[str, str], encoding: str, quoting: str = "auto") -> Iterator[Record]:
    """The rows of a table whose first row names the columns; one of them is in memory at a time.

    Names of columns are found also where blanks stand around them. Where the separator of the file's ending does not
    give the wanted columns, and exactly one other does, which also cuts each of the first rows into as many fields as
    the header, that one is used.

    Args:
        path: a .csv or .tsv file, perhaps with .gz after it.
        columns: for each option, such as "text_column", the name of the wanted column.
        encoding: name of the file's encoding.
        quoting: "on": a field that begins with a quotation mark goes on to the closing one, over separators and line
            ends, and inside it a quotation mark is doubled. "off": a quotation mark is a character like others. "auto":
            on in .csv and off in .tsv, and a row of several lines that look like rows of their own is an error.

    Raises:
        InputError: while iterating, if the file cannot be read, lacks a column or has it twice, or a row has not as
            many fields as the header, or quotation marks that do not belong together.
    """
    form = _form(path, columns=columns, encoding=encoding, quoting=quoting)
    rows = _rows(path, encoding, form)
    # an empty file gets the wanted columns as its header, so that none seems to be missing; most callers refuse it
    line, header = next(rows, (1, list(columns.values())))
    wanted = []
    for column in columns.values():
        places = _places(column, header)
        if len(places) > 1:
            raise InputError(f"{path} line {line}: {len(places)} columns are called {column!r}: rename all but one")
        wanted += places
    advice = "If fields stand between quotation marks, say quoting on (--quoting on)"
    if form.quoted:
        advice = "Put a field that contains the separator between quotation marks"
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{path} line {line}: expected {len(header)} fields as in the header, got {len(row)}. {advice}"
            )
        yield Record(line, [row[index] for index in wanted], names=header, cells=row)


def _form(path: str, columns: Mapping[str, str], encoding: str, quoting: str) -> _Form:
    """The form in which the header has the wanted columns; InputError if it is not beyond doubt."""
    name = path.lower().removesuffix(".gz")
    suffix = name[name.rindex(".") :]
    usual = _Form.of(suffix, quoting, SEPARATORS[suffix])
    line, header = _header(path, encoding, usual)
    missing = _missing(columns, header)
    if not header or not missing:
        return usual
    message = f"{path} line {line}: column {columns[missing[0]]!r} is missing; the columns are {listed(header)}"
    others = {form: _header(path, encoding, form)[1] for form in (_Form.of(suffix, quoting, c) for c in _KNOWN)}
    others = {form: names for form, names in others.items() if len(names) > 1 and form != usual}
    fitting = [form for form, names in others.items() if not _missing(columns, names)]
    if len(fitting) == 1:
        if doubt := _doubt(path, encoding, fitting[0]):
            raise InputError(f"{message}. {fitting[0].separator!r} seems to separate them, but then {doubt}")
        return fitting[0]
    if fitting or len(header) == 1:
        for form, names in others.items():
            message += f". If {form.separator!r} separates them, they are {listed(names)}"
    if not usual.quoted and any(name.startswith('"') for name in header):
        message += ". If they stand between quotation marks, say quoting on (--quoting on)"
    option, several, _ = missing[0].partition(" ")  # of several columns of one option
    flag = f"--{option.replace('_', '-')}"
    joined = columns[missing[0]].split(",") if several else []
    if len(joined) > 1 and all(_places(name, header) for name in joined):
        raise InputError(f"{message}. Give each name for itself, {flag} {' '.join(joined)} on the command line")
    message += f". Name one with {option} ({flag})"
    if option == "label_column" and len(marked := _marked(path, encoding, usual)) > 1:
        message += f", or, as {listed(marked)} hold 0 or 1, name those of labels with label_columns (--label-columns)"
    raise InputError(message)


def _header(path: str, encoding: str, form: _Form) -> tuple[int, list[str]]:
    """The line of the first row, and its fields; none if the file is empty or they are not as in this form."""
    try:
        return next(_rows(path, encoding, form), (1, []))
    except _NotARow:
        return 1, []


def _doubt(path: str, encoding: str, form: _Form) -> str:
    """What speaks against a form in the first rows; an empty string if nothing does."""
    try:
        rows = list(islice(_rows(path, encoding, form), 1 + _FIRST_ROWS))
    except _NotARow as error:
        return str(error)
    for line, row in rows:
        if len(row) != len(rows[0][1]):
            return f"line {line} has {len(row)} fields, and the header {len(rows[0][1])}: mend one of them"
    return ""


def _marked(path: str, encoding: str, form: _Form) -> list[str]:
    """The names of the columns that have a 0 or 1 in each of the first rows, as those of labels have."""
    if _doubt(path, encoding, form):
        return []
    (_, header), *rows = islice(_rows(path, encoding, form), 1 + _FIRST_ROWS)
    cells = zip(*(row for _, row in rows), strict=True)
    return [name.strip(_NOT_OF_A_NAME) for name, of_one in zip(header, cells, strict=False) if {"0", "1"} >= {*of_one}]


def _missing(columns: Mapping[str, str], header: Sequence[str]) -> list[str]:
    """The options whose columns are not in the header."""
    return [option for option, column in columns.items() if not _places(column, header)]


def _places(column: str, header: Sequence[str]) -> list[int]:
    """Where a column stands: under its very name, otherwise under this name with blanks around it."""
    exact = [index for index, name in enumerate(header) if name == column]
    plain = column.strip(_NOT_OF_A_NAME)
    return exact or [index for index, name in enumerate(header) if name.strip(_NOT_OF_A_NAME) == plain]


def listed(names: Iterable[str]) -> str:
    """The names of columns for a message, shortened: in a file without a header, "names" may be whole paragraphs."""
    return ", ".join(repr(name[:40]) for name in islice(names, 20))


def _rows(path: str, encoding: str, form: _Form) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of the line in which it begins."""
    if form.quoted:
        return _quoted_rows(path, read_lines(path, encoding), form)
    lines = enumerate(read_lines(path, encoding), 1)
    return ((number, line.removesuffix("\n").split(form.separator)) for number, line in lines if line != "\n")


def _quoted_rows(path: str, lines: Iterable[str], form: _Form) -> Iterator[tuple[int, list[str]]]:
    # a limit of the whole process; it is only ever raised, which changes nothing for others who read csv files
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    of_row, merges = [], _Merges(form.separator)
    # strict, because otherwise the csv module guesses what a stray quotation mark means and may lose rows silently
    reader = csv.reader(_noted(lines, of_row), delimiter=form.separator, strict=True)
    while True:
        line = reader.line_num + 1
        of_row.clear()
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise _NotARow(
                f"{path} line {line}: not a row of a table ({error}). Is a quotation mark left open, or not doubled "
                f"inside a quoted field? {_SAY_OFF}"
            ) from error
        if row is None:
            return
        if form.doubtful and (doubtful := merges.found(line, row, of_row)):
            raise _NotARow(
                f"{path} line {doubtful}: a quotation mark that opens here closes in a later line, and lines between "
                f"look like rows of their own. If it is one row, say quoting on (--quoting on); {_SAY_OFF}"
            )
        if row:
            yield line, row


def _noted(lines: Iterable[str], of_row: list[str]) -> Iterator[str]:
    for line in lines:
        of_row.append(line)
        yield line


class _Merges:
    """Finds rows that quotation marks have made of several.

    In a table of `text,label`, the lines `"So it goes,bad` and `Great",good` are one row for the csv module. They are
    suspicious if a value that would stand outside of quotation marks, here bad, is a value of this column in another
    row, or a whole number in a column where this row has one too.

    Args:
        separator: what separates the fields.
    """

    def __init__(self, separator: str):
        self._separator = separator
        self._seen: set[tuple[int, str]] = set()  # (column, value) in rows, as far as they are short
        self._doubted: dict[tuple[int, str], int] = {}  # the same of rows that may be several, with their lines

    def found(self, line: int, row: Sequence[str], lines: Sequence[str]) -> int | None:
        """Notes a row, and gives the line of a row that is probably several, or None.

        Args:
            line: the number of the line in which the row begins.
            row: its fields.
            lines: the lines of the file that it was made of.
        """
        for value in ((column, field) for column, field in enumerate(row) if len(field) <= _LONGEST_NOTED):
            if value in self._doubted:
                return self._doubted[value]
            if len(self._seen) < _MOST_NOTED:
                self._seen.add(value)
        for column, value in self._outside(lines, len(row)) if len(lines) > 1 else ():
            if (column, value) in self._seen or (value.isdecimal() and row[column].isdecimal()):
                return line
            if len(self._doubted) < _MOST_NOTED:
                self._doubted[column, value] = line
        return None

    def _outside(self, lines: Sequence[str], width: int) -> Iterator[tuple[int, str]]:
        """Columns and values that would stand outside of the quoted field, if every line were a row of its own."""
        for number, line in enumerate(lines):
            fields = line.removesuffix("\n").split(self._separator)
            if len(fields) != width:
                continue
            odd = [column for column, field in enumerate(fields) if field.count('"') % 2]
            first, last = 0, width
            if number == 0:
                first = max(odd, default=width) + 1
            elif number == len(lines) - 1:
                last = min(odd, default=0)
            for column in range(first, last):
                if fields[column].strip(_SAYING_NOTHING):
                    yield column, fields[column]
