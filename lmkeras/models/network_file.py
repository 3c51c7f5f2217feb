"""Writes and reads model.safetensors, the weights of a saved network.

What the network is made of stands in config.json. It is first checked that the file holds arrays of all the shapes that
such a network has. Only then the network is built.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lmkeras.archives import plain_header, shortened
from lmkeras.durable import write_arrays
from lmkeras.errors import InputError
from lmkeras.networks.network import Network
from lmkeras.networks.weights import named_weights, shapes_of
from lmkeras.pretrained.precision import BeyondRange, in_dtype

_DTYPES = ("float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16")
_LONGEST_NAME = 200
_MOST_LAYERS = 1000


def write_network(network: Network, path: str | Path) -> None:
    """Writes a network's weights, each under its name in `named_weights`, in the precision that its body says."""
    dtype = getattr(network.body, "published_dtype", None)
    arrays = {name: weight.value.numpy() for name, weight in named_weights(network).items()}
    write_arrays(path, {name: _as_published(name, array, dtype) for name, array in arrays.items()})


def _as_published(name: str, array: np.ndarray, dtype: str | None) -> np.ndarray:
    if dtype is None or not keras.backend.is_float_dtype(keras.backend.standardize_dtype(array.dtype)):
        return array
    return in_dtype(array, dtype, name)


def read_network(path: str | Path, said: Mapping[str, object]) -> Network:
    """The network whose weights `write_network` wrote.

    Args:
        path: path of the file. It is mapped into memory, so no second copy of the weights is made.
        said: the description of the network in the model's config.json, which stands beside it.

    Raises:
        InputError: config.json describes no network; or the file is damaged, or its arrays are not those of that
            network.
    """
    import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by it
    import safetensors

    with _naming(path):
        plain_header(path)
        with safetensors.safe_open(path, "numpy") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    with _naming(Path(path).with_name("config.json")):
        config = checked_config(said, num_arrays=len(found))
        expected = shapes_of(config)
    with _naming(path):
        require_same(expected, found)
        network = Network.from_config(config)
        with safetensors.safe_open(path, "numpy") as file:
            for name, weight in named_weights(network).items():
                _assign(weight, file.get_tensor(name), name)
    return network


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """A context in which every error, as each library and each network has errors of its own, names that file."""
    try:
        yield
    except BeyondRange as error:  # which is not the file's fault
        raise BeyondRange(f"{path}: {error}") from None
    except Exception as error:
        raise InputError(f"{path} is damaged or in another format: {shortened(error)}") from error


def _assign(weight: keras.Variable, array: np.ndarray, name: str) -> None:
    of_weight, of_file = (keras.backend.standardize_dtype(of.dtype) for of in (weight, array))
    if of_weight != of_file and not all(map(keras.backend.is_float_dtype, (of_weight, of_file))):
        raise ValueError(f"{name} has numbers of type {of_file}: expected {of_weight}")
    weight.assign(in_dtype(array, of_weight, name) if of_weight == "float16" else array)


def require_same(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ValueError, naming one of them, if arrays are missing, left over, or of other shapes than expected."""
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            shapes = ("none" if name not in of else f"one of {list(of[name])}" for of in (expected, found))
            raise ValueError("for {} config.json asks for {}, the file has {}".format(shortened(repr(name)), *shapes))


def checked_config(said: Mapping[str, object], num_arrays: int) -> dict:
    """A network's config from config.json, after a check that it is made of plain values that a file bears out.

    Args:
        said: the description of the network in the model's config.json.
        num_arrays: how many arrays the file with the weights has.

    Raises:
        ValueError: it holds another object than a dtype policy; or numbers of layers, or lists, that are longer than
            the number of arrays, or than any network has, and so would cost time although no weight shows them.
    """
    config = _plain({name: value for name, value in said.items() if name not in ("name", "parameters")})
    _require_plausible(config, num_arrays)
    with tf.Graph().as_default():  # in a graph, the variables of those that are built at once have no memory yet
        parts = Network.parts_of(config)
    # checked again, because sizes that were left out have their defaults now
    _require_plausible({role: part.get_config() for role, part in parts.items()}, num_arrays)
    return config


def _plain(value: object) -> object:
    """A config made of short names and sizes; for a dtype policy, its name. ValueError for anything else."""
    if isinstance(value, dict) and "class_name" in value:
        return _dtype(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
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


def _require_plausible(sizes: Mapping[str, object], num_arrays: int) -> None:
    most = min(num_arrays, _MOST_LAYERS)  # the arrays may be empty, and then there may be very many
    for name, value in sizes.items():
        if isinstance(value, dict):
            _require_plausible(value, num_arrays)
        elif isinstance(value, list) and len(value) > most:
            raise ValueError(f"{name} has {len(value):,} entries: expected at most {most:,} for {num_arrays:,} arrays")
        elif name.endswith("layers") and type(value) is int and value > most:
            raise ValueError(f"{name} is {value:,}: expected at most {most:,} for {num_arrays:,} arrays")
