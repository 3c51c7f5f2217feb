"""The beginning of a GGUF file: its metadata and where its tensors are, all checked before anything relies on it.

The package gguf can read this too, but it believes the file: it builds some Python objects for each entry of an array,
which takes seconds for a vocabulary, and takes memory for whatever counts and shapes a file claims.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import dataclasses
import math
import struct
from pathlib import Path

import numpy as np

from lmkeras.archives import MEGABYTE, shortened
from lmkeras.errors import InputError

_LARGEST_HEADER = 64 * MEGABYTE  # a vocabulary of 262,144 pieces and its merges take some 20
_MOST_DIMENSIONS = 4
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
#: quantisations that become float32; the others of the format are rare, and nothing checks here that they are read well
QUANTISED = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K")
PLAIN = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where one tensor is in the file."""

    shape: tuple[int, ...]
    """The shape, the slowest dimension first as in NumPy; the file has it the other way round."""
    kind: str
    """How its numbers are stored: one of PLAIN and QUANTISED."""
    begin: int
    """The place of its first byte in the file."""
    row_bytes: int
    """The bytes of one row, which is the last dimension."""

    @property
    def size(self) -> int:
        """The bytes of the tensor."""
        return self.row_bytes * math.prod(self.shape[:-1])


@dataclasses.dataclass(frozen=True)
class Header:
    """What a GGUF file says before its tensors."""

    path: Path
    """The file."""
    metadata: dict[str, object]
    """Texts, numbers, lists of texts, and NumPy arrays of numbers."""
    entries: dict[str, Entry]
    """The tensors, by the names they have in the file."""

    def get(self, key: str, kind: type | tuple[type, ...], default=None):
        """A value of the metadata; InputError where it is of another type than expected."""
        value = self.metadata.get(key, default)
        is_wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        if value is not default and is_wrong:
            names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
            raise InputError(f"{self.path} is damaged: {key} is {shortened(repr(value))}, expected {names}")
        return value


def read_header(path: Path, numbers: np.ndarray) -> Header:
    """Reads the beginning of a GGUF file.

    Args:
        path: the file.
        numbers: its bytes, mapped into memory.

    Raises:
        InputError: the gguf package is missing, or a tensor's quantisation is none of QUANTISED.
        ValueError: the file is damaged.
    """
    if bytes(numbers[:4]) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    cursor = _Cursor(numbers)
    version = cursor.number("I")
    if version not in (2, 3):
        what = "the big-endian order of bytes" if version in (2 << 24, 3 << 24) else f"version {version} of the format"
        raise ValueError(f"it has {what}: expected version 2 or 3 and the little-endian order; convert the model anew")
    tensors, pairs = cursor.number("Q"), cursor.number("Q")
    metadata, described = {}, {}
    for _ in range(pairs):  # whatever the count says: the cursor stops at the end of the file
        name = cursor.text()
        cursor.require_new(name, metadata)
        metadata[name] = cursor.value(cursor.number("I"))
    for _ in range(tensors):
        name = cursor.text()
        cursor.require_new(name, described)
        described[name] = _described(name, cursor)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment not in [2**power for power in range(3, 17)]:
        raise ValueError(f"general.alignment is {shortened(repr(alignment))}: expected a power of two")
    start = -(-cursor.at // alignment) * alignment
    entries = {name: _entry(path, name, start=start, described=one) for name, one in described.items()}
    _require_room(entries, start, alignment=alignment, size=len(numbers))
    return Header(path, metadata, entries)


class _Cursor:
    """Reads a GGUF file from its fifth byte on; ValueError where it would go beyond the end."""

    def __init__(self, numbers: np.ndarray):
        self._view, self.at = memoryview(numbers[:_LARGEST_HEADER]), 4
        self._is_cut = len(numbers) > _LARGEST_HEADER

    def take(self, count: int) -> memoryview:
        begin, self.at = self.at, self.at + count
        if self.at > len(self._view):
            many = f"it has more than {_LARGEST_HEADER:,} bytes of metadata, or a length in it is wrong"
            raise ValueError(many if self._is_cut else "it ends within its metadata: it is truncated, download it anew")
        return self._view[begin : self.at]

    def number(self, code: str) -> int | float | bool:
        value = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]
        if not math.isfinite(value):
            raise ValueError(f"its metadata has the number {value}")
        return value

    def text(self) -> str:
        return str(self.take(self.number("Q")), "utf-8")

    def value(self, kind: int) -> object:
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            return self._array(self.number("I"), self.number("Q"))
        return self.number(self._code(kind))

    def _array(self, kind: int, count: int) -> list[str] | np.ndarray:
        if kind == _TEXT:
            return [self.text() for _ in range(count)]
        dtype = np.dtype(f"<{self._code(kind)}")
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def _code(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise ValueError(f"its metadata has a list of lists or a value of the unknown type {kind}")
        return _NUMBERS[kind]

    def require_new(self, name: str, found: dict) -> None:
        if name in found:
            raise ValueError(f"it has {shortened(repr(name))} twice")


def _described(name: str, cursor: _Cursor) -> tuple[tuple[int, ...], int, int]:
    """What the file says of a tensor: shape, number of its quantisation, place after the metadata."""
    dimensions = cursor.number("I")
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise ValueError(f"{shortened(repr(name))} has {dimensions} dimensions")
    shape = tuple(cursor.number("Q") for _ in range(dimensions))[::-1]
    return shape, cursor.number("I"), cursor.number("Q")


def _entry(path: Path, name: str, *, start: int, described: tuple[tuple[int, ...], int, int]) -> Entry:
    gguf = package()
    shape, number, offset = described
    known = {kind.value: kind for kind in gguf.GGMLQuantizationType}
    kind = known[number].name if number in known else f"number {number}"
    if kind not in (*PLAIN, *QUANTISED):
        raise InputError(
            f"{path} has {shortened(repr(name))} in the quantisation {kind}, which is not read: take a file in one of "
            f"{', '.join((*PLAIN, *QUANTISED))}"
        )
    block, block_bytes = gguf.GGML_QUANT_SIZES[known[number]]
    if not all(shape) or shape[-1] % block:
        raise ValueError(
            f"{shortened(repr(name))} has the shape {shape}: its rows are no whole blocks of {block} numbers"
        )
    return Entry(shape, kind, begin=start + offset, row_bytes=shape[-1] // block * block_bytes)


def _require_room(entries: dict[str, Entry], start: int, *, alignment: int, size: int) -> None:
    """Raises ValueError unless every tensor has a place of its own in the file."""
    end, before = start, "the metadata"
    for name, entry in sorted(entries.items(), key=lambda item: item[1].begin):
        quoted = shortened(repr(name))
        if entry.begin < end or (entry.begin - start) % alignment:
            raise ValueError(
                f"{quoted} begins at byte {entry.begin:,}, within {before} or at no multiple of {alignment}"
            )
        end, before = entry.begin + entry.size, quoted
        if end > size:
            raise ValueError(
                f"{quoted} ends at byte {end:,} of {size:,}: the file is truncated, download it anew, or its shape is "
                "wrong"
            )


def package():
    """The package gguf, which the format's authors publish; InputError where it is not installed."""
    try:
        import gguf
    except ImportError:
        raise InputError("GGUF files are read by the package gguf, which is not installed: pip install gguf") from None
    return gguf
