"""What strangers may send: payloads that leave a marker when they run, and folders whose digests are all right."""

import contextlib
import hashlib
import io
import json
import pathlib
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy

import lmkeras
from lmkeras import InputError
from lmkeras.durable import write_arrays

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
    there = [name for name in ("model.safetensors", "network.keras", "tokenizer.json") if (folder / name).exists()]
    config["files"] = {name: digest((folder / name).read_bytes()) for name in there}
    config["digest"] = digest(json.dumps(config, sort_keys=True).encode())
    path.write_text(json.dumps(config))


def sizes(role: str | None = None, **changed):
    """A function that changes sizes of a network's body or head; of one that version 0.1 saved where role is None."""
    return lambda network: (network[role]["config"] if role else network).update(changed)


def change_network(folder: Path, change) -> None:
    """Lets a function change what config.json says of the network."""
    sign(folder, lambda config: change(config["network"]))


def body_of(folder: Path) -> dict:
    """The sizes of a saved network's body."""
    return json.loads((folder / "config.json").read_text())["network"]["body"]["config"]


def change_arrays(folder: Path, change=lambda arrays: None) -> None:
    """Lets a function change the dictionary of arrays that model.safetensors holds."""
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    change(arrays)
    write_arrays(folder / "model.safetensors", arrays)
    sign(folder)


def change_header(folder: Path, change, more: bytes = b"") -> None:
    """Writes the header of model.safetensors anew, and the same numbers after it.

    Args:
        folder: of a saved model.
        change: a function that changes the header as a dictionary, or gives other bytes for it.
        more: what to add to the numbers.
    """
    path = folder / "model.safetensors"
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    changed = change(header)
    text = changed if isinstance(changed, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:] + more)
    sign(folder)


def change_keras_file(folder: Path, members=None, inner=None, both=None, **of_each) -> None:
    """Writes anew the network.keras of a model that version 0.1 saved.

    Args:
        folder: of the model.
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


def changed_h5(folder: Path, change) -> bytes:
    """The bytes of the HDF5 file in a network.keras, after a function has changed it."""
    with zipfile.ZipFile(folder / "network.keras") as archive, io.BytesIO() as content:
        content.write(archive.read("model.weights.h5"))
        with h5py.File(content, "r+") as file:
            change(file)
        return content.getvalue()


def refused(folder: Path, reason: str) -> None:
    """Fails unless `lmkeras.load` refuses a folder, shortly and without taking memory, for that reason."""
    with little_memory(), pytest.raises(InputError, match=reason) as caught:
        lmkeras.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def require_same_weights_after(sign_anew, folder: Path) -> None:
    """Fails unless a folder is read, and has the same weights after a function that only signs it anew."""
    expected = lmkeras.load(folder).network.get_weights()
    sign_anew(folder)
    for found, weight in zip(lmkeras.load(folder).network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, weight)
