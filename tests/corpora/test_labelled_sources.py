"""The names of labelled sources, alone and together, and what is said of names that are none."""

from pathlib import Path

import pytest

from lmkeras.corpora import as_labelled_corpus, open_labelled_corpus
from lmkeras.corpora.docstrings import python_docstrings
from lmkeras.errors import InputError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text,label\none,x\n", encoding="utf-8")
    Path("b.txt").write_text("y\ttwo\n", encoding="utf-8")
    Path("c").mkdir()
    Path("c/d.jsonl").write_text('{"text": "three", "label": 3}', encoding="utf-8")
    Path("utf-16.csv").write_text("text,label\n日本語,x\n", encoding="utf-16")
    return tmp_path


ONE, TWO, THREE = ("one", "x"), ("two", "y"), ("three", "3")


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("a.csv", [ONE]),
        (Path("b.txt"), [TWO]),
        ("c", [THREE]),
        ("[ab].*", [ONE, TWO]),
        (["c", "b.txt", Path("a.csv"), "c"], [THREE, TWO, ONE, THREE]),
    ],
)
def test_sources_in_order(tree, sources, expected):
    corpus = open_labelled_corpus(sources)
    assert list(corpus) == list(corpus) == expected


def test_as_labelled_corpus_opens_sources(tree):
    assert list(as_labelled_corpus("a.csv")) == list(as_labelled_corpus(Path("a.csv"))) == [ONE]
    assert list(as_labelled_corpus([Path("c"), Path("a.csv")])) == [THREE, ONE]
    assert list(as_labelled_corpus((Path("c"), Path("a.csv")))) == [THREE, ONE]


def test_encodings(tree):
    assert list(open_labelled_corpus("utf-16.csv", encoding="utf-16")) == [("日本語", "x")]
    with pytest.raises(InputError, match="not utf-8"):
        list(open_labelled_corpus("utf-16.csv"))


def test_builtin_docstrings():
    assert list(open_labelled_corpus("builtin:python-docstrings")) == list(python_docstrings())


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("nofile.csv", {}, "no such file or folder: 'nofile.csv'"),
        ([], {}, "at least one source"),
        ([3], {}, "got int"),
        ("builtin:python-docs", {}, "expected one of python-docstrings; did you mean 'python-docstrings'?"),
        ("http://a.b/c.csv", {}, "expected one of builtin:, tfds:"),
        ("a.csv", {"encoding": "utf-9"}, "unknown encoding"),
        ("a.csv", {"label_column": "text"}, "differ from each other, got text_column 'text', label_column 'text'"),
        ("a.csv", {"pair_column": "label"}, "pair_column 'label', label_column 'label'"),
        ("b.txt", {"pair_column": "b"}, "b.txt': expected .csv, .tsv or .jsonl files, which can hold pairs"),
        ("builtin:python-docstrings", {"pair_column": "b"}, "which can hold pairs of texts, got others"),
    ],
)
def test_sources_that_cannot_be_opened(tree, source, options, message):
    with pytest.raises(InputError) as caught:
        open_labelled_corpus(source, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
