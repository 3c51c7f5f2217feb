"""Pairs of texts: from tables, from two files side by side and from memory; test_tfds.py has those of tfds:."""

import csv
import gzip
import io
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.pair_files import as_pairs, open_pairs
from lmkeras.corpora.pairs import Pair, Pairs
from lmkeras.corpora.tables import fold_rows, split_rows
from lmkeras.errors import InputError

PAIRS = [Pair("good night", "晚安"), Pair("a, b\u2028c", "«ä»"), Pair(" two  blanks ", "x")]
TURNED = [Pair(target, source) for source, target in PAIRS]
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n")).filter(str.strip)


def write(path, content):
    content = content.encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def table(pairs=PAIRS, header=("source", "target"), delimiter=","):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows([header, *pairs])
    return text.getvalue()


def lines(texts):
    return "".join(f"{text}\n" for text in texts)


def write_sides(folder, names, pairs, last_line_ends=True):
    sides = zip(names, zip(*pairs, strict=True), strict=True)
    return [write(folder / name, "\n".join(texts) + "\n" * last_line_ends) for name, texts in sides]


def error_of(corpus):
    with pytest.raises(InputError) as caught:
        list(corpus())
    assert "\n" not in str(caught.value)
    return str(caught.value)


FILES = {
    "a.csv": table(),
    "a.csv.gz": table(),
    "a.tsv": table(delimiter="\t"),
    "a.jsonl": lines(json.dumps({"target": target, "n": 1, "source": source}) for source, target in PAIRS),
}


@pytest.mark.parametrize("name", FILES)
def test_tables_have_a_column_for_each_side(tmp_path, name):
    path = write(tmp_path / name, FILES[name])
    corpus = open_pairs(path)
    assert list(corpus) == list(corpus) == PAIRS
    assert {type(pair) for pair in corpus} == {Pair}
    assert list(open_pairs(path, reverse=True)) == TURNED
    assert list(open_pairs(path, source_column="target", target_column="source")) == TURNED
    assert list(open_pairs(path, source_column="target", target_column="source", reverse=True)) == PAIRS
    assert list(as_pairs(path)) == list(as_pairs(str(path))) == PAIRS


def test_tables_follow_one_another_and_need_no_default_names(tmp_path):
    write(tmp_path / "b.csv", table(header=("en", "zh")))
    write(tmp_path / "folder" / "a.tsv", table(header=("en", "zh"), delimiter="\t"))
    write(tmp_path / "folder" / "README.md", "no table")
    corpus = open_pairs([tmp_path / "folder", tmp_path / "b.csv"], source_column="en", target_column="zh")
    assert list(corpus) == 2 * PAIRS
    corpus = open_pairs(f"{tmp_path}/**/*", source_column="zh", target_column="en")
    assert list(corpus) == 2 * TURNED


@pytest.mark.parametrize("ending", ["", ".gz", ".txt"])
def test_two_files_have_the_pairs_line_by_line(tmp_path, ending):
    sides = write_sides(tmp_path, [f"train.en{ending}", f"train.de{ending}"], PAIRS)
    corpus = open_pairs(sides)
    assert list(corpus) == list(corpus) == PAIRS
    assert list(open_pairs(sides, reverse=True)) == TURNED
    assert list(open_pairs(sides[::-1])) == TURNED
    assert list(as_pairs(sides)) == PAIRS


@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=8), st.booleans())
def test_any_lines_come_back(tmp_path_factory, pairs, last_line_ends):
    sides = write_sides(tmp_path_factory.mktemp("lines"), ["source", "target"], pairs, last_line_ends)
    read = [text.removeprefix("\ufeff") for text in pairs[0]]  # at the beginning of a file it is a byte order mark
    if all(map(str.strip, read)):
        assert list(open_pairs(sides)) == [tuple(read), *pairs[1:]]


@pytest.mark.parametrize("what", ["glob", "folder"])
def test_a_glob_or_a_folder_of_two_files_says_which_is_which(tmp_path, caplog, what):
    folder = tmp_path / "data"
    de, en = write_sides(folder, ["train.de", "train.en"], PAIRS)
    corpus = open_pairs(folder / "train.*" if what == "glob" else folder)
    assert list(corpus) == PAIRS
    (message,) = caplog.messages
    assert message == (
        f"the sources are those of {de}, the targets those of {en}: in the order of their names, which reverse changes"
    )


def test_files_of_different_lengths_are_refused_with_both_counts(tmp_path):
    a, b = write(tmp_path / "a", "1\n2\n3\n"), write(tmp_path / "b", "1\n2\n")
    why = ": line n of one belongs to line n of the other"
    assert error_of(lambda: open_pairs([a, b])) == f"expected as many lines in {b} as in {a}, got 2 and 3{why}"
    assert error_of(lambda: open_pairs([b, a])) == f"expected as many lines in {a} as in {b}, got 3 and 2{why}"
    empty = write(tmp_path / "empty", "")
    assert f"got 0 and 3{why}" in error_of(lambda: open_pairs([a, empty]))
    assert "there are no pairs" in error_of(lambda: open_pairs([empty, empty]))


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], ["a", "t.csv"], ["a", "b", "t.csv"]])
def test_other_numbers_of_files_are_refused(tmp_path, names):
    for name in ("a", "b", "c"):
        write(tmp_path / name, "x\n")
    write(tmp_path / "t.csv", table())
    message = error_of(lambda: open_pairs([tmp_path / name for name in names]))
    assert message.startswith("expected .csv, .tsv or .jsonl files with columns for source and target, or exactly two")
    assert f"got {len(set(names) - {'t.csv'})} of these others" in message


