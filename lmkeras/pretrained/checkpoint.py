"""Hugging Face checkpoints: reads config.json and the weights in any of three formats, and writes safetensors."""

import contextlib
import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lmkeras.archives import MEGABYTE, checked_arrays, inside, read_json, shortened
from lmkeras.durable import local, write_arrays
from lmkeras.errors import InputError

_LARGEST_JSON = 64 * MEGABYTE
# the sizes that decide how much memory a BERT takes; where config.json lacks one, the value of BERT base holds
_SIZES = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "intermediate_size": 3072,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
# what DistilBERT calls these sizes
_OTHER_NAMES = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "intermediate_size": "hidden_dim"}
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
    folder = Path(source) if Path(source).exists() else _download(str(source))
    if not folder.is_dir():
        raise InputError(f"{source} is a file: expected the folder that holds it, with config.json beside the weights")
    path = inside(folder, "config.json")
    if not path.is_file():
        raise InputError(f"no checkpoint in {folder}: {path.name} is missing")
    config = _read_json(path)
    tensors = {}
    for file, read in _weights_files(folder):
        with _naming_damage(file):
            for name, tensor in read(file):
                tensors[name] = tensor if tensor.dtype.kind in "iub" else np.asarray(tensor, "float32")
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


def _read_safetensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by it
    import safetensors

    with safetensors.safe_open(path, "numpy") as file:
        from_tensorflow = (file.metadata() or {}).get("format") == "tf"
        for name in file.keys():  # noqa: SIM118 - the file is no dictionary
            tensor = file.get_tensor(name)
            yield _as_in_pytorch(name, tensor) if from_tensorflow else (name, tensor)


def _read_h5(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    import h5py

    with h5py.File(path) as file:
        for name, array in checked_arrays(file, path.stat().st_size).items():
            yield _as_in_pytorch(name, np.asarray(array))


def _as_in_pytorch(name: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    """A weight of a TensorFlow checkpoint with PyTorch's name and layout.

    For example, `encoder/layer_._0/attention/self/query/kernel:0` becomes
    `encoder.layer.0.attention.self.query.weight`. Norms keep the names gamma and beta, which old checkpoints of PyTorch
    have too. A part of a name such as `mlm___cls` stands for `cls`.
    """
    parts = name.removesuffix(":0").replace("layer_._", "layer/").split("/")
    *parts, last = (part.rpartition("___")[2] for part in parts)
    if last == "kernel":
        tensor = tensor.T  # PyTorch's matrices are [outputs, inputs]
    return ".".join([*parts, "weight" if last in ("kernel", "embeddings") else last]), tensor


def _read_bin(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        import torch
    except ImportError:
        raise InputError(
            f"{path} can be read by PyTorch alone, which is not installed: pip install torch, or give a folder with "
            "model.safetensors (most models on the hub have one)"
        ) from None
    for name, tensor in torch.load(path, map_location="cpu", weights_only=True).items():
        yield name, (tensor.float() if tensor.is_floating_point() else tensor).numpy()


_READERS = {"model.safetensors": _read_safetensors, "tf_model.h5": _read_h5, "pytorch_model.bin": _read_bin}


def _weights_files(folder: Path) -> list:
    """The files that hold the weights, each with the function that reads it."""
    for name, read in _READERS.items():
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return [(inside(folder, name), read)]
        if index.is_file():
            with _naming_damage(index):
                names = sorted(set(_read_json(inside(folder, index.name))["weight_map"].values()))
                wrong = [shard for shard in names if not _is_file_in(folder, shard)]
            if wrong:
                raise InputError(f"{index} names the file {shortened(wrong[0])}, which is not in {folder}")
            return [(inside(folder, shard), read) for shard in names]
    raise InputError(f"no weights in {folder}: expected one of {', '.join(_READERS)}")


def _is_file_in(folder: Path, name: object) -> bool:
    return isinstance(name, str) and not re.search(r"[/\\\0]", name) and (folder / name).is_file()


def _require_room(config: dict, tensors: dict[str, np.ndarray], path: Path) -> None:
    """Raises InputError if config.json describes a network with more weights than the checkpoint has.

    The network is built before its shapes are compared with the weights, so a wrong size could fill the memory.
    """
    sizes = [config.get(name, config.get(_OTHER_NAMES.get(name), default)) for name, default in _SIZES.items()]
    if config.get("model_type", "bert") not in ("bert", "distilbert") or not all(
        isinstance(size, int | float) for size in sizes
    ):
        return  # `bert.sizes_of` refuses this config.json
    width, layers, inner, *rows = sizes
    promised = width * sum(rows) + layers * width * (4 * width + 2 * inner)
    there = sum(tensor.size for tensor in tensors.values())
    if promised > max(there, _HARMLESS) or layers > max(len(tensors), _HARMLESS_LAYERS):
        raise InputError(
            f"{path} has sizes of a larger BERT than the weights beside it are of: {len(tensors)} tensors of {there:,} "
            "numbers"
        )


def _read_json(path: Path) -> dict:
    with _naming_damage(path):
        content = read_json(path, _LARGEST_JSON)
        if not isinstance(content, dict):
            raise ValueError(f"expected an object, got {type(content).__name__}")
    return content


@contextlib.contextmanager
def _naming_damage(path: Path):
    """A context in which every error of reading a file, whatever its class, becomes an InputError with the path."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is damaged or in another format: {shortened(error)}") from error


def _download(name: str) -> Path:
    """Downloads config.json and the weights, in the first format that the hub has; gives their folder in its cache."""
    advice = (
        f"download config.json and model.safetensors (and vocab.txt, for the tokenizer) of "
        f"https://huggingface.co/{name} into a folder, and give the path of that folder"
    )
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        raise InputError(f"no folder {name}: give a folder with config.json and model.safetensors, or a hub name")
    import huggingface_hub

    try:
        for weights in _READERS:
            stem, suffix = os.path.splitext(weights)
            wanted = ["config.json", f"{weights}.index.json", weights, f"{stem}-*{suffix}"]
            folder = Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted))
            if any((folder / file).is_file() for file in (weights, f"{weights}.index.json")):
                break
    except (OSError, ValueError) as error:  # no network, no such name on the hub, no permission
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"no folder {name}, and the Hugging Face hub does not give it ({reason}): {advice}") from error
    return folder
