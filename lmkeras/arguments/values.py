"""Words of a command line as values of a type, and types in words for the help."""

import collections.abc
import types
from collections.abc import Sequence
from typing import Annotated, Literal, Union, get_args, get_origin

from lmkeras.errors import InputError, unknown_name

SEQUENCES = (tuple, list, collections.abc.Sequence)
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
#: what the help calls a value of a type, and what an error says was expected
_CALLED = {int: ("N", "a whole number"), float: ("NUMBER", "a number"), bool: ("yes|no", "yes or no")}


def members(type_: object) -> list:
    """The types of which a Union is made, without None; a type that is no Union alone."""
    if get_origin(type_) is Annotated:
        return members(get_args(type_)[0])
    if get_origin(type_) in (Union, types.UnionType):
        return [member for part in get_args(type_) for member in members(part)]
    return [] if type_ is type(None) else [type_]


def is_flag(type_: object) -> bool:
    """Whether an option of a type is said without a value: --resume, --no-resume."""
    return members(type_) == [bool]


def choices_of(type_: object) -> list[str]:
    """What may be typed for a type, where this is a list of names; empty for all other types."""
    return [str(one) for member in members(type_) if get_origin(member) is Literal for one in get_args(member)]


def num_words(type_: object) -> int | None:
    """How many words a value of a type has; None where that differs from value to value."""
    counts = {_num_words_of(member) for member in members(type_)}
    return counts.pop() if len(counts) == 1 else None


def _num_words_of(member: object) -> int | None:
    if get_origin(member) is dict or (get_origin(member) in SEQUENCES and not _is_record(member)):
        return None
    return len(get_args(member)) if _is_record(member) else 1


def _is_record(member: object) -> bool:
    """Whether a type is a tuple of a fixed length, such as tuple[int, str]."""
    return get_origin(member) is tuple and ... not in get_args(member)


def value_of(words: Sequence[str], type_: object, name: str) -> object:
    """The value that words stand for: the first of the type's members that can read them.

    Args:
        words: what was typed for one option.
        type_: the option's type: bool, int, float, str, a Literal, a sequence or dict of these, or a Union.
        name: the option, for the message.

    Raises:
        InputError: the words are no value of the type.

    Example:
        >>> value_of(["3", "4"], tuple[int, ...] | None, "--widths")
        (3, 4)
    """
    for member in members(type_):
        try:
            return _read(words, member)
        except ValueError:
            continue
    choices, given = choices_of(type_), " ".join(words)
    if choices and all(get_origin(member) is Literal for member in members(type_)):
        raise unknown_name(name, given, choices)
    expected = " or ".join(dict.fromkeys(_expected(member) for member in members(type_)))
    raise InputError(f"{name}: expected {expected}, got {given!r}")


def _read(words: Sequence[str], member: object) -> object:
    inner = [part for part in get_args(member) if part is not ...]
    if _is_record(member):
        return tuple(_read([word], part) for word, part in zip(words, inner, strict=True))
    if get_origin(member) in SEQUENCES:
        read = [_read([word], inner[0]) for word in words]
        return tuple(read) if get_origin(member) is tuple else read
    if get_origin(member) is dict:
        pairs = zip(words[::2], words[1::2], strict=True)
        return {_read([key], inner[0]): _read([value], inner[1]) for key, value in pairs}
    (word,) = words
    if get_origin(member) is Literal:
        choice, *_ = [choice for choice in inner if str(choice) == word]  # ValueError if there is none
        return choice
    if member is bool:
        (truth,) = [truth for said, truth in _TRUTH.items() if said == word.lower()]
        return truth
    return member(word)


def _expected(member: object) -> str:
    inner = [part for part in get_args(member) if part is not ...]
    if get_origin(member) is Literal:
        return "one of " + ", ".join(map(str, inner))
    if _is_record(member):
        return " and ".join(map(_expected, inner))
    if get_origin(member) in SEQUENCES:
        return _expected(inner[0]) + " or several"
    if get_origin(member) is dict:
        return "pairs of a name and " + _expected(inner[1])
    return _CALLED.get(member, ("", "a text"))[1]


def shown_type(type_: object, name: str) -> str:
    """What the help shows for a value of a type.

    Args:
        type_: as for `value_of`.
        name: what a text is called, in capitals.

    Example:
        >>> shown_type(Literal["none", "balanced"] | dict[str, float], "CLASS")
        '{none,balanced}|CLASS NUMBER ...'
    """
    return "|".join(_shown(member, name) for member in members(type_))


def _shown(member: object, name: str) -> str:
    inner = [part for part in get_args(member) if part is not ...]
    if get_origin(member) is Literal:
        return "{" + ",".join(map(str, inner)) + "}"
    if _is_record(member) or get_origin(member) is dict:
        shown = " ".join(_shown(part, name) for part in inner)
        return shown if _is_record(member) else f"{shown} ..."
    if get_origin(member) in SEQUENCES:
        return _shown(inner[0], name) + " ..."
    return _CALLED.get(member, (name, ""))[0]


def from_json(value: object, type_: object) -> object:
    """A value that was written as JSON as a value of a type, such as a list as a tuple.

    Raises:
        ValueError: it is no value of the type.
    """
    if value is None and type(None) in get_args(type_):
        return None
    for member in members(type_):
        if _fits(value, member):
            return tuple(value) if get_origin(member) is tuple else member(value) if member is float else value
    raise ValueError


def _fits(value: object, member: object) -> bool:
    inner = [part for part in get_args(member) if part is not ...]
    if get_origin(member) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in inner)
    if get_origin(member) is dict:
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    if get_origin(member) in SEQUENCES:
        each = inner if _is_record(member) else inner[:1] * len(value) if isinstance(value, list) else []
        return isinstance(value, list) and len(value) == len(each) and all(map(_fits, value, each))
    if member is float:
        return type(value) in (int, float)
    return type(value) is member
