"""Which settings can be searched for a task, and what is searched if the user names nothing."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Literal, get_type_hints

from lmkeras.errors import InputError, did_you_mean
from lmkeras.models.search_space import Choices, Range, read_values
from lmkeras.networks import registry
from lmkeras.networks.settings import FROM_ELSEWHERE, NETWORK_SETTINGS
from lmkeras.networks.size_types import type_read
from lmkeras.tasks.base import Task
from lmkeras.training.settings import TrainingSettings, changed

#: settings that say how trials are compared, where they run, or what is written
_NOT_SEARCHED = (
    *("monitor", "seed", "device", "distribute", "tensorboard", "checkpoint_every", "keep_checkpoints"),
    *("weights", "validation_fraction", "encoding"),
)
#: whole numbers that say how large a network is; by default half, once and twice the network's own number is tried
_MAIN_SIZES = ("embedding_dim", "units", "filters", "d_model", "num_layers")
_TIMES = 10.0  # the range of learning rates goes from the network's own divided by this to it times this

Space = Mapping[str, Range | Choices]


def types_of_settings(task: Task) -> dict[str, object]:
    """The types of all settings that can be searched for a task, by name: those of `lmkeras train` and of its networks.

    Bodies that users have registered have the sizes that their constructors take.
    """
    documented = {"network": str, **get_type_hints(NETWORK_SETTINGS[task.bodies])}
    known: dict[str, object] = {name: type_ for name, type_ in documented.items() if name not in ("network", "weights")}
    for network in registry.names(task.bodies):
        for name, parameter in registry.parameters_of(registry.family(network, task.bodies).new).items():
            type_ = type_read(parameter)
            if name not in FROM_ELSEWHERE and type_ is not None:
                known.setdefault(name, type_)
    known |= {"network": str, "tokenizer": Literal[("auto", *task.tokenizers)], "vocabulary_size": int | None}
    known |= get_type_hints(task.Options) | get_type_hints(task.Settings)
    return {name: type_ for name, type_ in known.items() if name not in _NOT_SEARCHED}


def sizes_of(network: str, task: Task) -> list[str] | None:
    """The names of the sizes that a network takes; None for a name behind which there may be several networks."""
    try:
        return registry.sizes_of(network, task.bodies)
    except InputError:
        return None


def takes(network: str, size: str, task: Task) -> bool:
    """Whether a network has a size, or may have it."""
    own = sizes_of(network, task)
    return own is None or size in own


def networks_of(space: Space, network: str) -> tuple[str, ...]:
    """The networks that are searched; the given one, if they are not."""
    return tuple(space["network"].values) if "network" in space else (network,)


def is_size(name: str, task: Task) -> bool:
    """Whether a searched setting is a size of a network."""
    fields = {field.name for type_ in (task.Settings, task.Options) for field in dataclasses.fields(type_)}
    return name not in fields and name not in ("network", "tokenizer", "vocabulary_size")


def read_space(search: Mapping[str, object], task: Task, fixed: Collection[str]) -> dict[str, Range | Choices]:
    """The values to search, by setting.

    Args:
        search: for each setting its values, see `read_values`.
        task: the task.
        fixed: the names of settings that the user has given a value.

    Raises:
        InputError: there is no such setting, it cannot be searched, it has a value already, or values do not suit it.
    """
    known = types_of_settings(task)
    for name in search:
        if name in _NOT_SEARCHED:
            raise InputError(
                f"search: {name} cannot be searched: it is the same in all trials, so that they can be compared"
            )
        if name not in known:
            raise InputError(f"search: there is no setting {name!r}{did_you_mean(name, known) or ' to search'}")
        if name in fixed:
            raise InputError(f"{name} has a value and is searched as well: say one of them", arguments=(name,))
    space = {name: read_values(name, values, known[name]) for name, values in search.items()}
    if task.bodies == "writers":
        for name in space.keys() & {"tokenizer", "vocabulary_size"}:
            raise InputError(
                f"search: {name} decides what a token is, and the loss of {task.title} is that of a token: models with "
                "other tokens cannot be compared by it"
            )
    return space


def check_space(space: Space, network: str, task: Task, settings: TrainingSettings) -> None:
    """Raises InputError if no network has a searched size, or if the settings or the task refuse a value by itself.

    Args:
        space: what is searched.
        network: the network, where it is not searched.
        task: the task, with the options that its user chose.
        settings: how training will be done, where that is not searched.
    """
    networks = networks_of(space, network)
    for name in networks:
        if sizes_of(name, task) is None and name != network:
            registry.family(name, task.bodies)  # raises InputError for an unknown one
    fields = [field.name for field in dataclasses.fields(settings)]
    options = [field.name for field in dataclasses.fields(task.Options)]
    for name, values in space.items():
        if is_size(name, task) and not any(takes(one, name, task) for one in networks):
            registry.check(networks[0], [name], task.bodies)  # raises InputError, which says what it has
        for value in values.examples():
            if name in fields:
                changed(settings, {name: value})
            elif name in options:
                dataclasses.replace(task, **{name: value})
    together = {name: values.examples()[0] for name, values in space.items() if name in fields}
    changed(settings, together)  # such as epochs and steps, of which only one can be given


def default_space(
    network: str,
    task: Task,
    settings: TrainingSettings,
    *,
    fixed: Collection[str],
    learning_rate: float,
    own_sizes: Mapping[str, object],
    pretrained: bool,
) -> dict[str, Range | Choices]:
    """What is searched if the user names nothing: learning rate, batch size, weight decay, dropout and main sizes.

    Args:
        network: the name of the network.
        task: the task.
        settings: how training will be done.
        fixed: the names of settings that the user has given a value, which are left out.
        learning_rate: the one that the network is trained with if none is given.
        own_sizes: the sizes that it has if none are given, by name.
        pretrained: whether the network begins from pretrained weights, which bring their sizes.
    """
    low, high = (float(f"{learning_rate * times:.2g}") for times in (1 / _TIMES, _TIMES))
    space: dict[str, Range | Choices] = {
        "learning_rate": Range(low, high, log=True),
        "batch_size": Choices((16, 32, 64, 128)),
    }
    if settings.optimizer != "adam":  # which has no weight decay
        space["weight_decay"] = Range(0.001, 0.3, log=True)
    sizes = sizes_of(network, task) or ()
    if "dropout" in sizes:
        space["dropout"] = Range(0.0, 0.6)
    for name in () if pretrained else _MAIN_SIZES:
        own = own_sizes.get(name) if name in sizes else None
        if type(own) is int:  # it may be None, for a layer that is left out
            space[name] = Choices(tuple(sorted({max(1, own // 2), own, 2 * own})))
    return {name: values for name, values in space.items() if name not in fixed}
