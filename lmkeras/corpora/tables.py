"""A corpus of named tuples: rows of tables, or examples in memory, each with the fields of one type."""

import functools
import math
import numbers
import random
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import compress
from pathlib import Path

from lmkeras.corpora.characters import require_encoding
from lmkeras.corpora.corpus import Examples, Text, require_usable
from lmkeras.corpora.memory import kept_examples, sources_in
from lmkeras.corpora.paths import files_of, find_readers, quoted
from lmkeras.corpora.records import has_records, read_records
from lmkeras.corpora.table_files import require_quoting
from lmkeras.errors import InputError

_PAIR = "pair_column"
_NAMES = {str: "a text", int: "a whole number", float: "a finite number", Text: "a text or a pair of texts"}


class Rows(Examples):
    """Examples, each a named tuple of one type, streamed anew by every iteration.

    Args:
        *readers: functions without arguments, each of which starts reading its share of the examples from the
            beginning; the corpus is their examples one after the other.
    """

    #: the message where there are no examples
    without_examples = "there are no examples: the table has no rows below its names of columns"

    def __iter__(self) -> Iterator:
        """The examples from the first one on; InputError if there are none."""
        number = 0
        for number, row in enumerate(super().__iter__(), 1):  # noqa: B007 - used after the loop
            yield row
        if not number:
            raise InputError(self.without_examples)

    def part(self, *readers: Callable[[], Iterator]) -> "Rows":
        """A corpus of the same kind with some of the examples, which the readers read."""
        return Rows(*readers)

    def column(self, index: int) -> Iterable:
        """One field of every example."""
        return Examples(lambda: (row[index] for row in self))


def open_rows(
    sources: str | Path | Sequence[str | Path],
    example: type,
    columns: Mapping[str, str | None],
    encoding: str = "utf-8",
) -> Rows:
    """The rows of .csv, .tsv or .jsonl files (.gz too), as named tuples.

    Args:
        sources: files, globs or folders.
        example: a NamedTuple of fields that are str, int or float; its first field may be `Text`, a text or a pair.
        columns: for each field FIELD, under the key "FIELD_column", the name of its column. Without this key, or with
            None, the column has the name of the field. Under "pair_column" the column with the second text of a pair;
            without it, or with None, every example has one text. Under "quoting" what a quotation mark means, as for
            `open_corpus`.
        encoding: name of the files' encoding.

    Raises:
        InputError: a source names nothing, or no tables; or examples have no pairs and "pair_column" is given. While
            iterating: a column is missing, or a value is not of its field's type.
    """
    require_encoding(encoding)
    quoting = columns.get("quoting") or "auto"
    require_quoting(quoting)
    how = {"example": example, "columns": _wanted(example, columns), "encoding": encoding, "quoting": quoting}
    return Rows(*find_readers(sources, {}, partial(_readers, how=how)))


def _wanted(example: type, columns: Mapping[str, str | None]) -> dict[str, str]:
    """The names of the columns of an example, under their options: the first field's, that of its pair, the others'."""
    first, *others = example._fields
    pair = columns.get(_PAIR)
    if pair is not None and _kinds(example)[first] != Text:
        raise InputError(f"{first} is a single text here: leave out pair_column (--pair-column)")
    wanted = {f"{first}_column": columns.get(f"{first}_column") or first, **({} if pair is None else {_PAIR: pair})}
    return wanted | {f"{field}_column": columns.get(f"{field}_column") or field for field in others}


def _readers(path: str, how: Mapping[str, object]) -> list:
    files = files_of(path)
    if not all(map(has_records, files)):
        names = ", ".join(how["columns"].values())
        raise InputError(f"{quoted(path)}: expected .csv, .tsv or .jsonl files with the columns {names}")
    return [partial(_read, file, **how) for file in files]


def _read(path: str, example: type, columns: Mapping[str, str], encoding: str, quoting: str) -> Iterator:
    numeric = [f"{field}_column" for field, kind in _kinds(example).items() if kind in (int, float)]
    for record in read_records(path, columns=columns, encoding=encoding, numeric=numeric, quoting=quoting):
        values = [tuple(record.values[:2]), *record.values[2:]] if _PAIR in columns else record.values
        yield _example(values, example, f"{path} line {record.line}")


@functools.cache
def _kinds(example: type) -> dict[str, type]:
    """The type of each field: str, int, float or Text."""
    return typing.get_type_hints(example)


