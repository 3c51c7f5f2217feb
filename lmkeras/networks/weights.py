"""The weights of a network by name, and the shapes that they would have, before any memory is taken for them."""

from collections.abc import Iterator, Mapping

import keras
import tensorflow as tf

from lmkeras.networks.network import Network
from lmkeras.training.keras_contract import own_attributes, own_weights


def named_weights(network: Network) -> dict[str, keras.Variable]:
    """The weights of a network by the attributes that lead to them, such as "body.blocks.0.norm.scale".

    A weight that two layers share has the name of the first. The names do not depend on how many networks were made
    before, as the paths of Keras' variables do.

    Raises:
        ValueError: a layer is no attribute of another one, and in no list or dictionary that is one; or two weights of
            a layer have the same name.
    """
    named: dict[str, keras.Variable] = {}
    for role in ("body", "head"):
        _collect(getattr(network, role), f"{role}.", named)
    if len(named) != len(network.weights):
        raise ValueError("every layer must be an attribute of a layer, with names of its own for its weights")
    return named


def _collect(layer: keras.layers.Layer, prefix: str, named: dict[str, keras.Variable]) -> None:
    parts = list(_parts(layer))
    inner = [(name, part) for name, part in parts if isinstance(part, keras.layers.Layer)]
    known = {id(weight) for weight in named.values()} | {id(weight) for _, part in inner for weight in part.weights}
    # a weight's own name comes second, since Keras counts all weights of the process to name those without one
    names = {id(part): name for name, part in reversed(parts)}
    for weight in own_weights(layer):
        if id(weight) not in known:
            named[f"{prefix}{names.get(id(weight), weight.name)}"] = weight
    for name, part in inner:
        _collect(part, f"{prefix}{name}.", named)


def _parts(layer: keras.layers.Layer) -> Iterator[tuple[str, keras.layers.Layer | keras.Variable]]:
    """The layers and the variables that are attributes of a layer, each with its name."""
    if isinstance(layer, keras.Sequential):
        yield from _parts_in(layer.layers, "layers")
    for name, value in own_attributes(layer):
        yield from _parts_in(value, name.lstrip("_"))


def _parts_in(value: object, name: str) -> Iterator[tuple[str, keras.layers.Layer | keras.Variable]]:
    if isinstance(value, keras.layers.Layer | keras.Variable):
        yield name, value
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _parts_in(inner, f"{name}.{index}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _parts_in(inner, f"{name}.{key}")


def shapes_of(config: Mapping) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights that `Network.from_config` would make, by name; no memory is taken for the weights.

    Args:
        config: what `Network.get_config` returned.
    """
    with tf.Graph().as_default():  # in a graph, variables have no memory yet
        return {name: tuple(weight.shape) for name, weight in named_weights(Network.from_config(config)).items()}
