"""Makes a labelled corpus from the sources that a user names, or from examples that the user has in memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from lmkeras.corpora.characters import require_encoding
from lmkeras.corpora.corpus import Text
from lmkeras.corpora.docstrings import python_docstrings
from lmkeras.corpora.label_lists import LabelFormat
from lmkeras.corpora.labelled import Label, LabelledCorpus, labelled_rows
from lmkeras.corpora.labelled_files import (
    ANOTHER_COLUMN,
    labels_of_files,
    read_class_folder,
    read_labelled,
    text_and_label,
)
from lmkeras.corpora.memory import kept_examples, names_fields, sources_in
from lmkeras.corpora.paths import Reader, files_of, find_readers, quoted
from lmkeras.corpora.records import LABEL_COLUMN, has_records, named_columns, require_columns_for_pairs
from lmkeras.corpora.sources import builtin_reader
from lmkeras.corpora.table_files import require_quoting
from lmkeras.corpora.tfds import tfds_rows_reader
from lmkeras.errors import InputError

#: The readers of `builtin:` corpora, by name.
BUILTIN_LABELLED = {"python-docstrings": python_docstrings}


def open_labelled_corpus(
    sources: str | Path | Sequence[str | Path],
    text_column: str = "text",
    label_column: str = "label",
    pair_column: str | None = None,
    encoding: str = "utf-8",
    quoting: str = "auto",
    label_separator: str | None = None,
    label_columns: Sequence[str] | None = None,
) -> LabelledCorpus:
    """The labelled corpus of one or several sources, in the order given.

    This function finds the files; they are read later, during iteration. A source is

    - a table: .csv and .tsv have a header and one example per row, .jsonl has one object per line, whose label may
      be a number, or a list of labels; each may be packed as .gz;
    - a .txt file (or .txt.gz) with one example per line; blank lines are left out. If one of its first ten lines
      begins with `__label__`, every line is in fastText's format, `__label__name text`, with one label, or with any
      number of them if one of these lines has several; else every line is `label<TAB>text`, which may have more tabs;
    - a glob: all files of these formats that it matches, sorted by name, without hidden ones;
    - a folder: its tables and those of its subfolders. Without any, if its subfolders have .txt files, each subfolder's
      name is a label and each file in it one text, as for Keras' text_dataset_from_directory; otherwise its .txt files;
    - `tfds:name/config:split`, from TensorFlow Datasets: a label may be a class, which has a name, an integer, a text;
    - `builtin:python-docstrings`, the docstrings of Python's standard library, labelled by the area of their module.

    Line ends become "\\n"; byte order marks and white space around labels are dropped.

    Args:
        sources: one source or a sequence of them. A name that exists as a path is taken as that path.
        text_column: name of the column (.csv, .tsv), key (.jsonl) or feature (`tfds:`) that holds the text.
        label_column: name of the one that holds the label.
        pair_column: name of the one that holds the second text of a pair; None for single texts.
        encoding: name of the files' encoding.
        quoting: what a quotation mark means in .csv and .tsv, as for `open_corpus`.
        label_separator: what stands between the labels in the label column, where a text may have several, such as ",".
        label_columns: names of columns that each hold a 0 or 1 for the label of this name, instead of a label column.

    Returns:
        A LabelledCorpus. Iterating it raises InputError if a file is malformed or has examples without a label.

    Raises:
        InputError: a source does not exist, the encoding or quoting is unknown, or `pair_column` or `label_columns` are
            given for a source without columns.

    Example:
        >>> counts = open_labelled_corpus("builtin:python-docstrings").label_counts()
        >>> list(counts)
        ['concurrency', 'data', 'development', 'files', 'internet', 'language', 'numbers', 'system', 'text']
    """
    require_encoding(encoding)
    require_quoting(quoting)
    label_format = LabelFormat(label_separator, None if label_columns is None else tuple(label_columns))
    columns = named_columns(text_column, pair_column, label_column, label_columns=label_columns)
    schemes = {
        "builtin": partial(_builtin_reader, columns=columns),
        "tfds": partial(_tfds_reader, columns=columns, label_format=label_format),
    }
    how = {"encoding": encoding, "quoting": quoting, "label_format": label_format}
    path_readers = partial(_path_readers, columns=columns, how=how)
    return LabelledCorpus(*find_readers(sources, schemes, path_readers))


def _builtin_reader(source: str, columns: Mapping[str, str]) -> Reader:
    require_columns_for_pairs(columns, source, [source])
    return builtin_reader(source, BUILTIN_LABELLED)


def _tfds_reader(source: str, columns: Mapping[str, str], label_format: LabelFormat) -> Reader:
    read_rows = tfds_rows_reader(source, columns)

    def read() -> Iterator[tuple[Text, Label]]:
        rows = ((place, *text_and_label(values, columns)) for place, values in read_rows())
        return labelled_rows(rows, source, ANOTHER_COLUMN, label_format=label_format)

    return read


def _path_readers(path: str, columns: Mapping[str, str], how: Mapping[str, object]) -> list[Reader]:
    """A reader for each labelled file that a path stands for, or one reader for a folder with a subfolder per label."""
    files = files_of(path)
    if os.path.isdir(path):
        files = [file for file in files if has_records(file)] or files
    require_columns_for_pairs(columns, quoted(path), files)
    if how["label_format"].names is not None and not all(map(has_records, files)):
        raise InputError(f"{quoted(path)}: label_columns (--label-columns) are columns of .csv, .tsv or .jsonl files")
    if os.path.isdir(path) and not has_records(files[0]):
        labels = labels_of_files(path, files)
        if labels:
            return [partial(read_class_folder, path, labels=labels, encoding=how["encoding"])]
    return [partial(read_labelled, file, columns=columns, **how) for file in files]


def as_labelled_corpus(value: object, encoding: str = "utf-8", **columns) -> LabelledCorpus:
    """Turns the argument of a function that takes "a labelled corpus" into a LabelledCorpus.

    Args:
        value: a LabelledCorpus; a string or Path, which names a source as for `open_labelled_corpus`; a list of Paths;
            or examples in memory, see `memory.examples_in`: a list of (text, label), a tuple of exactly two columns
            (texts, labels), a table with columns of texts and labels, or an iterator of (text, label), which is read
            once here, into memory.
        encoding: as for `open_labelled_corpus`.
        columns: text_column, label_column, pair_column and other options of `open_labelled_corpus`.

    Returns:
        `value` itself if it is a LabelledCorpus, otherwise a new one.

    Raises:
        InputError: `value` is none of these.

    Example:
        >>> list(as_labelled_corpus([("so good", "positive"), ("so bad", "negative")]))
        [('so good', 'positive'), ('so bad', 'negative')]
        >>> list(as_labelled_corpus((["so good", "so bad"], [1, 0])))
        [('so good', '1'), ('so bad', '0')]
        >>> list(as_labelled_corpus({"text": ["so good", "so bad"], "stars": [5, 1]}, label_column="stars"))
        [('so good', '5'), ('so bad', '1')]
    """
    if isinstance(value, LabelledCorpus):
        return value
    sources = sources_in(value)
    if sources is not None:
        return open_labelled_corpus(sources, encoding=encoding, **columns)
    separator, names = columns.get("label_separator"), columns.get("label_columns")
    label_format = LabelFormat(separator, None if names is None else tuple(names))
    wanted = named_columns(
        columns.get("text_column", "text"),
        columns.get("pair_column"),
        columns.get("label_column", "label"),
        label_columns=names if names_fields(value) else None,
    )
    examples = kept_examples(value, wanted)
    texts, labels = [example[0] for example in examples], [example[1:] for example in examples]
    if LABEL_COLUMN in wanted:
        labels = [label for (label,) in labels]
    return LabelledCorpus.from_examples(texts, labels, label_format)
