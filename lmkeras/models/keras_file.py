"""Reads network.keras, in which version 0.1 saved networks, without Keras' deserialization.

So the file cannot name a class or a function to be called. It is first checked that it holds arrays of all the shapes
that a network with the sizes in config.json has.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import h5py

from lmkeras.archives import MEGABYTE, CheckedZip, checked_arrays, parse_json, shortened
from lmkeras.errors import InputError
from lmkeras.models.network_file import checked_config
from lmkeras.networks.network import Network
from lmkeras.networks.version_0_1 import load_weights, network_config
from lmkeras.networks.weights import shapes_of
from lmkeras.training.keras_contract import ARCHIVE_MEMBERS

_METADATA, _CONFIG, _WEIGHTS = ARCHIVE_MEMBERS
_MEMBERS = {_METADATA: MEGABYTE, _CONFIG: MEGABYTE, _WEIGHTS: None}


def read_keras_file(path: str | Path, said: Mapping[str, object]) -> Network:
    """The network of a file that version 0.1 wrote.

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
                found = Counter(array.shape for array in checked_arrays(file, size).values())
            inside = parse_json(archive.open(_CONFIG).read().decode())
            _require_said(inside["config"], said)
            config = checked_config(network_config(inside["registered_name"], inside["config"]), found.total())
            _require_same(Counter(shapes_of(config).values()), found)
            network = Network.from_config(config)
            load_weights(network, path)
        except Exception as error:  # for damaged files, each library and each network has errors of its own
            raise InputError(f"{path} is damaged or in another format: {shortened(error)}") from error
    return network


def _require_said(found: Mapping[str, object], said: Mapping[str, object]) -> None:
    """Raises ValueError unless config.json has the same sizes; name and number of parameters are not compared."""
    aside = ("name", "parameters")
    if {k: v for k, v in found.items() if k not in aside} != {k: v for k, v in said.items() if k not in aside}:
        raise ValueError("its sizes are not those that config.json says")


def _require_same(expected: Counter, found: Counter) -> None:
    # there may be more arrays, because the first models were saved together with their optimizer's state
    if missing := expected - found:
        shape = next(iter(missing))
        raise ValueError(f"its arrays are not those of a network of its sizes: none of shape {list(shape)} is left")
