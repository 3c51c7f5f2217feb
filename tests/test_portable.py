"""What POSIX alone has is not needed to import lmkeras, to train, to save, to load and to export."""

import subprocess
import sys
from pathlib import Path

import pytest

from lmkeras import durable
from lmkeras.errors import InputError

# As on Windows: there are no such modules, and folders cannot be opened as files.
PROGRAM = """
import os, sys
for name in ("fcntl", "resource", "grp", "pwd", "termios", "tty", "posix_ipc", "syslog", "readline"):
    sys.modules[name] = None
open_, O_DIRECTORY = os.open, os.O_DIRECTORY
def refuse_folders(path, flags, *others, **options):
    if os.path.isdir(path) and not flags & O_DIRECTORY:
        raise PermissionError(13, "Permission denied", path)
    return open_(path, flags, *others, **options)
os.open = refuse_folders
del os.fork
import lmkeras, lmkeras.durable
lmkeras.durable._IS_WINDOWS = True
model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=4)
model.fit(["ab" * 50], steps=2, verbose=0, run_folder="run", tensorboard=False)
model.save("run")
model.export("exported")
again = lmkeras.load("run")
assert again.generate("a", 5) == model.generate("a", 5)
"""


def test_lmkeras_works_without_what_posix_alone_has(tmp_path):
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, check=True)
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert not left


def test_windows_syncs_files_and_leaves_folders_to_the_system(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "_IS_WINDOWS", True)
    synced = []
    monkeypatch.setattr(durable.os, "fsync", synced.append)
    (tmp_path / "a.txt").write_text("a")
    durable.sync(tmp_path)
    assert not synced
    durable.sync(tmp_path / "a.txt")
    assert len(synced) == 1


@pytest.mark.parametrize("address", ["gs://bucket/run", "s3://bucket/run", "hdfs://host/run", "https://host/run"])
def test_addresses_are_no_local_folders(address):
    with pytest.raises(InputError, match=f"{address} is an address: name a folder or file of this machine"):
        durable.local(address)


def test_a_path_made_of_an_address_is_refused_too():
    with pytest.raises(InputError, match="gs:/bucket/run is an address"):
        durable.local(Path("gs://bucket/run"))


@pytest.mark.parametrize("path", ["run", "./gs:/run", "/tmp/a b", r"C:\run", "C:/run", "a:b"])
def test_other_paths_are(path):
    assert str(durable.local(path)) == str(durable.Path(path))
