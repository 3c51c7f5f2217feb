"""Texts and examples that a user holds in memory: lists, columns, tables, arrays and iterators of many libraries.

Containers are recognised by what they can do, so that no library is imported which the user has not imported: a table
names its columns, as pandas, polars, pyarrow, datasets and dictionaries of columns do; all else gives items one after
the other, as lists, arrays, series, generators and tf.data.Dataset do.
"""

import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lmkeras.corpora.corpus import Examples, Text
from lmkeras.corpora.records import missing_name
from lmkeras.corpora.table_files import listed
from lmkeras.errors import InputError

_log = logging.getLogger("lmkeras")

_PAIR = "pair_column"


def sources_in(value: object) -> list | None:
    """The files and other sources that a value names: a string, a Path or a list of Paths; None for anything else."""
    if isinstance(value, str | os.PathLike):
        return [value]
    paths = isinstance(value, list | tuple) and value and all(isinstance(item, os.PathLike) for item in value)
    return list(value) if paths else None


def column_names(value: object) -> list | None:
    """The names of a table's columns; None for what has no names of columns, such as a list or a series."""
    if isinstance(value, Mapping):
        return list(value)
    for name in ("column_names", "columns"):
        names = getattr(value, name, None)
        if isinstance(names, Iterable) and not isinstance(names, str):
            return list(names)
    return list(getattr(getattr(value, "dtype", None), "names", None) or ()) or None


def names_fields(value: object) -> bool:
    """Whether the fields of examples have names: in a table, or in dictionaries one after the other."""
    rows = isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)
    return rows or column_names(value) is not None


def names_examples(value: object) -> bool:
    """Whether a value can only be whole examples: files, a corpus or a table."""
    return isinstance(value, Examples) or sources_in(value) is not None or column_names(value) is not None


def holds_rows(value: object, num_fields: int) -> bool:
    """Whether a value holds whole examples: a tuple of columns, or rows that are tuples or dictionaries.

    Args:
        value: what `is_column` accepts; the first item of an iterator would be lost.
        num_fields: how many values an example has.
    """
    if isinstance(value, tuple) and len(value) == num_fields and all(map(is_column, value)):
        return True
    kind = getattr(value, "element_spec", None)  # of a tf.data.Dataset
    first = next(iter(value), None) if kind is None else kind
    return isinstance(first, tuple | Mapping) or (getattr(value, "ndim", 1) == 2 and isinstance(first[0], str))


def holds_texts(value: object) -> bool:
    """Whether a value in memory holds texts alone: its first item is one. An iterator is not looked into."""
    if isinstance(value, Iterator) or names_examples(value) or not is_column(value):
        return False
    return isinstance(next(iter(value), None), str | bytes)


def is_column(value: object) -> bool:
    """Whether a value is something like a list; an example, such as a named tuple or a dictionary, is none."""
    if isinstance(value, str | bytes | set | frozenset | Mapping) or hasattr(value, "_fields"):
        return False
    return isinstance(value, Iterable) and _shape_of(value) != ()


def kept_examples(value: object, columns: Mapping[str, str]) -> list[tuple]:
    """All examples that a value in memory holds, as `examples_in` gives them.

    Raises:
        InputError: there are none, or as for `examples_in`.
    """
    kept = list(examples_in(value, columns))
    parts = (value, *(value if isinstance(value, tuple) else ()))
    if not kept:
        text, *others = _fields(columns)
        wanted = " and its ".join((f"one {text}", *others))
        used = "; an iterator is empty once it has been read" if isinstance(value, Iterator) else ""
        raise InputError(f"expected at least {wanted}, got an empty {type(value).__name__}{used}")
    if read := [part for part in parts if isinstance(part, Iterator)]:
        _log.warning("a %s can be read once: %d examples are in memory now", type(read[0]).__name__, len(kept))
    return kept


def texts_in(value: object, columns: Mapping[str, str]) -> Iterator[Text]:
    """The texts, or pairs of texts, that a value in memory holds, read as they are needed.

    Args:
        value: as for `examples_in`.
        columns: the names of the text column and, under "pair_column", of the one with the second text.

    Raises:
        InputError: as for `examples_in`; or, while iterating, something is neither a text nor a pair of texts.
    """
    for number, (text,) in enumerate(examples_in(value, columns), 1):
        if not isinstance(text, str) and not (isinstance(text, tuple) and all(isinstance(one, str) for one in text)):
            kind = type(text).__name__
            raise InputError(f"text {number}: expected a text or a pair (first, second) of texts, got {kind}")
        yield text