def test_what_is_missing_is_named(tmp_path):
    path = write(tmp_path / "a.csv", "source,traget\nx,y\n")
    message = error_of(lambda: open_pairs(path))
    assert message.startswith(f"{path} line 1: column 'target' is missing; the columns are 'source', 'traget'")
    assert "target_column (--target-column)" in message
    path = write(tmp_path / "a.jsonl", '{"source": "x", "target": null}\n')
    assert "with a string under 'target', got null" in error_of(lambda: open_pairs(path))
    assert "no such file" in error_of(lambda: open_pairs(tmp_path / "nowhere"))
    assert "expected different columns" in error_of(lambda: open_pairs(path, target_column="source"))
    assert "unknown encoding" in error_of(lambda: open_pairs(path, encoding="utf-99"))
    assert "unknown quoting" in error_of(lambda: open_pairs(path, quoting="maybe"))


def test_pairs_with_a_blank_side_are_left_out_and_counted_once(tmp_path, caplog):
    path = write(tmp_path / "a.csv", table([*PAIRS, ("no target", " \t"), ("", "no source"), ("", "")]))
    corpus = open_pairs(path)
    assert list(corpus) == list(corpus) == PAIRS
    assert caplog.messages == [f"3 of 6 pairs have no source or no target and are left out (first: {path} line 5)"]
    caplog.clear()
    assert list(as_pairs([("a", "b"), ("", "b")])) == [("a", "b")]
    assert caplog.messages == ["1 of 2 pairs have no source or no target and are left out (first: item 2 of the list)"]
    sides = [write(tmp_path / name, text) for name, text in (("s", "1\n\n3\n"), ("t", "1\n2\n3\n"))]
    assert list(open_pairs(sides)) == [("1", "1"), ("3", "3")]
    assert f"(first: {sides[0]} line 2)" in caplog.text


def test_nothing_but_blank_sides_is_an_error(tmp_path):
    path = write(tmp_path / "a.csv", table([("x", "")]))
    assert error_of(lambda: open_pairs(path)).startswith("there are no pairs")


@pytest.mark.parametrize(("equal", "told"), [(5, False), (6, True)])
def test_the_same_texts_on_both_sides_are_told_of(caplog, equal, told):
    corpus = as_pairs([(str(n), str(n) if n < equal else "other") for n in range(10)])
    assert len(list(corpus)) == len(list(corpus)) == 10
    expected = f"source and target are the same in {equal} of 10 pairs: are both read from the same column or file?"
    assert caplog.messages == [expected] * told


def test_examples_in_memory():
    sources, targets = map(list, zip(*PAIRS, strict=True))
    frame = pd.DataFrame({"en": sources, "zh": targets})
    names = {"source_column": "en", "target_column": "zh"}
    given_as = [
        (PAIRS, {}),
        (list(map(list, PAIRS)), {}),
        ((sources, targets), {}),
        (iter(PAIRS), {}),
        ([{"source": source, "target": target} for source, target in PAIRS], {}),
        ({"source": sources, "target": targets}, {}),
        (frame, names),
        ((frame["en"], frame["zh"]), {}),
    ]
    for value, columns in given_as:
        assert list(as_pairs(value, **columns)) == PAIRS
    assert list(as_pairs(frame, **names, reverse=True)) == TURNED
    corpus = as_pairs(PAIRS)
    assert as_pairs(corpus, reverse=True) is corpus, "pairs are turned where they are read, and once"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([("a", None)], "item 1 of the list: expected target as a text, got None"),
        ([("a", 3)], "item 1 of the list: expected target as a text, got 3"),
        ([(("a", "b"), "c")], "item 1 of the list: expected source as a text"),
        ([("a", "b", "c")], "item 1 of the list: expected source, target, got"),
        (["a", "b"], "item 1 of the list: expected source, target, got 'a'"),
        ([("a\0", "b")], r"U\+0000 is not a character of text"),
        ([], "expected at least one source and its target"),
        ((["a", "b"], ["c"]), "got 2 texts and 1 targets"),
        ({"source": ["a"]}, "'target' is missing"),
        (3, "got int"),
    ],
)
def test_what_is_wrong_in_memory_is_named(value, message):
    with pytest.raises(InputError, match=message):
        list(as_pairs(value))


def test_a_part_of_pairs_is_pairs():
    corpus = as_pairs([(f"source {n}", f"target {n}") for n in range(10)])
    train, held_out = split_rows(corpus, 0.3)
    assert {type(train), type(held_out)} == {Pairs}
    assert sorted([*train, *held_out]) == sorted(corpus)
    assert sum(len(list(held)) for _, held in fold_rows(corpus, 3)) == 10
