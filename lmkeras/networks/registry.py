"""Networks by name, for each task: each family registers its builders, and `build` finds them."""

import importlib
import inspect
from collections.abc import Callable, Iterable

from lmkeras.errors import InputError, unknown_name

_MODULES = ("dense", "convolutional", "recurrent", "transformer", "bert")  # importing one registers its builders
_builders: dict[str, dict[str, Callable]] = {"language": {}, "classification": {}}


def register(name: str, task: str = "language") -> Callable[[Callable], Callable]:
    """Decorates a function that builds a network from sizes, so that `build(name, task, …)` finds it."""

    def remember(builder: Callable) -> Callable:
        _builders[task][name] = builder
        return builder

    return remember


def build(name: str, task: str = "language", **sizes):
    """Builds the network of that name.

    Args:
        name: such as "lstm" or "transformer".
        task: "language" or "classification".
        sizes: the builder's arguments, such as vocabulary_size.

    Returns:
        A built keras.Model, int32 ids → float32 logits.

    Raises:
        InputError: no network has that name, or it takes no such argument.
    """
    check(name, sizes, task)
    return _builder(name, task)(**sizes)


def check(name: str, sizes: Iterable[str], task: str = "language") -> None:
    """InputError where no network has that name, or where it has no size of one of these names."""
    taken = sizes_of(name, task)
    for size in sizes:
        if size not in taken:
            raise InputError(f"the network {name!r} takes no {size}; it takes {', '.join(taken)}")


def sizes_of(name: str, task: str = "language") -> list[str]:
    """The names of the sizes that a network takes; InputError where no network has that name."""
    builder = _builder(name, task)
    settled = getattr(builder, "keywords", {})  # what the name itself stands for
    return [parameter for parameter in inspect.signature(builder).parameters if parameter not in settled]


def import_families() -> None:
    """Imports every family, so that its builders are found by name and Keras can read its networks."""
    for module in _MODULES:
        importlib.import_module(f"lmkeras.networks.{module}")


def _builder(name: str, task: str = "language") -> Callable:
    import_families()
    if name not in _builders[task]:
        raise unknown_name("network", name, sorted(_builders[task]))
    return _builders[task][name]