def examples_in(value: object, columns: Mapping[str, str]) -> Iterator[tuple]:
    """The examples that a value in memory holds, read as they are needed.

    Args:
        value: a table, of which the named columns are taken; a tuple of columns, such as (texts, labels); or something
            that gives one example after the other, each a text alone, a tuple or list with a value for each field, or a
            dictionary, of which the values under the named keys are taken. Batches of a tf.data.Dataset are taken
            apart. Bytes are UTF-8.
        columns: for each option, such as "text_column", the name of its column. The text comes first; "pair_column",
            where it is named, holds the second text of a pair.

    Returns:
        An iterator over tuples: the text or the pair of texts, and the other values.

    Raises:
        InputError: the value is nothing of that kind, a column is missing, or columns differ in length; while
            iterating: an example has another number of values, a text is missing, or bytes are not UTF-8.
    """
    fields = _fields(columns)
    if isinstance(value, Mapping) and value and all(column_names(part) is not None for part in value.values()):
        names = ", ".join(map(str, value))
        raise InputError(f"expected one table, got a {type(value).__name__} of several, {names}: choose one of them")
    if column_names(value) is not None:
        rows = _beside({option: _column(value, option, name) for option, name in columns.items()})
        rows = (((first, second), *others) for first, second, *others in rows) if _PAIR in columns else rows
    elif isinstance(value, tuple) and len(fields) > 1 and not all(hasattr(part, "_fields") for part in value):
        rows = _rows_of_columns(value, columns)
    else:
        kind = "texts" if len(fields) == 1 else f"examples ({', '.join(fields)})"
        items = _items(value, f"a file, a corpus, or {kind} in memory (a list, a table, an iterator)")
        rows = (_row(item, columns, number) for number, item in enumerate(items, 1))
    return (_plain_row(row, columns, number) for number, row in enumerate(rows, 1))


def _fields(columns: Mapping[str, str]) -> list[str]:
    return [option.removesuffix("_column") for option in columns if option != _PAIR]


def _items(value: object, expected: str) -> Iterator:
    """What a container gives one after the other."""
    if hasattr(value, "as_numpy_iterator"):
        return _elements(value)
    if hasattr(value, "to_pylist"):  # of pyarrow, whose own items are no Python values
        value = value.to_pylist()
    elif hasattr(value, "numpy"):  # a tensor
        value = value.numpy()
    if not is_column(value):
        raise InputError(f"expected {expected}, got {type(value).__name__}")
    feature = getattr(value, "features", None)  # of a column of a datasets.Dataset; its own feature is that of lists
    for classes in (feature, getattr(feature, "feature", None)):
        if isinstance(names := getattr(classes, "names", None), list):
            return (_class_names(one, names) for one in value)
    return iter(value)


def _class_names(number: object, names: Sequence[str]):
    """The name of a class instead of its number, in lists too."""
    if isinstance(number, Iterable):
        return [_class_names(one, names) for one in number]
    return None if number is None or number < 0 else names[number]


def _shape_of(value: object) -> tuple | None:
    return getattr(value, "shape", None)


def _elements(dataset) -> Iterator:
    """The elements of a tf.data.Dataset; its batches are taken apart."""
    if int(dataset.cardinality()) == -1:
        raise InputError("this tf.data.Dataset repeats without end: give it without repeat(), or take a part of it")
    for element in dataset.as_numpy_iterator():
        leaves = list(_leaves(element))
        if all(_shape_of(leaf) for leaf in leaves):  # single texts and numbers have no shape, or ()
            for place in range(len(leaves[0])):
                yield _part(element, place)
        else:
            yield element


def _leaves(element: object) -> Iterator:
    if isinstance(element, tuple | Mapping):
        for part in element.values() if isinstance(element, Mapping) else element:
            yield from _leaves(part)
    else:
        yield element


def _part(element: object, place: int):
    """One example of a batch."""
    if isinstance(element, Mapping):
        return {name: _part(part, place) for name, part in element.items()}
    return tuple(_part(part, place) for part in element) if isinstance(element, tuple) else element[place]


