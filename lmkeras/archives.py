"""Safe reading of files that strangers made: links, JSON, zip archives and HDF5 are checked before they are used.

A file of a few bytes can declare a huge array, a deep nesting or a compressed member that unpacks to gigabytes. So
the functions here only take memory in proportion to the bytes that the file really has, and refuse everything else.
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
_DIRECTORY_BYTES = 65 * 1024  # the longest list of members that a zip archive may have
_MOST_OBJECTS = 100_000
_LARGEST_HEADER = 8 * MEGABYTE  # for some 80,000 arrays
_MOST_CHARACTERS = 300


def inside(folder: str | Path, name: str) -> Path:
    """The path of a file in a folder, after a check that the file is not a link to a place outside the folder.

    Links between the folders of the Hugging Face hub's cache are allowed.

    Args:
        folder: the folder; its own path may contain links.
        name: the file's name; the file need not exist.

    Raises:
        InputError: the file is a link that leads out of the folder.
    """
    path, home = Path(folder) / name, Path(folder).resolve()
    # in the hub's cache a snapshot is a folder of links into a folder "blobs", which all snapshots share
    homes = [home, home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [home]
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(allowed) for allowed in homes):
        raise InputError(f"{path} is a link that leads out of its folder: put a copy of the file there")
    return path


def read_text(path: str | Path, largest_bytes: int) -> str:
    """The UTF-8 text of a file.

    Args:
        path: path of a regular file.
        largest_bytes: the most bytes the file may have; a larger one is refused unread.

    Raises:
        InputError: the file cannot be read, is not a regular file, is too large, or is not UTF-8.
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
    """The content of a JSON file, as Python values.

    Args:
        path: path of a regular file.
        largest_bytes: the most bytes the file may have; a larger one is refused unread.
        deepest: how many levels of lists and objects may be nested.

    Raises:
        InputError: `read_text` or `parse_json` refuses the file; the message names it.
    """
    text = read_text(path, largest_bytes)
    try:
        return parse_json(text, deepest)
    except ValueError as error:
        raise InputError(f"{path} is damaged or in another format: {error}") from None


def parse_json(text: str, deepest: int = 32) -> object:
    """The content of a JSON text, as Python values. Only standard JSON is taken: no NaN and no infinite numbers.

    Args:
        text: the JSON text.
        deepest: how many levels of lists and objects may be nested.

    Raises:
        ValueError: the text is not standard JSON, repeats a name within an object, or is nested deeper than allowed.

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
    """Takes the place of the parsed value where JSON is nested too deep for Python's parser."""


def shortened(error: object) -> str:
    """The first characters of a message, on one line: a message that quotes a file may be of any length."""
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
    """Opens a file for reading; InputError where it is missing or is no regular file (a device may never end)."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # checked first, as opening a named pipe waits for a writer
            raise InputError(f"{path} is no regular file")
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


class _InSips:
    """A file of which one read gives a limited number of bytes; a longer read is an error.

    `zipfile` reads the list of members in one piece, as long as the archive itself says. This limits that read.

    Args:
        file: the file.
        largest_bytes: the limit; None for no limit.
    """

    def __init__(self, file, largest_bytes: int | None):
        self._file, self.largest_bytes = file, largest_bytes
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if self.largest_bytes is None:
            return self._file.read(size)
        content = self._file.read(self.largest_bytes + 1 if size < 0 else min(size, self.largest_bytes + 1))
        if len(content) > self.largest_bytes:
            raise ValueError("its list of members is too long")
        return content


class CheckedZip:
    """A zip archive that holds exactly the expected members, uncompressed; they are read from it without unpacking.

    Args:
        path: path of a regular file.
        members: for each member's name the most bytes it may have; None where the archive's size is the only limit.

    Raises:
        InputError: the file is no zip archive; a member is missing, unexpected or there twice; or a member is a link,
            compressed, encrypted or too large.
    """

    def __init__(self, path: str | Path, members: Mapping[str, int | None]):
        self._file = _opened(path)
        try:
            sips = _InSips(self._file, _DIRECTORY_BYTES)
            self._zip = zipfile.ZipFile(sips)
            sips.largest_bytes = None  # the list has been read; members are read in pieces, so they need no limit
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
        """A member, opened for reading as a seekable file."""
        return self._zip.open(name)

    def __enter__(self) -> "CheckedZip":
        return self

    def __exit__(self, *_) -> None:
        self._zip.close()
        self._file.close()


def plain_header(path: str | Path) -> dict:
    """The header of a safetensors file; ValueError if it is too large, has a name twice, or is no object.

    The library safetensors checks everything else, before it takes any memory for the arrays. But it takes the last of
    two arrays of the same name, and headers of 100 megabytes.
    """
    with _opened(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LARGEST_HEADER:
            raise ValueError(f"its header has {length:,} bytes: expected at most {_LARGEST_HEADER:,}")
        header = parse_json(file.read(length).decode())
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header


def checked_arrays(file: "h5py.File", largest_bytes: int) -> "dict[str, h5py.Dataset]":
    """The arrays of an HDF5 file by their paths, after a check that all their numbers are stored in this file.

    Args:
        file: an HDF5 file, opened for reading.
        largest_bytes: the file's size.

    Raises:
        ValueError: the file has links or an object with two paths; or an array has values that are no numbers, that
            are stored in another file, computed from other arrays or compressed, or of which some are missing.
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
            if address in seen or len(seen) == _MOST_OBJECTS:  # groups that contain each other never end
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
    """The size of an array in bytes; ValueError unless all of them are stored in this file."""
    import h5py

    if not isinstance(item, h5py.Dataset) or item.shape is None:
        raise ValueError(f"{path} is no array")
    if item.is_virtual or item.external:
        raise ValueError(f"{path} has its numbers in another file")
    if item.chunks is not None:
        raise ValueError(f"{path} is in chunks, as what is compressed is: expected it in one piece")
    # HDF5 has no bfloat16: such numbers are stored as two raw bytes, "|V2"
    if item.dtype.kind not in "fiub" and item.dtype.str != "|V2":
        raise ValueError(f"{path} has no numbers but {item.dtype.str}")
    declared = math.prod(item.shape) * item.dtype.itemsize
    if declared != item.id.get_storage_size():
        raise ValueError(
            f"{path} has {item.id.get_storage_size():,} bytes, and its shape {shortened(item.shape)} takes {declared:,}"
        )
    return declared
