"""Reads labelled files: tables, JSON lines, text lines that begin with their label, and a folder for each label."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice

from lmkeras.corpora.characters import read_characters, read_lines
from lmkeras.corpora.corpus import Text
from lmkeras.corpora.label_lists import LabelFormat
from lmkeras.corpora.labelled import Label, labelled_rows
from lmkeras.corpora.records import LABEL_COLUMN, has_records, is_of_labels, read_records, text_of
from lmkeras.corpora.table_files import Record, listed
from lmkeras.errors import InputError

#: Advice that is added to the message about missing labels.
ANOTHER_COLUMN = "; where the labels are in another column, name it with label_column (--label-column)"

#: The format of a .txt file is recognised from this many of its first lines.
_FIRST_LINES = 10

#: A label of fastText ends at the first white space, but fastText only knows the white space of ASCII.
_FASTTEXT_LABELS = re.compile(r"(?:__label__\S*(?:\s+|$))*", re.ASCII)
_FASTTEXT_NAME = re.compile(r"__label__(\S*)", re.ASCII)
_FASTTEXT_LABEL = re.compile(r"(?:^|\s)__label__", re.ASCII)


def read_labelled(
    path: str, columns: Mapping[str, str], encoding: str, label_format: LabelFormat, quoting: str = "auto"
) -> Iterator[tuple[Text, Label]]:
    """The examples of one file, in the file's order; only one example is in memory at a time.

    Args:
        path: a file whose name ends in one of `files.SUFFIXES`.
        columns: the wanted columns of a table or keys of JSON, from `records.named_columns`.
        encoding: name of the file's encoding. A byte order mark at its beginning is dropped.
        label_format: what is known of labels of which a text may have several.
        quoting: what quotation marks mean in a table, as for `table_files.read_table`.

    Returns:
        An iterator of (text, label).

    Raises:
        InputError: while iterating, if the file cannot be read, is not in the format of its suffix, or has an example
            without a label.
    """
    if has_records(path):
        rows = _record_rows(read_records(path, columns, encoding, quoting=quoting), columns)
        return labelled_rows(rows, path, ANOTHER_COLUMN, label_format=label_format)
    return labelled_rows(_line_rows(path, read_lines(path, encoding)), path, label_format=label_format)


def _record_rows(records: Iterable[Record], columns: Mapping[str, str]) -> Iterator[tuple[str, Text, object]]:
    label_column = columns.get(LABEL_COLUMN)
    for line, values, names, _ in records:
        lacking = label_column and isinstance(names, dict) and label_column not in names  # only JSON may lack it
        place = f"line {line}, whose keys are {listed(names)}" if lacking else f"line {line}"
        yield place, *text_and_label(values, columns)


def text_and_label(values: Sequence[object], columns: Mapping[str, str]) -> tuple[Text, object]:
    """The text of an example, and its label or the list of what its columns of labels have.

    Args:
        values: what the example has in each of the columns.
        columns: from `records.named_columns`.
    """
    of_labels = sum(map(is_of_labels, columns))
    texts, labels = values[:-of_labels], values[-of_labels:]
    return text_of(texts), labels[0] if LABEL_COLUMN in columns else list(labels)


def _line_rows(path: str, lines: Iterable[str]) -> Iterator[tuple[str, str, object]]:
    """Place, text and label of each line that is not blank, in the format that is recognised from the first lines."""
    lines = ((number, line) for number, line in enumerate(lines, 1) if not line.isspace())
    first = list(islice(lines, _FIRST_LINES))
    if any(line.startswith("__label__") for _, line in first):
        several = any(len(_FASTTEXT_LABEL.findall(line)) > 1 for _, line in first)
        read = partial(_fasttext_line, several=several)
    elif any("\t" in line for _, line in first) or not first:
        read = _tabbed_line
    else:
        raise InputError(
            f"{path} line {first[0][0]}: expected label<TAB>text or __label__name text, got {first[0][1][:40]!r}. If "
            "each file is one text, put those of each label into a folder with its name and name the folder above"
        )
    for number, line in chain(first, lines):
        yield (f"line {number}", *read(line.removesuffix("\n"), f"{path} line {number}"))


def _tabbed_line(line: str, place: str) -> tuple[str, str]:
    label, tab, text = line.partition("\t")
    if not tab:
        raise InputError(f"{place}: expected label<TAB>text as in the lines before, got no tab: {line[:40]!r}")
    return text, label


def _fasttext_line(line: str, place: str, several: bool) -> tuple[str, str | list[str] | None]:
    """Text and label of a line; its labels, if there are several or any number is expected."""
    begin = _FASTTEXT_LABELS.match(line).end()
    labels = _FASTTEXT_NAME.findall(line, 0, begin)
    if _FASTTEXT_LABEL.search(line, begin):
        raise InputError(f"{place}: expected the label at the beginning of the line, got {line[:40]!r}")
    if not several and len(labels) < 2:
        return line[begin:].rstrip(), labels[0] if labels else None
    return line[begin:].rstrip(), labels


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
