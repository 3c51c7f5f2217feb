"""Reads the labels of texts that may have several: lists, texts with a separator, a 0 or 1 for each label."""

import ast
import dataclasses
import functools
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

from lmkeras.errors import InputError

_log = logging.getLogger("lmkeras")

#: The form of a source's labels is recognised from this many of its first examples.
FIRST_ROWS = 10
#: What people write between the labels of a text.
_USUAL_SEPARATORS = (",", ";", "|", "，", "；", "、")
_LONGEST_SHOWN = 40
_BRACKETS = re.compile(r"\s*\[.*\]\s*", re.DOTALL)
_MARKS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}

#: a function (value, place) that gives one label, or a list of labels, from what a source has for an example
LabelReader = Callable[[object, str], object]


@dataclasses.dataclass(frozen=True)
class LabelFormat:
    """What the user has said about the labels of a source in which a text may have several.

    Attributes:
        separator: what stands between the labels of a text; None if labels are not written in one text.
        names: the names of all labels, where every text has a 0 or 1 for each of them; None elsewhere.

    Raises:
        InputError: the separator is empty, or both are given.
    """

    separator: str | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.separator == "":
            raise InputError("label_separator (--label-separator) must not be empty: say what stands between labels")
        if self.separator is not None and self.names is not None:
            raise InputError(
                "label_separator (--label-separator) is for one column with all labels of a text, label_columns "
                "(--label-columns) for a column of 0 and 1 for each label: say one of them"
            )

    def reader(self, first: Sequence[object], source: str) -> LabelReader:
        """How the labels of a source are read, recognised from those of its first examples, or from all.

        Lists written as text, such as "['a', 'b']" from a table, are read as lists if the first ten are such lists.
        Arrays and lists of equal length with nothing but 0 and 1 have a 0 or 1 for each label; a log message says both.
        """
        if self.separator is not None:
            return functools.partial(_separated, separator=self.separator)
        read, lists = _unchanged, [members(value) for value in first]
        given = [value for value in first[:FIRST_ROWS] if value is not None and str(value).strip()]
        written = [written_list(value) for value in given]
        if given and None not in written:
            read, lists = _written, written
            _say_once(f"{source}: labels such as {_short(written[0])} are read as lists of labels")
        elif given and all(isinstance(value, str) and _BRACKETS.fullmatch(value) for value in given):
            _say_once(
                f"{source}: labels such as {_short(given[0])} look like lists, but are neither JSON's nor Python's, so "
                "each is one label. Write them as JSON, or with a separator and name it with label_separator "
                "(--label-separator)"
            )
        names = self.names
        arrays = all(getattr(value, "ndim", None) == 1 for value in first)
        if names is None and _are_marks(lists, arrays):
            names = tuple(map(str, range(len(lists[0]))))
            _say_once(
                f"{source}: labels such as {_short(lists[0])} are read as a 0 or 1 for each of {len(names)} labels, "
                f"which are called 0 to {len(names) - 1}; name them with label_columns (--label-columns)"
            )
        if names is None:
            return read
        return lambda value, place: _marked(read(value, place), place, names)

    def advice_where_missing(self, labels: Iterable[object]) -> str:
        """What the user may do where labels are missing and these are other labels of the source; often nothing."""
        found = separator_in(Counter(label for label in labels if isinstance(label, str)))
        if found is None or self.separator is not None:
            return ""
        return (
            f". If {found[0]!r} stands between the labels of a text, which may have none, say label_separator "
            f"{found[0]!r} (--label-separator {found[0]!r})"
        )


def separator_in(counts: Mapping[str, int]) -> tuple[str, int] | None:
    """The usual separator that stands in most labels, and in how many examples it does; None if none stands in any.

    Args:
        counts: the number of examples with each label.

    Example:
        >>> separator_in({"a": 5, "a,b": 2, "b,c": 1, "b; c": 1})
        (',', 3)
    """
    found = Counter()
    for label, count in counts.items():
        found.update({separator: count for separator in _USUAL_SEPARATORS if separator in label})
    return max(found.items(), key=lambda item: item[1], default=None)


def members(value: object) -> list | None:
    """The members of a list, tuple, set or array of one dimension; None for another value."""
    if getattr(value, "ndim", None) == 1:
        return list(value)
    if isinstance(value, set | frozenset):  # in an order that is the same in every process
        return sorted(value, key=str)
    return list(value) if isinstance(value, list | tuple) else None


def written_list(value: object) -> list | None:
    """The list of texts and numbers that a text spells, in JSON or as Python prints it; None for another value.

    Example:
        >>> written_list("['a', 'b']"), written_list("[0, 1]"), written_list("[a]")
        (['a', 'b'], [0, 1], None)
    """
    if not isinstance(value, str) or not _BRACKETS.fullmatch(value):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found if all(isinstance(member, str | int | float) for member in found) else None
    return None


def _are_marks(lists: Sequence[list | None], arrays: bool) -> bool:
    """Whether lists must be a 0 or 1 for each label: they are arrays, or as names some would name a label twice."""
    sizes = {None if one is None else len(one) for one in lists}
    if len(sizes) != 1 or None in sizes or min(sizes) < 2:
        return False
    if not all(not isinstance(mark, str) and str(mark).lower() in _MARKS for one in lists for mark in one):
        return False
    return arrays or any(len(set(one)) < len(one) or one == [1, 0] for one in lists)


def _unchanged(value: object, place: str) -> object:
    return value


def _separated(value: object, place: str, separator: str) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(separator) if part.strip()]


def _written(value: object, place: str) -> object:
    found = written_list(value)
    if found is None and isinstance(value, str) and value.strip():
        raise InputError(f"{place}: expected a list of labels as in the examples before, got {_short(value)}")
    return value if found is None else found


def _marked(value: object, place: str, names: Sequence[str]) -> list[str]:
    """The names of the labels whose mark is 1."""
    marks = members(value)
    if marks is None or len(marks) != len(names):
        got = _short(value) if marks is None else f"{len(marks)} values"
        raise InputError(f"{place}: expected a 0 or 1 for each of {len(names)} labels, got {got}")
    chosen = []
    for name, mark in zip(names, marks, strict=True):
        is_one = _MARKS.get(str(mark).strip().lower())
        if is_one is None:
            raise InputError(f"{place}: expected 0 or 1 for the label {name!r}, got {_short(mark)}")
        if is_one:
            chosen.append(name)
    return chosen


def _short(value: object) -> str:
    several = members(value)
    if several is None:
        text = str(value) if len(str(value)) <= _LONGEST_SHOWN else f"{str(value)[: _LONGEST_SHOWN - 1]}…"
        return repr(text) if isinstance(value, str) else text
    shown = [repr(one) if type(one) is str else str(one) for one in several]  # repr of NumPy's is np.int64(1)
    lengths = accumulate(len(one) + 2 for one in shown)
    whole = max(1, sum(length <= _LONGEST_SHOWN for length in lengths))
    return f"[{', '.join(shown[:whole] + ['…'] * (whole < len(shown)))}]"


@functools.lru_cache(maxsize=1024)
def _say_once(message: str) -> None:
    """Logs a message once in a process, because every reading of a corpus finds the same again."""
    _log.warning("%s", message)
