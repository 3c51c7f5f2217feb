"""A published checkpoint in a folder, or in memory, as the readers of decoders see it."""

import json
from pathlib import Path

import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by it
import numpy as np
import safetensors


class FolderSource:
    """A folder with config.json and model.safetensors."""

    def __init__(self, folder):
        self.folder, self.name = Path(folder), str(folder)
        self.config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        self._file = safetensors.safe_open(self.folder / "model.safetensors", "numpy")
        slices = {name: self._file.get_slice(name) for name in self._file.keys()}  # noqa: SIM118
        self.shapes = {name: tuple(one.get_shape()) for name, one in slices.items()}
        kinds = {one.get_dtype() for one in slices.values()}
        self.kept_dtype = "float32" if "F32" in kinds else "bfloat16" if "BF16" in kinds else "float16"

    def read(self, name):
        return self._file.get_tensor(name)


class MemorySource:
    """A config and tensors."""

    folder, name, kept_dtype = Path("checkpoint"), "checkpoint", "float32"

    def __init__(self, config, tensors):
        self.config, self.tensors = config, tensors

    @property
    def shapes(self):
        return {name: np.shape(tensor) for name, tensor in self.tensors.items()}

    def read(self, name):
        return self.tensors[name]
