"""Paths, globs, folders and names: which files they stand for, and what is said of those that stand for none."""

import os
import pydoc_data.topics
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora import Corpus, as_corpus, open_corpus
from lmkeras.corpora.files import SUFFIXES
from lmkeras.errors import InputError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder in which every .txt file holds its own path."""
    names = [
        "b.txt",
        "a/z.txt",
        "a/y.TXT",
        "a/deep/er/x.txt",
        "a-b/w.txt",
        ".hidden.txt",
        ".git/v.txt",
        "c/u.md",
        "[1].txt",
    ]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    (tmp_path / "folder.txt").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


ALL = ["[1].txt", "a/deep/er/x.txt", "a/y.TXT", "a/z.txt", "a-b/w.txt", "b.txt"]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("b.txt", ["b.txt"]),
        (Path("b.txt"), ["b.txt"]),
        (".", ALL),
        ("a", ["a/deep/er/x.txt", "a/y.TXT", "a/z.txt"]),
        (".git", [".git/v.txt"]),
        (".hidden.txt", [".hidden.txt"]),
        ("*.txt", ["[1].txt", "b.txt"]),
        ("[1].txt", ["[1].txt"]),
        ("a*/?.txt", ["a/z.txt", "a-b/w.txt"]),
        ("**/*.txt", [name for name in ALL if name != "a/y.TXT"]),
        ("**", ALL),
        (Path("a/*"), ["a/y.TXT", "a/z.txt"]),
        (["b.txt", Path("a/z.txt"), "b.txt"], ["b.txt", "a/z.txt", "b.txt"]),
        (("b.txt",), ["b.txt"]),
    ],
)
def test_files_in_order(tree, sources, expected):
    corpus = open_corpus(sources)
    assert list(corpus) == list(corpus) == expected


def test_absolute_paths_and_home(tree, monkeypatch):
    monkeypatch.setenv("HOME", str(tree))
    assert list(open_corpus(tree / "b.txt")) == list(open_corpus("~/b.txt")) == list(open_corpus("~/b.t*")) == ["b.txt"]


def test_links_are_followed_to_files_and_not_around_circles(tree):
    os.symlink(tree / "b.txt", tree / "a" / "link.txt")
    os.symlink(tree, tree / "a" / "circle")
    assert list(open_corpus("a")) == ["a/deep/er/x.txt", "b.txt", "a/y.TXT", "a/z.txt"]


def test_an_existing_file_wins_over_a_scheme(tree):
    (tree / "builtin:x.txt").write_text("a file", encoding="utf-8")
    assert list(open_corpus("builtin:x.txt")) == ["a file"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nofile.txt", "did you mean 'folder.txt'?; to pass the text itself, give a list: [text]"),
        ("nofolder/nofile.txt", f"no such file or folder: 'nofolder/nofile.txt', searched in {os.sep}"),
        ("a/dep/x.txt", os.path.join("a; did you mean 'a", "deep'?")),
        (Path("nofile.txt"), "no such file or folder: 'nofile.txt'"),
        ("b.txt/c.txt", "no such file or folder"),
        ("", "no such file or folder: ''"),
        ("To be, or not to be\n" * 999, r"no such file or folder: 'To be, or not to be\n"),
        ("Who's there?", "no file matches"),
        ("*.csv", "no file matches '*.csv'"),
        ("a\0b", "no such file or folder"),
        ("a\0/*", "no such file or folder"),
        ("c", f"'c' is or has no file with a name that ends in one of {', '.join(SUFFIXES)}"),
        ("c/u.md", "'c/u.md' is or has no file with a name that ends in one of .txt"),
        ("c/*", "'c/*' is or has no file with a name"),
        ("folder.txt", "'folder.txt' is or has no file"),
        ("pipe.txt", "'pipe.txt' is or has no file"),
        ("builtin:python-doc", "unknown builtin corpus 'python-doc': expected one of python-docs; did you mean"),
        ("https://a.b/c.txt", "unknown kind of source 'https:': expected one of builtin:, tfds:"),
        ("tfd:imdb_reviews:train", "did you mean 'tfds:'?"),
        ([], "at least one source"),
        ([b"b.txt"], "got bytes"),
        (["b.txt", "nofile.txt"], "no such file or folder: 'nofile.txt'"),
    ],
)
def test_sources_that_are_none(tree, source, message):
    os.mkfifo("pipe.txt")
    with pytest.raises(InputError) as caught:
        open_corpus(source)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(st.characters(exclude_characters="/~")))
def test_a_text_instead_of_a_source_is_an_input_error(tmp_path_factory, text):
    with pytest.MonkeyPatch.context() as patch:
        empty = tmp_path_factory.getbasetemp() / "empty"
        empty.mkdir(exist_ok=True)
        patch.chdir(empty)
        if text not in {".", ".."}:
            with pytest.raises(InputError):
                open_corpus(text)


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "", "utf\0", "undefined"])
def test_unknown_encodings(tree, encoding):
    with pytest.raises(InputError, match="unknown encoding"):
        open_corpus("b.txt", encoding=encoding)


def test_python_docs():
    topics = pydoc_data.topics.topics
    assert list(open_corpus("builtin:python-docs")) == [topics[name] for name in sorted(topics)]


def test_as_corpus(tree):
    corpus = Corpus.from_texts(["a"])
    assert as_corpus(corpus) is corpus
    assert list(as_corpus("b.txt")) == list(as_corpus(Path("b.txt"))) == list(as_corpus([Path("b.txt")])) == ["b.txt"]
    assert list(as_corpus("builtin:python-docs")) == list(open_corpus("builtin:python-docs"))
    assert list(as_corpus(["a text", "b.txt"])) == ["a text", "b.txt"]
    assert list(as_corpus(("tfds", "end of\na.txt"))) == ["tfds", "end of\na.txt"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["b.txt"], "'b.txt' reads like a source"),
        (["nofile.csv.gz", "tfds:imdb_reviews:train"], "Corpus.from_texts"),
        ([Path("b.txt"), "b.txt"], "text 1 of the list: expected a string"),
        ([], "at least one text"),
        (iter([]), "at least one text, got an empty list_iterator; an iterator is empty once it has been read"),
        ({"a"}, "got set"),
        (None, "got NoneType"),
        ("nofile", "give a list: [text]"),
    ],
)
def test_values_that_are_no_corpus(tree, value, message):
    with pytest.raises(InputError) as caught:
        as_corpus(value)
    assert message in str(caught.value)


def test_files_are_read_without_tensorflow(tree):
    program = (
        "import sys; from lmkeras.corpora import open_corpus; print(list(open_corpus('b.txt'))); "
        "print([name for name in ('tensorflow', 'tensorflow_datasets', 'keras') if name in sys.modules])"
    )
    package = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(package)}, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["['b.txt']", "[]"], done.stderr
