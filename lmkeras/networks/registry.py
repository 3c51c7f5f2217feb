"""Bodies by name: each family registers its bodies, and `new_body` finds them."""

import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lmkeras.errors import InputError, unknown_name

#: the modules whose import registers the bodies that come with lmkeras
_MODULES = ("dense", "convolutional", "recurrent", "bidirectional", "transformer", "bert")
_bodies: dict[str, dict[str, "Family"]] = {"readers": {}, "writers": {}}


class Family(NamedTuple):
    """What is registered under a body's name.

    Attributes:
        new: makes the body from sizes; a class or a function.
        tokenizer: the name of the tokenizer that suits the body; None for the task's own choice.
        pretrained: makes the body from a folder or hub name of pretrained weights; None if there are no such weights.
        pretrained_tokenizer: reads the tokenizer that belongs to such weights.
    """

    new: Callable
    tokenizer: str | None = None
    pretrained: Callable | None = None
    pretrained_tokenizer: Callable | None = None


def register_body(name: str, kind: str, **others) -> Callable[[Callable], Callable]:
    """Decorates a body's class, or a function that makes a body from sizes, so that `new_body` finds it.

    Args:
        name: the name by which users choose the body.
        kind: "readers", of whole texts, or "writers", which language models need.
        others: further attributes of its Family.
    """

    def remember(body: Callable) -> Callable:
        _bodies[kind][name] = Family(body, **others)
        return body

    return remember


def new_body(name: str, kind: str, **sizes):
    """The unbuilt body of that name, with fresh weights.

    Args:
        name: such as "lstm" or "transformer".
        kind: "readers" or "writers".
        sizes: the body's arguments, such as vocabulary_size.

    Raises:
        InputError: no body of that kind has that name, or it takes no such argument.
    """
    check(name, sizes, kind)
    return family(name, kind).new(**sizes)


def check(name: str, sizes: Iterable[str], kind: str) -> None:
    """Raises InputError if no body has that name, or if the body has no size with one of these names."""
    taken = sizes_of(name, kind)
    for size in sizes:
        if size not in taken:
            raise InputError(f"the network {name!r} takes no {size}; it takes {', '.join(taken)}")


def sizes_of(name: str, kind: str) -> list[str]:
    """The names of the sizes that a body takes; InputError if no body has that name."""
    body = family(name, kind).new
    settled = getattr(body, "keywords", {})  # sizes that the name already fixes, such as the cell of "gru"
    parameters = inspect.signature(body).parameters.values()
    return [p.name for p in parameters if p.name not in settled and p.kind is not inspect.Parameter.VAR_KEYWORD]


def registered_here(kind: str, known: Iterable[str]) -> dict[str, Callable]:
    """The constructors, by name, of bodies that this process has registered and that are not known; imports nothing."""
    return {name: family.new for name, family in _bodies[kind].items() if name not in known}


def pretrained_names(kind: str) -> list[str]:
    """The names of the bodies that can begin from pretrained weights."""
    import_families()
    return [name for name, family in _bodies[kind].items() if family.pretrained is not None]


def import_families() -> None:
    """Imports every family, so that its bodies are found by name and Keras knows their classes."""
    for module in _MODULES:
        importlib.import_module(f"lmkeras.networks.bodies.{module}")


def family(name: str, kind: str) -> Family:
    """What is registered under a body's name; InputError if nothing is."""
    import_families()
    if name not in _bodies[kind]:
        raise unknown_name("network", name, sorted(_bodies[kind]))
    return _bodies[kind][name]
