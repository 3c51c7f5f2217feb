"""Files from strangers, looked at before anything in them is believed: links, JSON, zip archives, HDF5.

A file declares sizes for a few bytes: a number, a nesting, a compressed member. So whatever is read here costs memory
in proportion to the bytes that are really there, or is refused.
"""

import json
import math
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lmkeras.errors import InputError

if TYPE_CHECKING:
    import h5py

MEGABYTE = 1 << 20
_DIRECTORY_BYTES = 65 * 1024
_MOST_OBJECTS = 100_000
_MOST_CHARACTERS = 300


def inside(folder: str | Path, name: str) -> Path:
    """The path of a file in a folder; a link must not lead out of it, except within the Hugging Face hub's cache.

    Args:
        folder: may itself be reached by links.
        name: of the file, which need not be there.

    Raises:
        InputError: it is a link that leads elsewhere.
    """
    path, home = Path(folder) / name, Path(folder).resolve()
    # a snapshot in the hub's cache is a folder of links to files that it shares with other snapshots
    homes = [home, home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [home]
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(allowed) for allowed in homes):
        raise InputError(f"{path} is a link that leads out of its folder: put a copy of the file there")
    return path


def read_text(path: str | Path, largest_bytes: int) -> str:
    """The UTF-8 text of a file.

    Args:
        path: of a regular file.
        largest_bytes: a larger file is not read.

    Raises:
        InputError: it is no regular file, is larger, or is no UTF-8.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest_bytes:
            raise InputError(f"{path} has {size:,} bytes: expected at most {largest_bytes:,}; it is not read")
        try:
            return file.read(largest_bytes).decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is damaged or in another format: expected UTF-8 ({error.reason})") from None


def read_json(path: str | Path, largest_bytes: int = MEGABYTE, deepest: int = 32) -> object:
    """What a JSON file says.

    Args:
        path: of a regular file.
        largest_bytes: a larger file is not read.
        deepest: the most lists and objects within each other.

    Raises:
        InputError: as `read_text`, or it is no JSON as `parse_json` takes it; the file is named.
    """
    text = read_text(path, largest_bytes)
    try:
        return parse_json(text, deepest)
    except ValueError as error:
        raise InputError(f"{path} is damaged or in another format: {error}") from None


def parse_json(text: str, deepest: int = 32) -> object:
    """What a JSON text says: JSON as its standard has it, without NaN and numbers beyond all bounds.

    Args:
        text: the text.
        deepest: the most lists and objects within each other.

    Raises:
        ValueError: it is no such JSON, has the same name twice in an object, or is nested deeper.

    Example:
        >>> parse_json('{"a": [1, 2.5]}')
        {'a': [1, 2.5]}
    """
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_number, parse_float=_number)
    except RecursionError:
        value = _Deep
    except ValueError as error:
        raise ValueError(f"expected JSON ({shortened(error)})") from None
    if value is _Deep or _is_deeper(value, deepest):
        raise ValueError(f"expected JSON of at most {deepest} lists and objects within each other, got more")
    return value


class _Deep:
    """Stands for JSON that is nested too deep for Python."""


def shortened(error: object) -> str:
    """The start of a message, in one line: what is quoted from a file may be of any length."""
    text = " ".join(str(error).split())
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]}")
    return value


def _object(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that is twice in one object")
    return found


def _is_deeper(value: object, deepest: int) -> bool:
    level = [value]
    for _ in range(deepest + 1):
        containers = [outer for outer in level if isinstance(outer, dict | list)]
        if not containers:
            return False
        level = [inner for outer in containers for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return True


def _opened(path: str | Path):
    """The file, opened for reading; InputError where it is missing, or something whose reading may not end."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe waits for its other end
            raise InputError(f"{path} is no regular file")
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


class _InSips:
    """A file that gives little at once: whoever asks for more believes a size that the file declares."""

    def __init__(self, file, largest_bytes: int):
        self._file, self._largest_bytes = file, largest_bytes
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(self._largest_bytes + 1 if size < 0 else min(size, self._largest_bytes + 1))
        if len(content) > self._largest_bytes:
            raise ValueError("its list of members is too long")
        return content


