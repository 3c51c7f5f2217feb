"""Hugging Face checkpoints: reads config.json and the weights in any of three formats, and writes safetensors."""

import dataclasses
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from lmkeras.archives import inside
from lmkeras.durable import local, write_arrays
from lmkeras.errors import InputError
from lmkeras.pretrained.bert_tables import FAMILIES
from lmkeras.pretrained.hub import folder_of
from lmkeras.pretrained.weight_files import FORMATS, open_weights, read_object

# the sizes that decide how much memory a BERT takes; where config.json lacks one, the value of BERT base holds
_SIZES = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "intermediate_size": 3072,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
# a network of at most so many weights and layers may be built even if the checkpoint has fewer: it needs little memory,
# and the error that then names the missing weights is more exact than the one about sizes
_HARMLESS, _HARMLESS_LAYERS = 2**24, 64


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint's folder."""

    folder: Path
    """The folder that the checkpoint was read from."""
    config: dict
    """The content of config.json."""
    tensors: dict[str, np.ndarray]
    """The weights, with PyTorch's names and layout whatever the file's format was; floats are float32."""


def read_checkpoint(source: str | Path) -> Checkpoint:
    """Reads a checkpoint from a folder or, where there is no such folder, from the Hugging Face hub.

    Args:
        source: a folder with config.json and model.safetensors, tf_model.h5 or pytorch_model.bin, of which the first
            that exists is read (each may be split into several files with an index); or a name on the hub, such as
            "bert-base-uncased".

    Raises:
        InputError: there is no such folder, and the hub cannot be reached or has no such name; a file is missing,
            damaged or a link that leads out of the folder; config.json describes a larger network than the weights;
            or the weights are in pytorch_model.bin and PyTorch is not installed.
    """
    folder = folder_of(source, list(FORMATS), tokenizer="vocab.txt, tokenizer.json, or vocab.json with merges.txt")
    path = inside(folder, "config.json")
    if not path.is_file():
        raise InputError(f"no checkpoint in {folder}: {path.name} is missing")
    config, weights, tensors = read_object(path), open_weights(folder, list(FORMATS)), {}
    for name in weights.shapes:
        tensor = weights.read(name)
        tensors[name] = np.array(tensor, None if tensor.dtype.kind in "iub" else "float32")
    _require_room(config, tensors, path)
    return Checkpoint(folder, config, tensors)


def write_checkpoint(folder: str | Path, config: dict, tensors: dict[str, np.ndarray]) -> None:
    """Writes config.json and model.safetensors, both to a temporary folder first, then moves them into place.

    Args:
        folder: the folder to write to. It is created if it does not exist; the files of an earlier checkpoint in it
            are replaced.
        config: the content of config.json.
        tensors: the weights, with PyTorch's names and layout.
    """
    folder = local(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as aside:
        whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        # transformers only reads a file that names the framework of its layout: "pt" is PyTorch
        write_arrays(Path(aside) / "model.safetensors", whole, metadata={"format": "pt"})
        (Path(aside) / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for name in ("model.safetensors", "config.json"):
            os.replace(Path(aside) / name, folder / name)


def _require_room(config: dict, tensors: dict[str, np.ndarray], path: Path) -> None:
    """Raises InputError if config.json describes a network with more weights than the checkpoint has.

    The network is built before its shapes are compared with the weights, so a wrong size could fill the memory.
    """
    kind = config.get("model_type", "bert")
    names = FAMILIES[kind].config if isinstance(kind, str) and kind in FAMILIES else {}
    sizes = [config.get(names.get(name), default) for name, default in _SIZES.items()]
    if not names or not all(isinstance(size, int | float) for size in sizes):
        return  # `bert.sizes_of` refuses this config.json
    width, layers, inner, *rows = sizes
    promised = width * sum(rows) + layers * width * (4 * width + 2 * inner)
    there = sum(tensor.size for tensor in tensors.values())
    if promised > max(there, _HARMLESS) or layers > max(len(tensors), _HARMLESS_LAYERS):
        raise InputError(
            f"{path} has sizes of a larger BERT than the weights beside it are of: {len(tensors)} tensors of {there:,} "
            "numbers"
        )
