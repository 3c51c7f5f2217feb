"""Reads the parts of a saved model, tokenizer and network, from its folder."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lmkeras.archives import MEGABYTE, read_text, shortened
from lmkeras.errors import InputError, unknown_name
from lmkeras.models.folder import WEIGHTS, WEIGHTS_FILES, read_config
from lmkeras.models.keras_file import read_keras_file
from lmkeras.models.network_file import read_network
from lmkeras.networks.network import Network
from lmkeras.networks.registry import import_families
from lmkeras.pretrained.precision import WEIGHT_DTYPES, loses_digits, rounding_note
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer

_LARGEST_TOKENIZER = 1024 * MEGABYTE  # ten million words


class SavedParts(NamedTuple):
    """What a folder of a saved model holds: the content of config.json, the tokenizer, the network."""

    config: dict
    tokenizer: BaseTokenizer
    network: Network


def read_parts(folder: str | Path, dtype: str | None = None) -> SavedParts:
    """The parts of the model that was saved in a folder; no code from the folder is run.

    Args:
        folder: the folder.
        dtype: the precision in which the weights of a published decoder are to be held; None for that in which they
            were held when it was saved.

    Raises:
        InputError: there is no model, or a file, which the message names, is missing, damaged or from another model; or
            a dtype is given for another network.
    """
    config, tokenizer = read_config(folder), read_tokenizer(folder)
    import_families()  # registers the classes of bodies and heads, which are looked up by name
    with naming(folder, f"a {config['kind']}"):
        file, said = Path(folder) / WEIGHTS_FILES[config["format_version"]], config["network"]
        said = said if dtype is None else held_in(dtype, said, folder)
        network = (read_network if file.name == WEIGHTS else read_keras_file)(file, said)
    return SavedParts(config, tokenizer, network)


def held_in(dtype: str, network: dict, folder: str | Path) -> dict:
    """A network's description in config.json, changed to hold weights in a dtype; InputError if it has no choice."""
    if dtype not in WEIGHT_DTYPES:
        raise unknown_name("dtype of weights", dtype, WEIGHT_DTYPES)
    parts = {role: dict(network[role]["config"]) for role in ("body", "head")}
    if "weights_dtype" not in parts["body"]:
        raise InputError(f"dtype {dtype!r} is for published decoders, which write text: {folder} holds another network")
    for config in parts.values():
        if config.get("weights_dtype") is not None:
            config["weights_dtype"] = dtype
    published = parts["body"].get("published_dtype")
    if published in WEIGHT_DTYPES and loses_digits(published, dtype):
        warnings.warn(rounding_note(folder, published, dtype), stacklevel=4)
        parts["body"]["published_dtype"] = dtype
    return {**network, **{role: {**network[role], "config": config} for role, config in parts.items()}}


def read_tokenizer(folder: str | Path) -> BaseTokenizer:
    """The tokenizer of a saved model; InputError if its file is damaged."""
    with naming(folder, "a tokenizer", "tokenizer.json"):
        return tokenizer_from_json(read_text(Path(folder) / "tokenizer.json", _LARGEST_TOKENIZER))


@contextlib.contextmanager
def naming(folder: str | Path, holds: str, file: str = "config.json") -> Iterator[None]:
    """A context whose errors name a file of the folder, unless they already name a file there."""
    path = Path(folder) / file
    try:
        yield
    except InputError as error:
        if str(path.parent) in str(error):
            raise
        raise InputError(f"{path} is damaged or was changed: {shortened(error)}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged or was changed: it does not say what {holds} is made of "
            f"({type(error).__name__}: {shortened(error)})"
        ) from error
