import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from lmkeras.errors import InputError
from lmkeras.training.checkpoints import Checkpoints

ARRAYS = {"a.0": np.arange(6, dtype=np.float32).reshape(2, 3), "a.1": np.array(7, np.int64), "b.0": np.zeros(0)}


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, keep=2)


def names(checkpoints):
    return sorted(path.name for path in checkpoints.folder.iterdir())


def test_what_is_written_is_read(checkpoints):
    assert checkpoints.newest() is None
    path = checkpoints.write(12, ARRAYS, {"step": 12, "lines": [{"loss": 0.1}], "best": None})
    found = checkpoints.newest()
    assert (found.path, found.facts) == (path, {"step": 12, "lines": [{"loss": 0.1}], "best": None})
    assert set(found.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert (found.arrays[name].dtype, found.arrays[name].shape) == (array.dtype, array.shape)


def test_the_last_few_are_kept_whatever_the_number_of_digits(checkpoints):
    for step in (99_999_998, 99_999_999, 100_000_000):
        checkpoints.write(step, ARRAYS, {"step": step})
    assert names(checkpoints) == ["update-100000000.safetensors", "update-99999999.safetensors"]
    assert checkpoints.newest().facts["step"] == 100_000_000


def test_the_same_update_written_again_replaces_the_first(checkpoints):
    for value in (1, 2):
        checkpoints.write(3, ARRAYS, {"value": value})
    assert names(checkpoints) == ["update-00000003.safetensors"]
    assert checkpoints.newest().facts == {"value": 2}


def test_a_training_is_unfinished_as_long_as_its_newest_checkpoint_says_so(checkpoints):
    assert not checkpoints.unfinished(), "there is none"
    checkpoints.write(1, ARRAYS, {"stopped": False})
    assert checkpoints.unfinished()
    path = checkpoints.write(2, ARRAYS, {"stopped": True})
    assert not checkpoints.unfinished()
    path.write_bytes(path.read_bytes()[:20])
    assert checkpoints.unfinished(), "the newest is damaged: the one before it counts"
    path.unlink()
    checkpoints.write(1, ARRAYS, {"step": 1})
    assert not checkpoints.unfinished(), "no training wrote this"


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(bytes(content))


def change_facts(path):
    path.write_bytes(path.read_bytes().replace(b"12345", b"12346"))


def change_a_name(path):
    path.write_bytes(path.read_bytes().replace(b'"a.0"', b'"a.9"'))


def without_digest(path):
    path.write_bytes(safetensors.numpy.save(ARRAYS))


@pytest.mark.parametrize("damage", [cut, flip, change_facts, change_a_name, without_digest, Path.unlink, os.truncate])
def test_a_damaged_one_is_reported_and_the_one_before_it_used(damage, checkpoints, caplog):
    checkpoints.write(1, ARRAYS, {"step": 1})
    path = checkpoints.write(2, ARRAYS, {"step": 2, "number": 12345})
    assert checkpoints.newest().facts["step"] == 2
    damage(path, 0) if damage is os.truncate else damage(path)
    assert checkpoints.newest().facts["step"] == 1
    assert (f"{path} is damaged" in caplog.text) == path.exists()


def test_damaged_ones_do_not_count_among_those_kept(checkpoints):
    checkpoints.write(40, ARRAYS, {"step": 40})
    cut(checkpoints.write(57, ARRAYS, {"step": 57}))
    assert checkpoints.newest().facts["step"] == 40
    for step in (50, 60):
        checkpoints.write(step, ARRAYS, {"step": step})
    assert names(checkpoints) == ["update-00000050.safetensors", "update-00000060.safetensors"]


def test_all_damaged_is_none(checkpoints, caplog):
    for step in (1, 2):
        cut(checkpoints.write(step, ARRAYS, {}))
    assert checkpoints.newest() is None
    assert caplog.text.count("is damaged") == 2


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(InputError, match=r"update-00000001.safetensors cannot be written: .*There is none before it"):
        Checkpoints(tmp_path, 2).write(1, ARRAYS, {})
    assert (tmp_path / "checkpoints").read_text() == "a file"


FULL = """
import resource, signal, sys, numpy as np
from lmkeras.errors import InputError
from lmkeras.training.checkpoints import Checkpoints
checkpoints = Checkpoints(sys.argv[1], 2)
checkpoints.write(1, {"a": np.zeros(10)}, {"step": 1})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    checkpoints.write(2, {"a": np.zeros(100_000)}, {"step": 2})
except InputError as error:
    print(error)
print(checkpoints.newest().facts["step"], [path.name for path in checkpoints.folder.iterdir()])
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="the system has no limit of a file's size")
def test_without_room_the_earlier_one_is_intact(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    message, left = done.stdout.splitlines()
    assert "update-00000002.safetensors cannot be written: " in message
    assert message.endswith("update-00000001.safetensors is intact: make room, and go on from there")
    assert left == "1 ['update-00000001.safetensors']"


def test_leftovers_are_removed_and_nothing_else(checkpoints):
    kept = checkpoints.write(1, ARRAYS, {})
    left = checkpoints.folder / ".update-00000002.safetensors.writing"
    left.write_bytes(b"half")
    other = checkpoints.folder / "note.txt"
    other.write_text("mine")
    checkpoints.tidy()
    assert (kept.exists(), left.exists(), other.exists()) == (True, False, True)
    checkpoints.clear()
    assert names(checkpoints) == ["note.txt"]
