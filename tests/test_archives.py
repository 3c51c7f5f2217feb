import io
import json
import os
import zipfile

import h5py
import numpy as np
import pytest

from lmkeras.archives import CheckedZip, checked_arrays, inside, parse_json, read_json, read_text, shortened
from lmkeras.errors import InputError


@pytest.mark.parametrize("text", ['{"a": [1, -2.5e3, null, true, "ü"]}', "5", '"x"', "[]"])
def test_plain_json_is_read_as_it_is(text, tmp_path):
    assert parse_json(text) == json.loads(text)
    (tmp_path / "file.json").write_text(text, encoding="utf-8")
    assert read_json(tmp_path / "file.json") == json.loads(text)


@pytest.mark.parametrize("text", ["[" * 10**5, "NaN", "-Infinity", "1e999", '{"a": 1, "a": 2}', "9" * 5000, "{", ""])
def test_other_json_is_refused(text, tmp_path):
    with pytest.raises(ValueError, match="expected JSON"):
        parse_json(text)
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(InputError, match=r"file\.json is damaged or in another format: expected JSON"):
        read_json(tmp_path / "file.json")


@pytest.mark.parametrize("begin", ["[", '{"a":'])
@pytest.mark.parametrize("deepest", [1, 3])
def test_the_deepest_nesting_is_exact(begin, deepest):
    end = "]" if begin == "[" else "}"
    inner = "" if begin == "[" else "1"
    assert parse_json(begin * deepest + inner + end * deepest, deepest) is not None
    with pytest.raises(ValueError, match=f"at most {deepest}"):
        parse_json(begin * (deepest + 1) + inner + end * (deepest + 1), deepest)


def test_the_largest_size_is_exact(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("é" * 5)
    assert read_text(path, 10) == "é" * 5
    with pytest.raises(InputError, match=r"file\.txt has 10 bytes: expected at most 9; it is not read"):
        read_text(path, 9)


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/zero", "."):
        with pytest.raises(InputError, match="is no regular file"):
            read_text(tmp_path / name, 10)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_text(tmp_path / "missing", 10)


def test_links_stay_inside(tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "folder-of-another").mkdir()
    assert inside(folder, "new") == folder / "new"
    (folder / "good").symlink_to("inner/../good-one")
    (folder / "loop").symlink_to("loop")
    for name in ("new", "inner", "good", "loop"):
        assert inside(folder, name) == folder / name
    for number, target in enumerate(
        ["..", "/etc/passwd", "../folder-of-another/x", "inner/../../x", "/proc/self/fd/0"]
    ):
        (folder / f"bad-{number}").symlink_to(target)
        (folder / f"worse-{number}").symlink_to(f"bad-{number}")
        for name in (f"bad-{number}", f"worse-{number}"):
            with pytest.raises(InputError, match=f"{name} is a link that leads out of its folder"):
                inside(folder, name)


@pytest.mark.parametrize("limit", [None, 5])
def test_members_are_read_as_they_are(tmp_path, limit):
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"12345")
        archive.writestr("b", os.urandom(10**6))
    with (
        CheckedZip(path, {"a": limit, "b": None}) as archive,
        archive.open("b") as member,
        zipfile.ZipFile(path) as same,
    ):
        assert archive.open("a").read() == b"12345"
        member.seek(7)
        assert member.read() == same.read("b")[7:]
    with pytest.raises(InputError, match="its member a has 5 bytes: expected at most 4"):
        CheckedZip(path, {"a": 4, "b": None})


def test_what_is_no_archive_is_refused(tmp_path):
    for content in (b"", b"not a zip", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 18):
        (tmp_path / "file.zip").write_bytes(content)
        with pytest.raises(InputError, match=r"file\.zip is damaged"):
            CheckedZip(tmp_path / "file.zip", {"a": None})


def test_arrays_are_found_in_all_groups():
    arrays = {"a": np.arange(3), "g/b": np.zeros((2, 0)), "g/h/c": np.float32(5), "g/d": np.ones((4, 4), "float16")}
    with io.BytesIO() as content:
        with h5py.File(content, "w") as file:
            for name, array in arrays.items():
                file[name] = array
        with h5py.File(content) as file:
            found = checked_arrays(file, len(content.getvalue()))
            assert found.keys() == arrays.keys()
            for name, array in arrays.items():
                np.testing.assert_array_equal(found[name][()], array)
            with pytest.raises(ValueError, match="its arrays have 60 bytes, the file has 59"):
                checked_arrays(file, 59)


def test_long_messages_are_cut_and_in_one_line():
    assert shortened("a\nb\t c") == "a b c"
    assert shortened("x" * 300) == "x" * 300
    assert shortened("x" * 10**6) == "x" * 300 + "…"
