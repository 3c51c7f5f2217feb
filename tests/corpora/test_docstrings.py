"""The docstrings of the standard library: enough of them, the same every time, and each from where it is said to be."""

import hashlib
import inspect
import json
import logging.handlers
import os
import shutil
import statistics
import subprocess
import sys
import threading
import unittest.mock
from collections import Counter
from email.message import Message
from pathlib import Path

import pytest

from lmkeras.corpora import docstrings
from lmkeras.corpora.docstrings import python_docstrings
from lmkeras.errors import InputError


def test_enough_of_them_and_each_only_once():
    examples = list(python_docstrings())
    counts = Counter(area for _, area in examples)
    assert len(examples) >= 3_000
    assert 6 <= len(counts) <= 10
    assert min(counts.values()) >= 150
    assert len({text for text, _ in examples}) == len(examples)
    assert min(len(text) for text, _ in examples) >= 40
    "".join(text for text, _ in examples).encode("utf-8")
    assert not any("\0" in text for text, _ in examples)


@pytest.mark.parametrize(
    ("documented", "area"),
    [
        (json.JSONEncoder.default, "internet"),
        (shutil, "files"),
        (shutil.copytree, "files"),
        (statistics.NormalDist, "numbers"),
        (threading.Condition.wait_for, "concurrency"),
        (logging.handlers.RotatingFileHandler.__init__, "system"),
        (unittest.mock.create_autospec, "development"),
        (Message.get_payload, "internet"),
    ],
)
def test_labels_are_those_of_the_objects_modules(documented, area):
    assert (inspect.cleandoc(documented.__doc__), area) in list(python_docstrings())


def test_the_same_in_every_process():
    program = (
        "import hashlib, json; from lmkeras.corpora.docstrings import python_docstrings;"
        "print(hashlib.sha256(json.dumps(list(python_docstrings())).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(json.dumps(list(python_docstrings())).encode()).hexdigest()


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(docstrings, "_AREAS", {"x": "a b gone", "y": "c"})
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    return tmp_path


LONG = "a docstring that is long enough to say where it is from"


def test_where_docstrings_are_looked_for(library):
    source = f'''
        """Module: {LONG}"""
        raise ImportError("parsed, not imported")
        def function():
            """Function: {LONG}

                indented
            """
            def inner():
                """Inner: {LONG}"""
        class Class:
            """Class: {LONG}"""
            async def method(self):
                """Method: {LONG}"""
            value = 1
            """Not a docstring: {LONG}"""
        def short():
            """Too short."""
    '''
    (library / "a.py").write_text(inspect.cleandoc(source), encoding="utf-8")
    (library / "unlisted.py").write_text(f'"""Unlisted: {LONG}"""', encoding="utf-8")
    found = dict(python_docstrings())
    assert set(found.values()) == {"x"}
    assert sorted(text.split(":")[0] for text in found) == ["Class", "Function", "Inner", "Method", "Module"]
    assert f"Function: {LONG}\n\nindented" in found


def test_what_stands_in_two_places(library):
    for name in ("a.py", "b/__init__.py", "b/inner/module.py", "b/test/module.py", "c.py"):
        path = library / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{name}: {LONG}"""\nclass One:\n  """{LONG}"""\n', encoding="utf-8")
    assert [(text.split(":")[0], area) for text, area in python_docstrings()] == [
        ("a.py", "x"),
        ("b/__init__.py", "x"),
        ("b/inner/module.py", "x"),
        ("c.py", "y"),
    ]
    (library / "c.py").unlink()
    docstrings._examples.cache_clear()
    docstrings.library_modules.cache_clear()
    assert list(python_docstrings())[1] == (LONG, "x"), "twice in one area is once"


def test_a_library_without_source(library):
    with pytest.raises(InputError, match="does not hold the source of Python's standard library"):
        python_docstrings()
