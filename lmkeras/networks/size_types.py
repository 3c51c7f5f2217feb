"""Of which type a size of a network is, in words that the user types and in Python alike."""

import inspect
from typing import Any, Literal, get_args, get_origin

from lmkeras.arguments.values import SEQUENCES, members


def type_read(parameter: inspect.Parameter) -> object | None:
    """The type as which the command line reads a size: its annotation, or the type of its default if it has none.

    Returns:
        None for a size of a type that cannot be typed, such as a function; it is for Python alone.

    Example:
        >>> type_read(inspect.Parameter("widths", inspect.Parameter.KEYWORD_ONLY, default=(3, 4)))
        tuple[int, ...]
    """
    type_, default = parameter.annotation, parameter.default
    if isinstance(type_, str) or any(type_ is vague for vague in (parameter.empty, Any, *SEQUENCES)):
        type_ = type(default)
        elements = {type(element) for element in default} if type_ in (tuple, list) else set()
        if len(elements) == 1:
            type_ = tuple[(*elements, ...)]
    return type_ if _is_read(type_) else None


def _is_read(type_: object) -> bool:
    read = members(type_)
    return bool(read) and all(_is_scalar(member) or _is_sequence(member) for member in read)


def _is_scalar(type_: object) -> bool:
    if get_origin(type_) is Literal:
        return all(isinstance(choice, bool | int | str) for choice in get_args(type_))
    return any(type_ is scalar for scalar in (bool, int, float, str))


def _is_sequence(type_: object) -> bool:
    elements = [element for element in get_args(type_) if element is not ...]
    return get_origin(type_) in SEQUENCES and bool(elements) and all(map(_is_scalar, elements))
