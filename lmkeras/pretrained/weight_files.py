"""The weights of a published model in Hugging Face's formats, opened without reading them: names, shapes, then one."""

import contextlib
import dataclasses
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from lmkeras.archives import MEGABYTE, checked_arrays, inside, plain_header, read_json, shortened
from lmkeras.errors import InputError

_LARGEST_JSON = 64 * MEGABYTE
# what safetensors calls NumPy's types; ml_dtypes adds bfloat16 to NumPy
_DTYPES = {
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "BF16": "bfloat16",
    "BOOL": "bool",
}


class Weights(Protocol):
    """Tensors by PyTorch's names and in PyTorch's layout, whatever the file's format is."""

    shapes: Mapping[str, tuple[int, ...]]
    """The shape of every tensor."""
    dtypes: Mapping[str, str]
    """The dtype of every tensor, as `read` gives it."""

    def read(self, name: str) -> np.ndarray:
        """One tensor; read-only, and mapped into memory rather than read where the format allows it."""


def open_weights(folder: Path, formats: Sequence[str]) -> Weights:
    """Opens the weights in a folder.

    Args:
        folder: the folder.
        formats: some names of FORMATS; of these, the first that the folder has is opened. It may be split into several
            files ("shards") with an index, such as model.safetensors.index.json.

    Raises:
        InputError: there are none, a file is damaged or a link that leads out of the folder, a shard is missing, the
            shards are not those of the index, or PyTorch is needed and not installed.
    """
    for name in formats:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return _opened(folder, name, FORMATS[name])
        if index.is_file():
            return _open_shards(folder, index, FORMATS[name])
    raise InputError(f"no weights in {folder}: expected one of {', '.join(formats)}")


def read_object(path: Path) -> dict:
    """The content of a JSON file that must hold an object; InputError names the file."""
    with naming_damage(path):
        content = read_json(path, _LARGEST_JSON)
        if not isinstance(content, dict):
            raise ValueError(f"expected an object, got {type(content).__name__}")
    return content


@contextlib.contextmanager
def naming_damage(path: Path):
    """A context in which every error of reading a file, whatever its class, becomes an InputError with the path."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is damaged or in another format: {shortened(error)}") from error


class SafetensorsFile:
    """One file of safetensors, mapped into memory.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by it
        import safetensors

        header = plain_header(path)
        # the library checks that each tensor's numbers are where the header says, and that they fill the file
        with safetensors.safe_open(path, "numpy") as file:
            of_tensorflow = (file.metadata() or {}).get("format") == "tf"
        header.pop("__metadata__", None)
        self._path, self._stored = path, {}
        for stored, entry in header.items():
            name, is_turned = _pytorch_name(stored) if of_tensorflow else (stored, False)
            self._stored[name] = (entry, is_turned)
        self.shapes = {name: _turned(entry["shape"], turned) for name, (entry, turned) in self._stored.items()}
        self.dtypes = {name: _DTYPES.get(entry["dtype"], entry["dtype"]) for name, (entry, _) in self._stored.items()}
        self.total_bytes = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in header.values())
        self._start = path.stat().st_size - self.total_bytes

    def read(self, name: str) -> np.ndarray:
        """See `Weights.read`."""
        entry, is_turned = self._stored[name]
        if entry["dtype"] not in _DTYPES:
            raise InputError(
                f"{self._path} has {shortened(name)} as {entry['dtype']}, which is not read: take the model in "
                "bfloat16, float16 or float32"
            )
        begin, end = entry["data_offsets"]
        # mapped anew for each tensor: what is mapped counts as memory of the process until it is let go
        place = {"offset": self._start + begin, "shape": end - begin}
        numbers = np.memmap(self._path, "uint8", mode="r", **place) if end > begin else np.frombuffer(b"", "uint8")
        tensor = np.asarray(numbers).view(self.dtypes[name]).reshape(entry["shape"])
        return tensor.T if is_turned else tensor


class H5File:
    """One file of HDF5, as TensorFlow's checkpoints of transformers are.

    Args:
        path: the file.
    """

    total_bytes = None

    def __init__(self, path: Path):
        import h5py

        self._path, self._arrays = path, {}
        for stored, array in checked_arrays(h5py.File(path), path.stat().st_size).items():
            name, is_turned = _pytorch_name(stored)
            self._arrays[name] = (array, is_turned)
        self.shapes = {name: _turned(array.shape, turned) for name, (array, turned) in self._arrays.items()}
        # HDF5 has no bfloat16: such numbers are stored as two raw bytes
        self.dtypes = {name: str(array.dtype).replace("|V2", "bfloat16") for name, (array, _) in self._arrays.items()}

    def read(self, name: str) -> np.ndarray:
        """See `Weights.read`."""
        import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by it

        array, is_turned = self._arrays[name]
        with naming_damage(self._path):
            tensor = np.asarray(array).view(self.dtypes[name])
        return tensor.T if is_turned else tensor


