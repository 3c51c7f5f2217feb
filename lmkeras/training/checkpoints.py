"""Checkpoints of a training: numbered files in the run's folder, written safely; only the last few are kept."""

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import safetensors

from lmkeras.archives import inside
from lmkeras.durable import ASIDE, replacing, write_arrays
from lmkeras.errors import InputError

_log = logging.getLogger("lmkeras")
_NAME = re.compile(r"update-(\d{8,})\.safetensors")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The state of a training after an update.

    Attributes:
        path: the checkpoint's file; its name contains the number of the update.
        arrays: the arrays of the state, such as weights, by name.
        facts: the rest of the state, as values of JSON's types.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, object]


class Checkpoints:
    """The checkpoints of one training run.

    A checkpoint is one safetensors file. It is written under a temporary name, synced to the disk and renamed, so that
    it is there whole or not at all. Its header holds the facts, and a digest of the facts and all arrays. Reading a
    checkpoint runs no code from it.

    Args:
        folder: the run's folder. The checkpoints are in its subfolder `checkpoints`, which is made for the first one.
        keep: number of checkpoints to keep, the newest ones.
        read_only: whether to write and remove nothing, because another process of the same training does that.
    """

    def __init__(self, folder: str | Path, keep: int, read_only: bool = False):
        self.folder = Path(folder) / "checkpoints"
        self.keep = keep
        self.read_only = read_only

    def write(self, step: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, object]) -> Path:
        """Adds a checkpoint and removes the oldest ones if there are now more than `keep`.

        Args:
            step: number of updates that the training has done.
            arrays: see Checkpoint.
            facts: see Checkpoint.

        Raises:
            InputError: the folder cannot be written to, or the disk is full; earlier checkpoints are unchanged then.
        """
        path = self.folder / f"update-{step:08}.safetensors"
        if self.read_only:
            return path
        text = json.dumps(facts)
        metadata = {"facts": text, "digest": _digest(arrays, text)}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as aside:
                write_arrays(aside, arrays, metadata)
        except OSError as error:
            raise InputError(f"the checkpoint {path} cannot be written: {error}. {self._earlier()}") from error
        found = list(self.newest_first())
        place = found.index(path)
        # a checkpoint with a higher number is damaged: the training was resumed from one before it
        for other in found[:place] + found[place + self.keep :]:
            other.unlink()
        return path

    def _earlier(self) -> str:
        newest = next(self.newest_first(), None)
        return "There is none before it" if newest is None else f"{newest} is intact: make room, and go on from there"

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is intact, or None. A warning is logged for each damaged one that is skipped."""
        for path in self.newest_first():
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, RecursionError, safetensors.SafetensorError) as error:
                _log.warning("%s is damaged (%s): going back to the one before it", path, error)
        return None

    def newest_facts(self) -> Mapping[str, object] | None:
        """The facts of the newest checkpoint whose header can be read, without its arrays; None if there is none."""
        for path in self.newest_first():
            try:
                with safetensors.safe_open(path, "numpy") as file:  # reads the header alone
                    facts = json.loads(file.metadata()["facts"])
                    facts["stopped"]
                    return facts
            except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError):
                continue  # it is damaged: training would go on from the one before it
        return None

    def unfinished(self) -> bool:
        """Whether the newest checkpoint that can be read was written before its training had ended."""
        facts = self.newest_facts()
        return facts is not None and not facts["stopped"]

    def clear(self) -> None:
        """Removes all checkpoints; their folder is kept, or made, as a sign that a run has begun here."""
        if self.read_only:
            return
        self.tidy()
        for path in self.newest_first():
            path.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)

    def tidy(self) -> None:
        """Removes temporary files of a process that was killed while it wrote a checkpoint."""
        for path in [] if self.read_only else self.folder.glob(f".update-*{ASIDE}"):
            path.unlink()

    def newest_first(self) -> Iterator[Path]:
        """The files of all checkpoints, damaged ones too, the newest first."""
        found = self.folder.glob("update-*.safetensors")
        numbered = [(int(match[1]), path) for path in found if (match := _NAME.fullmatch(path.name))]
        return (path for _, path in sorted(numbered, reverse=True))


def _read(path: Path) -> Checkpoint:
    inside(path.parent, path.name)
    arrays = {}
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata() or {}
        for name in file.keys():  # noqa: SIM118 - the file is no dictionary
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