def _example(values: Sequence, example: type, place: str):
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != len(example._fields):
        raise InputError(f"{place}: expected {', '.join(example._fields)}, got {quoted(str(values)[:80])}")
    kinds, converted = _kinds(example), []
    for field, value in zip(example._fields, values, strict=True):
        try:
            converted.append(_converted(value, kinds[field]))
        except (TypeError, ValueError, OverflowError):
            expected = _NAMES.get(kinds[field], kinds[field])
            raise InputError(f"{place}: expected {field} as {expected}, got {value!r}") from None
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                require_usable(text, place)
    return example(*converted)


def _converted(value: object, kind: type):
    """A value converted to its field's type; TypeError, ValueError or OverflowError if that is not possible."""
    if kind == Text:
        texts = value if isinstance(value, tuple | list) and len(value) == 2 else (value,)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
        return value if isinstance(value, str) else tuple(value)
    if isinstance(value, str) and kind is float and not math.isfinite(float(value)):
        raise ValueError
    if isinstance(value, str):
        return kind(value)
    if kind is str or isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError
    number = kind(value)
    if (kind is int and number != value) or not math.isfinite(number):
        raise ValueError
    return number


def as_rows(value: object, example: type, encoding: str = "utf-8", **columns) -> Rows:
    """Turns the argument of a function that takes a corpus into Rows.

    Args:
        value: Rows; a source that `open_rows` takes, or a list of Paths; or examples in memory, see
            `memory.examples_in`: a list of examples (named or plain tuples), a table, a tuple of columns, or an
            iterator, which is read once here, into memory.
        example: the NamedTuple of an example.
        encoding: as for `open_rows`.
        columns: the columns of `open_rows`, by name.

    Raises:
        InputError: the value is none of these.
    """
    if isinstance(value, Rows):
        return value
    sources = sources_in(value)
    if sources is not None:
        return open_rows(sources, example, columns=columns, encoding=encoding)
    kept = kept_examples(value, _wanted(example, columns))
    rows = [_example(row, example, f"item {number} of the list") for number, row in enumerate(kept, 1)]
    return Rows(partial(iter, rows))


def split_rows(corpus: Rows, validation_fraction: float, seed: int = 0) -> tuple[Rows, Rows]:
    """Cuts a corpus in two at random.

    Args:
        corpus: is read once here to count it; each part reads it again whenever it is iterated.
        validation_fraction: share of the validation part, in (0, 1).
        seed: the same seed chooses the same examples.

    Returns:
        (train, validation), each in the order of the corpus.

    Raises:
        InputError: the fraction is outside (0, 1), or leaves one part empty.
    """
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction: expected a number between 0 and 1, got {validation_fraction}")
    count = sum(1 for _ in corpus)
    held_out = int(count * Fraction(str(validation_fraction)) + Fraction(1, 2))
    if not 0 < held_out < count:
        raise InputError(
            f"{count} examples are too few to take {validation_fraction} of them for validation: give more"
        )
    chosen = set(random.Random(seed).sample(range(count), held_out))
    return _parted(corpus, [number in chosen for number in range(count)])


def fold_rows(corpus: Rows, num_folds: int, seed: int = 0) -> Iterator[tuple[Rows, Rows]]:
    """Cuts a corpus at random for cross-validation: every example is held out of the training in exactly one fold.

    Args:
        corpus: is read once here to count it; each part reads it again whenever it is iterated.
        num_folds: number of folds, from 2 to the number of examples; their sizes differ by at most one.
        seed: the same seed makes the same folds.

    Returns:
        An iterator of `num_folds` pairs (train, held_out), each part in the order of the corpus.

    Raises:
        InputError: `num_folds` is less than 2 or more than there are examples.
    """
    fold_of = [number % max(1, num_folds) for number, _ in enumerate(corpus)]
    if not 2 <= num_folds <= len(fold_of):
        raise InputError(f"num_folds: expected 2 to {len(fold_of)}, the number of examples, got {num_folds}")
    random.Random(seed).shuffle(fold_of)
    return (_parted(corpus, [one == fold for one in fold_of]) for fold in range(num_folds))


def _parted(corpus: Rows, held_out: Sequence[bool]) -> tuple[Rows, Rows]:
    """(the rest, the rows that are held out)."""
    trains = [not one for one in held_out]
    return corpus.part(lambda: compress(corpus, trains)), corpus.part(lambda: compress(corpus, held_out))
