"""Examples to be judged: one for each line or row, so that results can be put beside them."""

import csv
import io
import json
import pydoc_data.topics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora import open_examples
from lmkeras.corpora.docstrings import python_docstrings
from lmkeras.errors import InputError

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unlabelled")


def write(path, content):
    path.write_bytes(content.encode("utf-8"))
    return path


@given(st.lists(LINES, min_size=1), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_a_text_for_every_line(folder, lines, end, ended):
    path = write(folder / "a.txt", "\ufeff" + end.join(lines) + (end if ended else ""))
    written = lines if ended or lines[-1] else lines[:-1]
    if written:
        examples = open_examples(path)
        assert list(examples) == list(examples) == written
    else:
        with pytest.raises(InputError, match="holds no text"):
            list(open_examples(path))


@given(st.lists(st.tuples(LINES, LINES), min_size=1))
def test_a_text_or_a_pair_for_every_row(folder, pairs):
    rows = io.StringIO()
    csv.writer(rows).writerows([["b", "label", "a"], *([second, "", first] for first, second in pairs)])
    path = write(folder / "a.csv", rows.getvalue())
    assert list(open_examples(path, text_column="a")) == [first for first, _ in pairs]
    assert list(open_examples(path, text_column="a", pair_column="b")) == pairs
    lines = [json.dumps({"b": second, "label": None, "a": first}) for first, second in pairs]
    path = write(folder / "a.jsonl", "\n".join(lines))
    assert list(open_examples(path, text_column="a")) == [first for first, _ in pairs]
    assert list(open_examples(path, text_column="a", pair_column="b")) == pairs


def test_lines_of_json_may_be_texts(folder):
    path = write(folder / "a.jsonl", '"one"\n{"text": ""}\n')
    assert list(open_examples(path)) == ["one", ""]
    with pytest.raises(InputError, match="line 1: expected an object with a string under 'text', got str"):
        list(open_examples(path, pair_column="b"))


def test_several_sources(tmp_path):
    write(tmp_path / "b.txt", "one\n\ntwo")
    write(tmp_path / "a.csv", "text\nthree\n")
    assert list(open_examples(tmp_path)) == ["three", "one", "", "two"]
    assert list(open_examples([f"{tmp_path}/*.txt", tmp_path / "a.csv"])) == ["one", "", "two", "three"]


def test_builtin_texts():
    topics = pydoc_data.topics.topics
    assert list(open_examples("builtin:python-docs")) == [topics[name] for name in sorted(topics)]
    assert list(open_examples("builtin:python-docstrings")) == [text for text, _ in python_docstrings()]


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.txt", "", {}, "a.txt holds no text"),
        ("a.csv", "text\n", {}, "a.csv holds no text"),
        ("a.csv", "review\na\n", {}, "Name one with text_column (--text-column)"),
        ("a.csv", "text\na\n", {"pair_column": "b"}, "Name one with pair_column (--pair-column)"),
        ("a.csv", "text\na\n", {"pair_column": "text"}, "differ from each other"),
        ("a.txt", "a\n", {"pair_column": "b"}, "Leave out pair_column (--pair-column) where every example is one text"),
        ("a.txt", "a\n", {"encoding": "utf-9"}, "unknown encoding"),
        ("a.txt", "a\nb\0\n", {}, "a.txt line 2: U+0000"),
    ],
)
def test_what_cannot_be_judged(folder, name, content, options, message):
    path = write(folder / name, content)
    with pytest.raises(InputError) as caught:
        list(open_examples(path, **options))
    assert message in str(caught.value)


@pytest.mark.parametrize("source", ["nofile.txt", "builtin:python-doc", [], "http://a.b/c.txt"])
def test_names_of_nothing(source):
    with pytest.raises(InputError):
        open_examples(source)
