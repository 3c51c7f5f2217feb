"""Checkpoints: numbered files in a run's folder, each whole or not there, the last few kept."""

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from lmkeras.archives import inside
from lmkeras.durable import ASIDE, replacing
from lmkeras.errors import InputError

_log = logging.getLogger("lmkeras")
_NAME = re.compile(r"update-(\d{8,})\.safetensors")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a training was after an update.

    Attributes:
        path: the file; its name has the number of the update.
        arrays: all numbers by name.
        facts: everything else, of JSON's types.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, object]


class Checkpoints:
    """The checkpoints of one training run.

    A checkpoint is one safetensors file, written aside, synced and renamed. Its header has the facts and a digest of
    them and of all arrays; reading one runs no code.

    Args:
        folder: the run's folder; they are in its subfolder `checkpoints`, which the first one makes.
        keep: how many of the newest stay.
        read_only: whether another process of the same training does the writing.
    """

    def __init__(self, folder: str | Path, keep: int, read_only: bool = False):
        self.folder = Path(folder) / "checkpoints"
        self.keep = keep
        self.read_only = read_only

    def write(self, step: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, object]) -> Path:
        """Adds a checkpoint and removes those that are too many.

        Args:
            step: number of updates done.
            arrays: by name.
            facts: of JSON's types.

        Raises:
            InputError: the folder cannot be written to, or has no room; the earlier checkpoints are as they were.
        """
        path = self.folder / f"update-{step:08}.safetensors"
        if self.read_only:
            return path
        text = json.dumps(facts)
        metadata = {"facts": text, "digest": _digest(arrays, text)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as aside:
                safetensors.numpy.save_file(dict(arrays), aside, metadata)
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(f"the checkpoint {path} cannot be written: {error}. {self._earlier()}") from error
        found = list(self.newest_first())
        place = found.index(path)
        for other in found[:place] + found[place + self.keep :]:  # later ones can only be damaged: it was gone back
            other.unlink()
        return path

    def _earlier(self) -> str:
        newest = next(self.newest_first(), None)
        return "There is none before it" if newest is None else f"{newest} is intact: make room, and go on from there"

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is intact; None where there is none. Damaged ones are logged as warnings."""
        for path in self.newest_first():
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, RecursionError, safetensors.SafetensorError) as error:
                _log.warning("%s is damaged (%s): going back to the one before it", path, error)
        return None

    def clear(self) -> None:
        """Removes all checkpoints; their folder stays, as a sign that a run has begun here."""
        if self.read_only:
            return
        self.tidy()
        for path in self.newest_first():
            path.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)

    def tidy(self) -> None:
        """Removes what a process was writing when it was killed."""
        for path in [] if self.read_only else self.folder.glob(f".update-*{ASIDE}"):
            path.unlink()

    def newest_first(self) -> Iterator[Path]:
        """The checkpoints' files, damaged ones too."""
        found = self.folder.glob("update-*.safetensors")
        numbered = [(int(match[1]), path) for path in found if (match := _NAME.fullmatch(path.name))]
        return (path for _, path in sorted(numbered, reverse=True))


def _read(path: Path) -> Checkpoint:
    inside(path.parent, path.name)
    arrays = {}
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
        for name in file.keys():  # noqa: SIM118 - it is no dictionary
            arrays[name] = file.get_tensor(name)
    text = metadata["facts"]
    if metadata["digest"] != _digest(arrays, text):
        raise ValueError("it is not what was written: its digest differs")
    return Checkpoint(path, arrays, json.loads(text))


def _digest(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {arrays[name].shape} ".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()
