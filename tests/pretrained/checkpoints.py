"""A published checkpoint in memory, as the readers of decoders see it."""

from pathlib import Path

import numpy as np


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