class BinFile:
    """One file that PyTorch saved; it is read by PyTorch, which must be installed, without running any code in it.

    Args:
        path: the file.
    """

    total_bytes = None

    def __init__(self, path: Path):
        try:
            import torch
        except ImportError:
            raise InputError(
                f"{path} can be read by PyTorch alone, which is not installed: pip install torch, or give a folder "
                "with model.safetensors (most models on the hub have one)"
            ) from None
        self._path = path
        # files of PyTorch before 1.6 are no zip archives, and cannot be mapped into memory
        mapped = zipfile.is_zipfile(path)
        self._tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        for name, tensor in self._tensors.items():
            _require_own_numbers(name, tensor)
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._tensors.items()}
        self.dtypes = {name: str(tensor.dtype).rpartition(".")[2] for name, tensor in self._tensors.items()}

    def read(self, name: str) -> np.ndarray:
        """See `Weights.read`."""
        import ml_dtypes
        import torch

        tensor = self._tensors[name].detach()
        with naming_damage(self._path):
            if self.dtypes[name] == "bfloat16":  # PyTorch has no such NumPy type: the same bits take the way of int16
                return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
            return tensor.numpy()


#: what reads each format, by the name of its file
FORMATS = {"model.safetensors": SafetensorsFile, "tf_model.h5": H5File, "pytorch_model.bin": BinFile}


class _Shards:
    """Several files that hold one model's weights together."""

    def __init__(self, files: Sequence[Weights]):
        self._file_of = {name: file for file in files for name in file.shapes}
        self.shapes = {name: shape for file in files for name, shape in file.shapes.items()}
        self.dtypes = {name: dtype for file in files for name, dtype in file.dtypes.items()}

    def read(self, name: str) -> np.ndarray:
        return self._file_of[name].read(name)


@dataclasses.dataclass(frozen=True)
class _Index:
    """What an index says: the file of every tensor and, in some, the bytes of all together."""

    path: Path
    placed: dict[str, str]
    total_bytes: object

    @classmethod
    def read(cls, path: Path) -> "_Index":
        with naming_damage(path):
            content = read_object(inside(path.parent, path.name))
            placed, notes = content["weight_map"], content.get("metadata")
            wrong = [shard for shard in placed.values() if not _is_file_in(path.parent, shard)]
            if wrong:
                raise InputError(f"{path} names the file {shortened(wrong[0])}, which is not in {path.parent}")
        return cls(path, placed, notes.get("total_size") if isinstance(notes, dict) else None)

    def require(self, files: Mapping[str, Weights]) -> None:
        """Raises InputError if the files do not hold what the index says."""
        for shard, file in files.items():
            named = {name for name, place in self.placed.items() if place == shard}
            for name in sorted(named ^ set(file.shapes))[:1]:
                has, names = ("lacks", "names") if name in named else ("has", "does not name")
                raise InputError(
                    f"{self.path} {names} {shortened(repr(name))} for {shard}, which {has} it: the files are of "
                    "different models or damaged; download them anew"
                )
        counts = [file.total_bytes for file in files.values()]
        total = None if None in counts else sum(counts)
        if isinstance(self.total_bytes, int | float) and total is not None and self.total_bytes != total:
            raise InputError(
                f"{self.path} says that the shards hold {shortened(self.total_bytes)} bytes of weights, they hold "
                f"{total}: the files are of different models or damaged; download them anew"
            )


def _open_shards(folder: Path, path: Path, format_of_file: type) -> Weights:
    index = _Index.read(path)
    files = {shard: _opened(folder, shard, format_of_file) for shard in sorted(set(index.placed.values()))}
    if format_of_file is not H5File:  # its index has other names
        index.require(files)
    return _Shards(list(files.values()))


def _opened(folder: Path, name: str, format_of_file: type) -> Weights:
    path = inside(folder, name)
    with naming_damage(path):
        return format_of_file(path)


def _is_file_in(folder: Path, name: object) -> bool:
    return isinstance(name, str) and not re.search(r"[/\\\0]", name) and (folder / name).is_file()


def _turned(shape: Sequence[int], is_turned: bool) -> tuple[int, ...]:
    return tuple(reversed(shape)) if is_turned else tuple(shape)


def _pytorch_name(name: str) -> tuple[str, bool]:
    """PyTorch's name for a weight of a TensorFlow checkpoint, and whether PyTorch has the transposed matrix.

    For example, `encoder/layer_._0/attention/self/query/kernel:0` becomes
    `encoder.layer.0.attention.self.query.weight`. Norms keep the names gamma and beta, which old checkpoints of PyTorch
    have too. A part of a name such as `mlm___cls` stands for `cls`.
    """
    parts = name.removesuffix(":0").replace("layer_._", "layer/").split("/")
    *parts, last = (part.rpartition("___")[2] for part in parts)
    name = ".".join([*parts, "weight" if last in ("kernel", "embeddings") else last])
    return name, last == "kernel"  # PyTorch's matrices are [outputs, inputs]


def _require_own_numbers(name: str, tensor) -> None:
    """Raises ValueError unless each element of a PyTorch tensor has a place of its own.

    A tensor of two bytes may otherwise have any shape: with steps of zero, all its elements are the same.
    """
    span = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    if math.prod(tensor.shape) > span:
        raise ValueError(f"{shortened(name)} has {math.prod(tensor.shape):,} elements in {span:,} places")
