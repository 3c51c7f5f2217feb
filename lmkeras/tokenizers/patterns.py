r"""Regular expressions that cut texts into pieces, as parts that arithmetic can match.

Published tokenizers cut texts with expressions like " ?\p{L}+|\s+(?!\S)|\s+": alternatives of sets of characters that
are repeated, looked ahead to, or grouped. RE2, the engine inside TensorFlow, has no look-ahead.
"""

import re
from typing import NamedTuple

from lmkeras.errors import InputError

_LONGEST = 2000  # characters of an expression
_MOST_REPEATS = 1000
_SET = r"\[\^?(?:\\[pP]\{\^?\w+\}|\\[^\w]|\\[sSdDwWrntfv]|[^\[\]\\&])+\]|\\[pP]\{\^?\w+\}|\\[sSdDwW]|\."
_ONE = r"\\[rntfv]|\\[^\w]|[^\\\[\](){}?*+|^$.]"
_TOKENS = re.compile(
    rf"(?P<set>{_SET})|(?P<one>{_ONE})|(?P<open>\(\?i:|\(\?:|\((?!\?))|(?P<ahead>\(\?[!=](?:{_SET}|{_ONE})\))"
    r"|(?P<close>\))|(?P<or>\|)"
)
_QUANTIFIER = re.compile(r"(?:([?*+])|\{(\d+)(,?)(\d*)\})(?![?+*{])")


#: what single characters such as "ß" and "ﬁ" also match where case is ignored
_ALSO_ONE_CHARACTER = ("ss", "st", "ff", "fi", "fl")


class Repeated(NamedTuple):
    """`least` to `most` characters of a set, as many as possible.

    Attributes:
        characters: the set, as a regular expression that matches one of them.
        least: 0 or more.
        most: None for any number.
    """

    characters: str
    least: int = 1
    most: int | None = 1


class Ahead(NamedTuple):
    """Whether the next character is of a set (`wanted`), or is none of it or not there."""

    characters: str
    wanted: bool


class Choice(NamedTuple):
    """The first alternative that matches; where it is `optional`, nothing where none does."""

    alternatives: tuple[tuple, ...]
    optional: bool = False


def parsed(expression: str) -> Choice:
    """The parts of a regular expression.

    Raises:
        InputError: it has something that is none of these parts, or matches where nothing is.

    Example:
        >>> parsed("ab|c+").alternatives == ((Repeated("a"), Repeated("b")), (Repeated("c", 1, None),))
        True
    """
    refusal = InputError(f"the expression {expression[:_LONGEST]!r} has no twin in TensorFlow")
    if len(expression) > _LONGEST:
        raise refusal
    try:
        choice, end = _alternatives(expression, 0, ignores_case=False)
    except (ValueError, RecursionError):
        raise refusal from None
    if end != len(expression) or _shortest(choice) == 0:
        raise refusal
    return choice


def literal(text: str) -> Choice:
    """The pattern that matches a text."""
    return Choice((tuple(Repeated(re.escape(character)) for character in text),))


def sets_of(choice: Choice) -> set[str]:
    """The sets of characters in a pattern."""
    found = set()
    for part in (part for parts in choice.alternatives for part in parts):
        found |= sets_of(part) if isinstance(part, Choice) else {part.characters}
    return found


def _alternatives(text: str, at: int, ignores_case: bool) -> tuple[Choice, int]:
    """The alternatives from `at` up to the end of the text or to what closes their group, and that place."""
    alternatives, parts = [], []
    while at < len(text):
        found = _TOKENS.match(text, at)
        if not found:
            raise ValueError
        kind, token = found.lastgroup, found.group()
        if kind == "close":
            break
        at = found.end()
        if kind == "or":
            alternatives.append(tuple(parts))
            parts = []
        elif kind == "ahead":
            parts.append(Ahead(_characters(token[3:-1], ignores_case), token[2] == "="))
        elif kind == "open":
            group, at = _group(text, at, ignores_case or token == "(?i:")
            parts.append(group)
        else:
            least, most, at = _quantified(text, at)
            parts.append(Repeated(_characters(token, ignores_case), least, most))
    return Choice((*alternatives, tuple(parts))), at


def _group(text: str, at: int, ignores_case: bool) -> tuple[Choice, int]:
    choice, end = _alternatives(text, at, ignores_case)
    inside = text[at:end].lower()
    if ignores_case and (not inside.isascii() or any(pair in inside for pair in _ALSO_ONE_CHARACTER)):
        raise ValueError
    at = end
    if text[at : at + 1] != ")":
        raise ValueError
    least, most, at = _quantified(text, at + 1)
    if most != 1:
        raise ValueError
    return choice._replace(optional=least == 0), at


def _characters(token: str, ignores_case: bool) -> str:
    return f"(?i:{token})" if ignores_case else token


def _quantified(text: str, at: int) -> tuple[int, int | None, int]:
    """How often the part before `at` is repeated, and where its quantifier ends."""
    found = _QUANTIFIER.match(text, at)
    if not found:
        if text[at : at + 1] in ("?", "*", "+", "{"):
            raise ValueError
        return 1, 1, at
    sign, least, comma, most = found.groups()
    if sign:
        return *{"?": (0, 1), "*": (0, None), "+": (1, None)}[sign], found.end()
    most = int(most) if most else None if comma else int(least)
    if int(least) > _MOST_REPEATS or (most is not None and not int(least) <= most <= _MOST_REPEATS) or most == 0:
        raise ValueError
    return int(least), most, found.end()


def _shortest(part: object) -> int:
    if isinstance(part, Choice):
        return 0 if part.optional else min(sum(map(_shortest, parts)) for parts in part.alternatives)
    return part.least if isinstance(part, Repeated) else 0