def _column(table, option: str, name: str) -> list:
    """A column of a table, as a list."""
    names, kind = column_names(table), type(table).__name__
    if name not in names:
        raise missing_name(f"the {kind}", what="column", option=option, column=name, names=map(str, names))
    if names.count(name) > 1:
        raise InputError(f"the {kind}: {names.count(name)} columns are called {name!r}: rename all but one")
    return list(_items(table[name], f"a list of values as column {name!r}"))


def _rows_of_columns(parts: tuple, columns: Mapping[str, str]) -> Iterator[tuple]:
    """The examples of a tuple of columns, one for each field; the texts may also be a table's."""
    fields = _fields(columns)
    expected = f"a tuple ({', '.join(f'{field}s' for field in fields)})"
    if len(parts) == len(fields):
        parts = (parts[0], *map(_only_column, parts[1:]))
    if len(parts) != len(fields) or not all(is_column(part) for part in parts[1:]) or isinstance(parts[0], str):
        kinds = ", ".join(type(part).__name__ for part in parts[:5])
        raise InputError(f"expected {expected}, got a tuple of length {len(parts)} ({kinds}); examples go into a list")
    of_text = {option: name for option, name in columns.items() if option in (f"{fields[0]}_column", _PAIR)}
    texts = [text for (text,) in examples_in(parts[0], of_text)]
    others = (list(_items(part, expected)) for part in parts[1:])
    return _beside(dict(zip(fields, (texts, *others), strict=True)))


def _only_column(part: object):
    """The column of a table that has one; what is no table, as it is."""
    if len(names := column_names(part) or ()) > 1:
        got = f"a {type(part).__name__} of {listed(map(str, names))}"
        raise InputError(f"expected a list or one column, got {got}: choose one column")
    return part[names[0]] if names else part


def _beside(columns: Mapping[str, list]) -> Iterator[tuple]:
    """The rows of columns; InputError if they are not of one length."""
    texts, *others = columns.values()
    for option, values in zip(list(columns)[1:], others, strict=True):
        if len(values) != len(texts):
            field = option.removesuffix("_column")
            raise InputError(f"expected one {field} for each text, got {len(texts)} texts and {len(values)} {field}s")
    return zip(texts, *others, strict=True)


def _row(item: object, columns: Mapping[str, str], number: int) -> tuple:
    """The values of an item: the text or pair, and the others."""
    fields = _fields(columns)
    if isinstance(item, Mapping):
        for option, name in columns.items():
            if name not in item and option != "label_column":  # a missing label is reported with all others
                raise missing_name(f"item {number}", what="key", option=option, column=name, names=map(str, item))
        values = [item.get(name) for name in columns.values()]
        return (tuple(values[:2]), *values[2:]) if _PAIR in columns else tuple(values)
    if len(fields) == 1:
        return (item,)
    if not (isinstance(item, tuple | list) or _shape_of(item)) or len(item) != len(fields):
        got = repr(item)[:80] if isinstance(item, str | bytes | tuple | list) else type(item).__name__
        advice = ". Of texts alone, give the answers as y; of several files, a list of Paths" * isinstance(item, str)
        raise InputError(f"item {number} of the list: expected {', '.join(fields)}, got {got}{advice}")
    return tuple(item)


def _plain_row(row: Sequence, columns: Mapping[str, str], number: int) -> tuple:
    text, *others = row
    if isinstance(text, Mapping):  # as of a tf.data.Dataset that gives (features, label)
        text, *others = (*_row(text, dict(list(columns.items())[: 1 + (_PAIR in columns)]), number), *others)
    if isinstance(text, tuple | list) or (len(_shape_of(text) or ()) == 1 and len(text) > 1):
        text = tuple(_plain(one, f"text {number}") for one in text)
    else:
        text = _plain(text, f"text {number}")
    for one in text if isinstance(text, tuple) else (text,):
        if one is None or (isinstance(one, float) and math.isnan(one)):
            raise InputError(f"text {number} is missing (it is {one}): leave such examples out, or put an empty text")
    return (text, *(_plain(one, f"{field} {number}") for field, one in zip(_fields(columns)[1:], others, strict=True)))


def _plain(value: object, place: str):
    """A value without the clothes of its container: text of bytes, the number in an array of one, None for NA."""
    if type(value) is str:
        return value
    if _shape_of(value) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{place}: the byte at offset {error.start} is not UTF-8 ({error.reason}): decode these bytes first"
            ) from error
    if isinstance(value, str):
        return str(value)  # of NumPy's own kind of strings
    return None if type(value).__name__ in ("NAType", "NaTType") else value
