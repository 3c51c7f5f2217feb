"""What strangers may send: payloads that leave a marker when they run, and folders whose digests are all right."""

import contextlib
import hashlib
import json
import pathlib
import pickle
import zipfile
from pathlib import Path

import pytest

import lmkeras
from lmkeras import InputError

MEGABYTE = 2**20


class Payload:
    """Pickled, it makes a file at `marker` when it is read."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (self.marker,)


def pickled(marker: Path) -> bytes:
    content = pickle.dumps(Payload(marker))
    pickle.loads(content)
    assert marker.exists(), "the payload does nothing, so that its absence proves nothing"
    marker.unlink()
    return content


@contextlib.contextmanager
def little_memory(most_megabytes: int = 200):
    """A context in which the process must not grow by more than that, not even for a moment."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = _status("VmRSS")
    yield
    grown = _status("VmHWM") - before
    assert grown < most_megabytes, f"took {grown} MB more"


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{name}:"))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sign(folder: Path, change=lambda config: None) -> None:
    """Changes what config.json says and makes every digest right, as an attacker would."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop("digest", None)
    change(config)
    config["files"] = {name: digest((folder / name).read_bytes()) for name in ("network.keras", "tokenizer.json")}
    config["digest"] = digest(json.dumps(config, sort_keys=True).encode())
    path.write_text(json.dumps(config))


def sizes(role: str | None = None, **changed):
    """A function that changes sizes of a network's body or head; of one that version 0.1 saved where role is None."""
    return lambda network: (network[role]["config"] if role else network).update(changed)


def change_network(folder: Path, members=None, inner=None, both=None, **of_each) -> None:
    """Writes network.keras anew.

    Args:
        folder: of a saved model.
        members: contents by name instead of those that are there, None to leave one out.
        inner: a function that changes what the config.json in it says.
        both: a function that changes what both config.json files say of the network.
        of_each: arguments of `ZipFile.writestr`.
    """
    path = folder / "network.keras"
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    if both is not None:
        both(config["config"])
    if inner is not None:
        inner(config)
    contents["config.json"] = json.dumps(config).encode()
    contents.update(members or {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content, **of_each)
    sign(folder, lambda config: both and both(config["network"]))


def body_of(folder: Path) -> dict:
    """The sizes of a saved network's body."""
    with zipfile.ZipFile(folder / "network.keras") as archive:
        return json.loads(archive.read("config.json"))["config"]["body"]["config"]


def refused(folder: Path, reason: str) -> None:
    """Fails unless `lmkeras.load` refuses a folder, shortly and without taking memory, for that reason."""
    with little_memory(), pytest.raises(InputError, match=reason) as caught:
        lmkeras.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
