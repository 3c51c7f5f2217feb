"""Bodies by name: each family registers its bodies, and `new_body` finds them."""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import NamedTuple, get_args, get_type_hints

from lmkeras.errors import InputError, unknown_name
from lmkeras.networks.settings import FROM_ELSEWHERE, NETWORK_SETTINGS, TRAIN_OPTIONS
from lmkeras.training.settings import ClassifierFitSettings, FitSettings

#: the modules whose import registers the bodies that come with lmkeras
_MODULES = (
    *("ngrams", "dense", "convolutional", "recurrent", "bidirectional", "transformer", "bert", "words", "decoder"),
    "encoder_decoder",
)
_HEADS = ("classes", "labels", "language", "spans", "masked", "tags")
_bodies: dict[str, dict[str, "Family"]] = {kind: {} for kind in NETWORK_SETTINGS}
#: for each kind of body the options of the tasks that use it, by the task's name
_options: dict[str, dict[str, frozenset[str]]] = {kind: {} for kind in _bodies}
#: what no size may be called: other options of `lmkeras train`, and arguments of functions that take sizes as well
_TAKEN = {*TRAIN_OPTIONS, "task", "sizes"}.difference(FROM_ELSEWHERE).union(
    field.name for settings in (FitSettings, ClassifierFitSettings) for field in dataclasses.fields(settings)
)


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
        kind: "readers", of whole texts, "writers", which language models need, "taggers", which read words, or
            "encoder_decoders", which read a source and write a target.
        others: further attributes of its Family.

    Raises:
        ValueError: there is no such kind; another body of this kind has the name; or one of the body's sizes has the
            name of something else, such as another option of `lmkeras train`.
    """
    _require_kind(name, kind)

    def remember(body: Callable) -> Callable:
        _require_own_name(name, kind, body)
        _require_own_sizes(name, kind, body)
        _bodies[kind][name] = Family(body, **others)
        return body

    return remember


def _require_kind(name: str, kind: str) -> None:
    if kind not in _bodies:
        raise ValueError(f"{name}: unknown kind of bodies {kind!r}, expected {' or '.join(_bodies)}")


def _require_own_name(name: str, kind: str, body: Callable) -> None:
    """Raises ValueError if another body has the name, be it one that comes with lmkeras and is not imported yet."""
    comes_with = name in names_that_come_with_lmkeras(kind)
    own = getattr(_source_of(body), "__module__", None) or ""
    if name == "auto":
        raise ValueError("auto is the name for what suits the text: give the body another name")
    other = _bodies[kind].get(name)
    same = other is not None and _qualified_name(other.new) == _qualified_name(body)  # as when its module runs again
    if (comes_with and not own.startswith("lmkeras.networks.bodies.")) or not (other is None or same):
        raise ValueError(f"another of the {kind} has the name {name!r}: give {_qualified_name(body)} another name")


def _require_own_sizes(name: str, kind: str, body: Callable) -> None:
    for size in parameters_of(body):
        if size in _TAKEN:
            raise ValueError(f"the network {name!r}: name the size {size} otherwise, this name has another meaning")
        for task, options in _options[kind].items():
            if size in options:
                raise ValueError(f"the network {name!r}: name the size {size} otherwise, it is an option of {task}")


def keep_from_sizes(task: str, kind: str, options: Iterable[str]) -> None:
    """Keeps the names of a task's options from being names of sizes too, now and later.

    Args:
        task: the task's name.
        kind: the kind of bodies that the task uses.
        options: the names.

    Raises:
        ValueError: there is no such kind, or a body of this kind has a size of such a name.
    """
    _require_kind(task, kind)
    options = frozenset(options).difference(FROM_ELSEWHERE)
    documented = {field.name for field in dataclasses.fields(NETWORK_SETTINGS[kind])}
    sizes = documented.union(*(parameters_of(family.new) for family in _bodies[kind].values()))
    if both := sorted(options & sizes):
        raise ValueError(f"{task}: name the option {both[0]} otherwise, it is a size of a network")
    for others in _options.values():
        others.pop(task, None)  # what it had when its module was run before
    _options[kind][task] = options


def _source_of(body: Callable) -> Callable:
    """The class or function itself, where some of its sizes are settled by functools.partial."""
    return getattr(body, "func", body)


def _qualified_name(body: Callable) -> str:
    source = _source_of(body)
    return getattr(source, "__qualname__", repr(source))


def new_body(name: str, kind: str, /, **sizes):
    """The unbuilt body of that name, with fresh weights.

    Args:
        name: such as "lstm" or "transformer".
        kind: "readers", "writers", "taggers" or "encoder_decoders".
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
            own = [one for one in taken if one not in FROM_ELSEWHERE]
            others = [other for other in names(kind) if size in sizes_of(other, kind)]
            if not others:
                raise unknown_name(f"size of {name}", size, own)
            has = f"{name} has {', '.join(own) or 'no sizes'}"
            raise InputError(f"{size} is a size of {', '.join(others)}; {has}", arguments=(size, *own))


def sizes_of(name: str, kind: str) -> list[str]:
    """The names of the sizes that a body takes; InputError if no body has that name."""
    return list(parameters_of(family(name, kind).new))


def parameters_of(body: Callable) -> dict[str, inspect.Parameter]:
    """The sizes by name that a body's class or function takes.

    An annotation is a string if it cannot be evaluated, such as one that is imported for type checkers alone.
    """
    try:
        signature = inspect.signature(body, eval_str=True)
    except Exception:  # whatever evaluating an annotation raises
        signature = inspect.signature(body)
    settled = getattr(body, "keywords", {})  # sizes that the name already fixes, such as the cell of "gru"
    by_name = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return {name: p for name, p in signature.parameters.items() if name not in settled and p.kind in by_name}


def names_that_come_with_lmkeras(kind: str) -> tuple[str, ...]:
    """The names of the bodies of a kind that come with lmkeras; imports nothing."""
    return tuple(name for name in get_args(get_type_hints(NETWORK_SETTINGS[kind])["network"]) if name != "auto")


def registered_here(kind: str, known: Iterable[str]) -> dict[str, Callable]:
    """The constructors, by name, of bodies that this process has registered and that are not known; imports nothing."""
    return {name: family.new for name, family in _bodies[kind].items() if name not in known}


def names(kind: str) -> list[str]:
    """The names of all bodies of a kind."""
    import_families()
    return list(_bodies[kind])


def pretrained_names(kind: str) -> list[str]:
    """The names of the bodies that can begin from pretrained weights."""
    import_families()
    return [name for name, family in _bodies[kind].items() if family.pretrained is not None]


def import_families() -> None:
    """Imports every family, so that its bodies are found by name and Keras knows their classes, and every head."""
    for module in (*(f"bodies.{module}" for module in _MODULES), *(f"heads.{module}" for module in _HEADS)):
        importlib.import_module(f"lmkeras.networks.{module}")


def family(name: str, kind: str) -> Family:
    """What is registered under a body's name; InputError if nothing is."""
    import_families()
    if name not in _bodies[kind]:
        raise unknown_name("network", name, sorted(_bodies[kind]))
    return _bodies[kind][name]
