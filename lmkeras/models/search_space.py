"""What a search tries for each setting: a range of numbers or a list of choices, checked against the setting's type."""

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from lmkeras.arguments.values import choices_of, from_json, members, shown_type, value_of
from lmkeras.errors import InputError

_RANGE = re.compile(r"(?P<low>[^,]+?)\.\.(?P<high>[^,]+?)(?::(?P<scale>\w+))?")
_SCALES = ("log", "linear")
_SIMPLE = (str, int, float, bool, type(None))  # what Optuna keeps as it is


@dataclasses.dataclass(frozen=True)
class Range:
    """All numbers from the lowest to the highest, both included: whole ones if both ends are whole.

    Attributes:
        low: the lowest.
        high: the highest.
        log: whether each factor between two numbers is equally likely, not each distance.

    Example:
        >>> print(Range(1e-4, 0.1, log=True))
        0.0001..0.1:log
    """

    low: float
    high: float
    log: bool = False

    def suggest(self, trial, name: str) -> float:
        """The number that Optuna suggests for a trial."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        suggest = trial.suggest_int if whole else trial.suggest_float
        return suggest(name, self.low, self.high, log=self.log)

    def examples(self) -> tuple:
        """Values by which a setting can tell whether it takes the others too: both ends."""
        return self.low, self.high

    def share_below(self, value: float) -> float:
        """How much of the range lies below a value, from 0 to 1.

        Example:
            >>> Range(1, 100, log=True).share_below(10), Range(0, 10).share_below(9)
            (0.5, 0.9)
        """
        low, high, value = map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return (value - low) / (high - low)

    def __str__(self) -> str:
        scale = ":log" if self.log else ":linear" * _spans_powers(self.low, self.high)
        return f"{self.low}..{self.high}{scale}"


@dataclasses.dataclass(frozen=True)
class Choices:
    """Values of which each may be tried.

    Attributes:
        values: the values, at least one.

    Example:
        >>> print(Choices(("cnn", "dense"))), print(Choices(((3, 4), (5,))))
        cnn,dense
        3 4,5
        (None, None)
    """

    values: tuple

    def suggest(self, trial, name: str) -> object:
        """The value that Optuna suggests for a trial."""
        if all(isinstance(value, _SIMPLE) for value in self.values):
            return trial.suggest_categorical(name, self.values)
        by_text = {text_of(value): value for value in self.values}
        return by_text[trial.suggest_categorical(name, list(by_text))]

    def examples(self) -> tuple:
        """All values."""
        return self.values

    def __str__(self) -> str:
        return ",".join(map(text_of, self.values))


def text_of(value: object) -> str:
    """A value as it is typed.

    Example:
        >>> text_of((3, 4)), text_of(None), text_of(0.5)
        ('3 4', 'none', '0.5')
    """
    if value is None:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def words_by_name(words: Iterable[str]) -> dict[str, str]:
    """What was typed as NAME=VALUES, by name, such as batch_size (or batch-size): "16,32".

    Raises:
        InputError: something else was typed, or a name twice.
    """
    found = {}
    for word in words:
        name, equals, values = word.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not equals or not name or not values.strip():
            raise InputError(f"search: expected NAME=VALUES, such as 'learning_rate=1e-4..1e-1', got {word!r}")
        if name in found:
            raise InputError(f"search: {name} is there twice")
        found[name] = values.strip()
    return found


def read_values(name: str, given: object, type_: object) -> Range | Choices:
    """The values to try for a setting.

    Args:
        name: the setting.
        given: as typed, "LOW..HIGH", "LOW..HIGH:log", "LOW..HIGH:linear" or choices with commas between them; or a
            tuple (low, high) or (low, high, "log"), or a list of choices.
        type_: the type of the setting.

    Raises:
        InputError: these are no values of the type, the range is empty, or a logarithm needs numbers above 0.

    Example:
        >>> read_values("units", "32..512", int | None), read_values("units", [32, 64], int | None)
        (Range(low=32, high=512, log=True), Choices(values=(32, 64)))
    """
    if isinstance(given, Range | Choices):
        return given
    if isinstance(given, str):
        found = _RANGE.fullmatch(given.strip())
        if found:
            ends = [value_of([found[end].strip()], _number_type(name, type_), name) for end in ("low", "high")]
            return _range(name, *ends, scale=found["scale"])
        return _choices(name, [_choice(name, word, type_) for word in given.split(",")])
    if isinstance(given, tuple):
        if len(given) not in (2, 3) or isinstance(given[0], str):
            raise InputError(f"search: {name}: expected (low, high), (low, high, 'log') or a list, got {given!r}")
        ends = [_of_python(name, value, _number_type(name, type_)) for value in given[:2]]
        return _range(name, *ends, scale=given[2] if len(given) == 3 else None)
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise InputError(f"search: {name}: expected a tuple (low, high) or a list of choices, got {given!r}")
    return _choices(name, [_of_python(name, value, type_) for value in given])


def _number_type(name: str, type_: object) -> type:
    numbers = [member for member in members(type_) if member is int or member is float]
    if not numbers:
        known = choices_of(type_) or ["true", "false"] * (bool in members(type_))
        such = f", such as {name}={','.join(known[:2])}" if known else ""
        raise InputError(f"search: {name} is no number, so it has no range: name choices{such}")
    return float if float in numbers else int


def _range(name: str, low: float, high: float, scale: str | None) -> Range:
    if scale not in (None, *_SCALES):
        raise InputError(f"search: {name}: expected {' or '.join(_SCALES)} as the scale, got {scale!r}")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"search: {name}: a range goes from a lower to a higher number, got {low}..{high}")
    if scale == "log" and low <= 0:
        raise InputError(f"search: {name}: a range with the scale log begins above 0, got {low}..{high}")
    log = scale == "log" or (scale is None and _spans_powers(low, high))
    return Range(low, high, log)


def _spans_powers(low: float, high: float) -> bool:
    """Whether a range is wider than ten times, so that its logarithm is searched unless the user says otherwise."""
    return low > 0 and high > 10 * low


def _choices(name: str, values: Sequence) -> Choices:
    values = tuple(values)
    if not values:
        raise InputError(f"search: {name} has no choices")
    if len({text_of(value) for value in values}) < len(values):
        raise InputError(f"search: {name}: the same choice is there twice")
    return Choices(values)


def _choice(name: str, text: str, type_: object) -> object:
    words = text.split()
    if words == ["none"] and type(None) in get_args(type_) and "none" not in choices_of(type_):
        return None
    return value_of(words or [""], type_, name)


def _of_python(name: str, value: object, type_: object) -> object:
    value = value.item() if hasattr(value, "item") else value  # a number of NumPy
    try:
        return from_json(list(value) if isinstance(value, tuple) else value, type_)
    except ValueError:
        expected = shown_type(type_, "TEXT")
        raise InputError(f"search: {name}: expected {expected}, got {value!r}") from None
