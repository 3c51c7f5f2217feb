"""The tensors of a GGUF file, by PyTorch's names, in PyTorch's layout and as numbers: one at a time."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from lmkeras.pretrained.gguf.header import PLAIN, Entry, package

Change = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a tensor of PyTorch comes from."""

    stored: str
    """The name in the file."""
    change: Change | None = None
    """What gives PyTorch's tensor of the file's; None where they are the same."""
    is_transposed: bool = False
    """Whether the change is to transpose it, which alone changes the shape."""


class GgufWeights:
    """The weights of a GGUF file; see `lmkeras.pretrained.weight_files.Weights`.

    Args:
        numbers: the bytes of the file, mapped into memory.
        entries: where each tensor of the file is.
        origins: for every tensor, by PyTorch's name, the file's.
    """

    def __init__(self, numbers: np.ndarray, entries: Mapping[str, Entry], origins: Mapping[str, Origin]):
        self._numbers, self._entries, self._origins = numbers, entries, origins
        self.shapes, self.dtypes = {}, {}
        for name, origin in origins.items():
            entry = entries[origin.stored]
            self.shapes[name] = entry.shape[::-1] if origin.is_transposed else entry.shape
            self.dtypes[name] = PLAIN.get(entry.kind, "float32")

    def read(self, name: str) -> np.ndarray:
        """One tensor; what is quantised becomes float32."""
        origin = self._origins[name]
        tensor = self._as_numbers(self._entries[origin.stored])
        tensor = tensor.T if origin.is_transposed else tensor
        return origin.change(tensor) if origin.change else tensor

    def _as_numbers(self, entry: Entry) -> np.ndarray:
        import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by it

        raw = np.asarray(self._numbers[entry.begin : entry.begin + entry.size])
        if entry.kind in PLAIN:
            return raw.view(PLAIN[entry.kind]).reshape(entry.shape)
        gguf = package()
        rows = raw.reshape(*entry.shape[:-1], entry.row_bytes)
        return gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[entry.kind])


def unpermuted(heads: int) -> Change:
    """The change of the rows of Llama's queries or keys (or their biases) from GGUF's order to PyTorch's.

    Rotation turns pairs of numbers. PyTorch's pairs are a head's number i and number i + half; GGUF has them side by
    side: 2i and 2i + 1.

    Args:
        heads: the number of heads.

    Example:
        >>> unpermuted(1)(np.array([0, 10, 1, 11])).tolist()
        [0, 1, 10, 11]
    """

    def change(tensor: np.ndarray) -> np.ndarray:
        pairs = tensor.reshape((heads, tensor.shape[0] // heads // 2, 2, -1))
        return pairs.swapaxes(1, 2).reshape(tensor.shape)

    return change


def less_one(tensor: np.ndarray) -> np.ndarray:
    """Gemma's norms multiply by 1 + weight; GGUF files have the sum."""
    return tensor - 1
