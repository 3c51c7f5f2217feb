import os

import pytest

from lmkeras import durable
from lmkeras.durable import replacing


def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("before")

    def fail():
        with replacing(path) as aside:
            aside.write_text("after")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["note.txt"]
    assert path.read_text() == "before"


def test_content_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    path, done = tmp_path / "note.txt", []
    path.write_text("before")

    class Noting:
        def __getattr__(self, name):
            def call(*args):
                if name in ("fsync", "replace"):
                    done.append((name, path.read_text()))
                return getattr(os, name)(*args)

            return getattr(os, name) if name.isupper() else call

    monkeypatch.setattr(durable, "os", Noting())
    with replacing(path) as aside:
        aside.write_text("after")
    assert done == [("fsync", "before"), ("replace", "before"), ("fsync", "after")]
