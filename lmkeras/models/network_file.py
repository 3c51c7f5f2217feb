"""Reads network.keras without Keras' deserialization, so that the file cannot name a class or a function to be called.

It is first checked that the file holds arrays of all the shapes that a network with the sizes in config.json has. Only
then the network is built, and Keras fills it with these arrays.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import h5py
import keras
import tensorflow as tf

from lmkeras.archives import MEGABYTE, CheckedZip, checked_arrays, parse_json, shortened
from lmkeras.errors import InputError
from lmkeras.models.version_0_1 import load_weights, network_config
from lmkeras.networks.network import Network

_WEIGHTS = "model.weights.h5"
_MEMBERS = {"metadata.json": MEGABYTE, "config.json": MEGABYTE, _WEIGHTS: None}
_DTYPES = ("float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")
#: the most numbers in a table of positions, which is not among the weights: 16,384 tokens at a width of 1024
_LARGEST_TABLE = 2**24
_LONGEST_NAME = 200


def read_network(path: str | Path, said: Mapping[str, object]) -> Network:
    """The network of a file that a model's `save` wrote.

    Args:
        path: path of the file.
        said: the description of the network in the model's config.json.

    Returns:
        The built network with its weights.

    Raises:
        InputError: the file is damaged, is no network, or is another network than config.json describes.
    """
    with CheckedZip(path, _MEMBERS) as archive:
        try:
            size = Path(path).stat().st_size
            with archive.open(_WEIGHTS) as weights, h5py.File(weights) as file:
                shapes = Counter(array.shape for array in checked_arrays(file, size).values())
            found = parse_json(archive.open("config.json").read().decode())
            name, sizes = found["registered_name"], found["config"]
            _require_said(sizes, said)
            own = name == keras.saving.get_registered_name(Network)
            sizes = _sizes(sizes if own else network_config(name, sizes))
            _require_plausible(sizes, shapes.total())
            _require_same(_shapes(sizes, shapes.total()), shapes)
            network = Network.from_config(sizes)
            network.load_weights(path) if own else load_weights(network, path)
        except Exception as error:  # for damaged files, each library and each network has errors of its own
            raise InputError(f"{path} is damaged or in another format: {shortened(error)}") from error
    return network


def _require_said(found: Mapping[str, object], said: Mapping[str, object]) -> None:
    """Raises ValueError unless config.json has the same sizes; name and number of parameters are not compared."""
    aside = ("name", "parameters")
    if {k: v for k, v in found.items() if k not in aside} != {k: v for k, v in said.items() if k not in aside}:
        raise ValueError("its sizes are not those that config.json says")


def _sizes(value: object) -> object:
    """A network's config, checked: it contains only plain values, such as short names and sizes; else ValueError."""
    if isinstance(value, dict) and "class_name" in value:
        return _dtype(value)
    if isinstance(value, dict):
        return {name: _sizes(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_sizes(inner) for inner in value]
    if isinstance(value, str) and (len(value) > _LONGEST_NAME or not value.isprintable()):
        raise ValueError(f"expected a name, got {shortened(repr(value))}")
    if type(value) is int and not 0 <= value < 2**31:
        raise ValueError(f"expected a size below {2**31:,}, got {value:,}")
    return value


def _dtype(value: Mapping[str, object]) -> str:
    """The name of a dtype policy, which is the only object that a network's config may contain; else ValueError."""
    name = value["config"].get("name")
    if value["class_name"] != "DTypePolicy" or name not in _DTYPES or set(value["config"]) != {"name"}:
        raise ValueError(f"expected one of the dtypes {', '.join(_DTYPES)}, got {shortened(value)}")
    return name


#: the sizes that a table of positions has: its rows, and its columns
_OF_TABLES = ("context_length", "max_length"), ("d_model",)


def _number(value: object) -> int:
    """The value if it is a whole number, else 0: no body accepts anything else as one of these sizes."""
    return value if type(value) is int else 0


def _require_plausible(sizes: Mapping[str, object], num_arrays: int) -> None:
    """Raises ValueError for huge sizes that cost time or memory but do not appear in the shape of any weight."""
    for name, value in sizes.items():
        if isinstance(value, dict):
            _require_plausible(value, num_arrays)
        elif isinstance(value, list) and len(value) > num_arrays:
            raise ValueError(f"{name} has {len(value):,} entries, and there are {num_arrays:,} arrays in the file")
        elif name.endswith("layers") and type(value) is int and value > num_arrays:
            raise ValueError(f"{name} is {value:,}, and there are {num_arrays:,} arrays in the file")
    length, width = (max(_number(sizes.get(name)) for name in names) for names in _OF_TABLES)
    if sizes.get("block") != "pre_norm" and length * width > _LARGEST_TABLE:
        raise ValueError(f"its table of positions would have {length:,} rows: expected {_LARGEST_TABLE:,} numbers")


def _shapes(sizes: Mapping[str, object], num_arrays: int) -> Counter:
    """Shapes of the weights of a network with these sizes; no memory is allocated for the weights."""
    with tf.Graph().as_default():  # in a graph, variables have no memory yet
        parts = Network.parts_of(sizes)
        # checked again, because sizes that were left out have their defaults now. This is early enough: the parts make
        # their tables of positions only when the Network below builds them
        _require_plausible({role: part.get_config() for role, part in parts.items()}, num_arrays)
        return Counter(tuple(weight.shape) for weight in Network(**parts).weights)


def _require_same(expected: Counter, found: Counter) -> None:
    # there may be more arrays, because the first models were saved together with their optimizer's state
    if missing := expected - found:
        shape = next(iter(missing))
        raise ValueError(f"its arrays are not those of a network of its sizes: none of shape {list(shape)} is left")
