"""Reads labelled files: tables, JSON lines, text lines that begin with their label, and a folder for each label."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice

from lmkeras.corpora.characters import read_characters, read_lines
from lmkeras.corpora.corpus import Text
from lmkeras.corpora.labelled import labelled_rows
from lmkeras.corpora.records import LABEL_COLUMN, has_records, read_records, text_of
from lmkeras.corpora.table_files import Record, listed
from lmkeras.errors import InputError

#: Advice that is added to the message about missing labels.
ANOTHER_COLUMN = "; where the labels are in another column, name it with label_column (--label-column)"

#: The format of a .txt file is recognised from this many of its first lines.
_FIRST_LINES = 10

#: A label of fastText ends at the first white space, but fastText only knows the white space of ASCII.
_FASTTEXT_LINE = re.compile(r"__label__(\S*)\s*(.*)", re.ASCII | re.DOTALL)
_FASTTEXT_LABEL = re.compile(r"(?:^|\s)__label__", re.ASCII)


def read_labelled(
    path: str, columns: Mapping[str, str], encoding: str, quoting: str = "auto"
) -> Iterator[tuple[Text, str]]:
    """The examples of one file, in the file's order; only one example is in memory at a time.

    Args:
        path: a file whose name ends in one of `files.SUFFIXES`.
        columns: the wanted columns of a table or keys of JSON, from `records.named_columns`.
        encoding: name of the file's encoding. A byte order mark at its beginning is dropped.
        quoting: what quotation marks mean in a table, as for `table_files.read_table`.

    Returns:
        An iterator of (text, label).

    Raises:
        InputError: while iterating, if the file cannot be read, is not in the format of its suffix, or has an example
            without a label.
    """
    if has_records(path):
        rows = read_records(path, columns, encoding, quoting=quoting)
        return labelled_rows(_record_rows(rows, columns[LABEL_COLUMN]), path, ANOTHER_COLUMN)
    return labelled_rows(_line_rows(path, read_lines(path, encoding)), path)


def _record_rows(records: Iterable[Record], label_column: str) -> Iterator[tuple[str, Text, object]]:
    for line, (*texts, label), names, _ in records:
        lacking = isinstance(names, dict) and label_column not in names  # only JSON may lack it
        place = f"line {line}, whose keys are {listed(names)}" if lacking else f"line {line}"
        yield place, text_of(texts), label


def _line_rows(path: str, lines: Iterable[str]) -> Iterator[tuple[str, str, str | None]]:
    """Place, text and label of each line that is not blank, in the format that is recognised from the first lines."""
    lines = ((number, line) for number, line in enumerate(lines, 1) if not line.isspace())
    first = list(islice(lines, _FIRST_LINES))
    if any(line.startswith("__label__") for _, line in first):
        text_and_label = _fasttext_line
    elif any("\t" in line for _, line in first) or not first:
        text_and_label = _tabbed_line
    else:
        raise InputError(
            f"{path} line {first[0][0]}: expected label<TAB>text or __label__name text, got {first[0][1][:40]!r}. If "
            "each file is one text, put those of each label into a folder with its name and name the folder above"
        )
    for number, line in chain(first, lines):
        yield (f"line {number}", *text_and_label(line.removesuffix("\n"), f"{path} line {number}"))


def _tabbed_line(line: str, place: str) -> tuple[str, str]:
    label, tab, text = line.partition("\t")
    if not tab:
        raise InputError(f"{place}: expected label<TAB>text as in the lines before, got no tab: {line[:40]!r}")
    return text, label


def _fasttext_line(line: str, place: str) -> tuple[str, str | None]:
    labels = len(_FASTTEXT_LABEL.findall(line))
    if labels > 1:
        raise InputError(f"{place}: expected one label, got {labels}; a classifier gives every text exactly one")
    parts = _FASTTEXT_LINE.match(line)
    if parts is None and labels:
        raise InputError(f"{place}: expected the label at the beginning of the line, got {line[:40]!r}")
    return (parts[2].rstrip(), parts[1]) if parts else (line, None)


def labels_of_files(folder: str, files: Iterable[str]) -> dict[str, str]:
    """The label of each file: the name of the subfolder that holds the file.

    Args:
        folder: the folder whose subfolders are named like the labels.
        files: files below `folder`; those in `folder` itself have no label and are left out.

    Raises:
        InputError: a file lies more than one folder deep, so that several folder names could be its label.
    """
    labels = {}
    for file in files:
        label, *below = os.path.relpath(file, folder).split(os.sep)
        if len(below) > 1:
            raise InputError(
                f"{folder}: expected files in subfolders that are the labels, got {file}, a folder deeper. Name the "
                f"folder whose subfolders are the labels, such as {os.path.join(folder, label)}"
            )
        if below:
            labels[file] = label
    return labels


def read_class_folder(folder: str, labels: Mapping[str, str], encoding: str) -> Iterator[tuple[str, str]]:
    """The examples of a folder with one subfolder for each label; each file is one text.

    Args:
        folder: the folder's path, for messages.
        labels: the label of each file, from `labels_of_files`.
        encoding: name of the files' encoding. A byte order mark at the beginning of a file is dropped.

    Returns:
        An iterator of (text, label), in the order of `labels`.

    Raises:
        InputError: while iterating, if a file cannot be read; at the end, if no file holds any text.
    """
    rows = ((file, "".join(read_characters(file, encoding)), label) for file, label in labels.items())
    return labelled_rows(rows, folder)
