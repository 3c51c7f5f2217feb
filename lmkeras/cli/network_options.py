"""The options of `lmkeras train` for the sizes of networks, those of bodies that users have registered included."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

from lmkeras.arguments import Shown
from lmkeras.arguments.options import documented
from lmkeras.arguments.values import SEQUENCES, members
from lmkeras.networks.registry import names_that_come_with_lmkeras, parameters_of, registered_here
from lmkeras.networks.settings import FROM_ELSEWHERE, NETWORK_SETTINGS
from lmkeras.networks.size_types import type_read

#: an option takes the first of its types that can read what was typed, and as a string everything can be read
_ORDER = (bool, *SEQUENCES, int, float, Literal, str)
_HELP = "A size of the network; None: that of the network."


def network_settings(kind: str) -> type:
    """The settings of a kind of body, extended by the names and sizes of bodies that this process has registered.

    Where bodies have a size of the same name, its option takes what any of them takes; the body that the user chooses
    refuses what it does not know.

    Args:
        kind: "readers" or "writers".
    """
    settings, known = NETWORK_SETTINGS[kind], names_that_come_with_lmkeras(kind)
    new = registered_here(kind, known)
    if not new:
        return settings
    documented = {name: type_ for name, type_ in get_type_hints(settings).items() if name not in ("network", "weights")}
    read, help_ = {name: [type_] for name, type_ in documented.items()}, {}
    for body in new.values():
        for name, parameter in parameters_of(body).items():
            type_ = type_read(parameter)
            if type_ is not None and name not in FROM_ELSEWHERE:
                read.setdefault(name, []).append(type_)
                help_[name] = help_.get(name) or documented_size(body, name)
    names = Annotated[Literal[("auto", *known, *new)], Shown(help="The kind of network; auto: what suits the text.")]
    fields = [("network", names, settings.network)]
    for name, types_ in read.items():
        option = Union[(any_of(types_), None)]  # noqa: UP007 - of types that are only known now
        if name not in documented:
            option = Annotated[option, Shown(help=help_[name] or _HELP)]
        fields.append((name, option, None))
    return dataclasses.make_dataclass(settings.__name__, fields, bases=(settings,), frozen=True)


def any_of(types_: Iterable[object]) -> object:
    """The type of an option that takes what any of the types takes; it has the choices of all Literals.

    Example:
        >>> any_of([Literal["max", "mean"] | None, str, Literal["last"]])
        typing.Union[typing.Literal['max', 'mean', 'last'], str]
    """
    read = [member for type_ in types_ for member in members(type_)]
    choices = [choice for member in read if get_origin(member) is Literal for choice in get_args(member)]
    others = [member for member in read if get_origin(member) is not Literal]
    found = [*others, Literal[tuple(choices)]] if choices else others
    return Union[tuple(sorted(found, key=lambda member: _ORDER.index(get_origin(member) or member)))]  # noqa: UP007


def documented_size(body: Callable, size: str) -> str | None:
    """What the section Args of a body's docstring says of a size; None if it says nothing."""
    source = getattr(body, "func", body)
    texts = (documented(inspect.getdoc(one), size) for one in (source, getattr(source, "__init__", None)))
    return next(filter(None, texts), None)