class CheckedZip:
    """A zip archive of the very members that are expected in it, as they are: not compressed, not unpacked to the disk.

    Args:
        path: of a regular file.
        members: the most bytes of each member by its name; None where the archive's size is the only limit.

    Raises:
        InputError: it is no zip archive, lacks a member, or has others, or twice the same, or a link, or one that is
            compressed, encrypted, or larger than allowed.
    """

    def __init__(self, path: str | Path, members: Mapping[str, int | None]):
        self._file = _opened(path)
        try:
            self._zip = zipfile.ZipFile(_InSips(self._file, _DIRECTORY_BYTES))
            self._zip.fp = self._file  # the list is read; members come in pieces of whatever size is asked for
            self._check(members)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
            self._file.close()
            raise InputError(f"{path} is damaged or in another format: {shortened(error)}") from None

    def _check(self, members: Mapping[str, int | None]) -> None:
        infos = self._zip.infolist()
        names, expected = sorted(info.filename for info in infos), sorted(members)
        if names != expected:
            raise ValueError(f"expected the members {', '.join(expected)}, got {', '.join(names)}")
        whole = os.fstat(self._file.fileno()).st_size
        for info in infos:
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ValueError(f"its member {info.filename} is a link")
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise ValueError(f"its member {info.filename} is compressed or encrypted: expected it as it is")
            limit = whole if members[info.filename] is None else min(members[info.filename], whole)
            if not info.compress_size == info.file_size <= limit:
                raise ValueError(f"its member {info.filename} has {info.file_size:,} bytes: expected at most {limit:,}")

    def open(self, name: str):
        """A member as a file, opened for reading, that can be sought in."""
        return self._zip.open(name)

    def __enter__(self) -> "CheckedZip":
        return self

    def __exit__(self, *_) -> None:
        self._zip.close()
        self._file.close()


def checked_arrays(file: "h5py.File", largest_bytes: int) -> "dict[str, h5py.Dataset]":
    """The arrays of an HDF5 file by their paths; every number of theirs is in this file.

    Args:
        file: opened for reading.
        largest_bytes: how large the file is.

    Raises:
        ValueError: there is a link to another place or file, or something that is there twice, or an array whose
            numbers are in another file, computed, compressed, not all there, or no numbers.
    """
    import h5py

    found, seen, waiting, declared = {}, set(), [("", file)], 0
    while waiting:
        path, group = waiting.pop()
        for name in group:
            inner = f"{path}/{name}".lstrip("/")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{inner} is a link to another place")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen or len(seen) == _MOST_OBJECTS:  # of a loop of groups there is no end
                raise ValueError(f"{inner} is there twice, or is one of more than {_MOST_OBJECTS:,}")
            seen.add(address)
            if isinstance(item, h5py.Group):
                waiting.append((inner, item))
            else:
                declared += _checked_bytes(inner, item)
                found[inner] = item
    if declared > largest_bytes:
        raise ValueError(f"its arrays have {declared:,} bytes, the file has {largest_bytes:,}")
    return found


def _checked_bytes(path: str, item: object) -> int:
    """How many bytes an array has, all of them in the file."""
    import h5py

    if not isinstance(item, h5py.Dataset) or item.shape is None:
        raise ValueError(f"{path} is no array")
    if item.is_virtual or item.external:
        raise ValueError(f"{path} has its numbers in another file")
    if item.chunks is not None:
        raise ValueError(f"{path} is in chunks, as what is compressed is: expected it in one piece")
    # bfloat16, which HDF5 does not know, is two bytes without a meaning
    if item.dtype.kind not in "fiub" and item.dtype.str != "|V2":
        raise ValueError(f"{path} has no numbers but {item.dtype.str}")
    declared = math.prod(item.shape) * item.dtype.itemsize
    if declared != item.id.get_storage_size():
        raise ValueError(
            f"{path} has {item.id.get_storage_size():,} bytes, and its shape {shortened(item.shape)} takes {declared:,}"
        )
    return declared
