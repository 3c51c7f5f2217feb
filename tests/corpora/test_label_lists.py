"""Labels of texts that may have several, from every place where they can be written."""

import gzip
import json
import logging

import numpy as np
import pytest

from lmkeras.corpora import LabelledCorpus, as_labelled_corpus, label_lists, open_labelled_corpus
from lmkeras.errors import InputError

TEXTS = ["a kind word", "你这个笨蛋", "I will find you", "rain"]
LABELS = [("kind",), ("insult", "脏话"), ("insult", "threat"), ()]
NAMES = ("kind", "insult", "threat", "脏话")
EXAMPLES = list(zip(TEXTS, LABELS, strict=True))


def marks(of_one):
    return [int(name in of_one) for name in NAMES]


def written(path, lines):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return path


def json_lines(path, values):
    rows = zip(TEXTS, values, strict=True)
    return written(path, (json.dumps({"text": text, "label": value}, ensure_ascii=False) for text, value in rows))


def table(path, values):
    rows = zip(TEXTS, values, strict=True)
    return written(path, ["text\tlabel", *(f"{text}\t{value}" for text, value in rows)])


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_lists_in_json_lines(tmp_path, name):
    corpus = open_labelled_corpus(json_lines(tmp_path / name, [list(label) for label in LABELS]))
    assert list(corpus) == EXAMPLES
    assert corpus.multi_label
    assert corpus.label_counts() == {"insult": 2, "kind": 1, "threat": 1, "脏话": 1}


def test_a_separator_in_a_table(tmp_path):
    file = table(tmp_path / "a.tsv", [" | ".join(label) for label in LABELS])
    assert list(open_labelled_corpus(file, label_separator="|")) == EXAMPLES
    with pytest.raises(InputError, match="1 of 4 examples have no label"):  # without it, each text needs its label
        list(open_labelled_corpus(file))


def test_a_separator_before_a_tab(tmp_path):
    file = written(tmp_path / "a.txt", [f"{','.join(label)}\t{text}" for text, label in EXAMPLES])
    assert list(open_labelled_corpus(file, label_separator=",")) == EXAMPLES


def test_a_column_of_0_and_1_for_each_label(tmp_path):
    rows = ["\t".join(["text", *NAMES]), *("\t".join([text, *map(str, marks(label))]) for text, label in EXAMPLES)]
    corpus = open_labelled_corpus(written(tmp_path / "a.tsv", rows), label_columns=NAMES)
    assert list(corpus) == [(text, tuple(sorted(label, key=NAMES.index))) for text, label in EXAMPLES]
    rows = [json.dumps({"text": text, **{name: name in label for name in NAMES}}) for text, label in EXAMPLES]
    assert list(open_labelled_corpus(written(tmp_path / "a.jsonl", rows), label_columns=NAMES)) == list(corpus)


def test_several_labels_in_a_line_of_fasttext(tmp_path):
    lines = [" ".join([*(f"__label__{name}" for name in label), text]) for text, label in EXAMPLES]
    assert list(open_labelled_corpus(written(tmp_path / "a.txt", lines))) == EXAMPLES
    single = ["__label__x one"] * 12
    later = open_labelled_corpus(written(tmp_path / "b.txt", [*single, "__label__x __label__y two"]))
    assert list(later)[-1] == ("two", ("x", "y"))
    assert next(iter(later)) == ("one", "x")
    assert later.multi_label
    assert later.label_counts() == {"x": 13, "y": 1}


@pytest.mark.parametrize("spell", [json.dumps, lambda value: json.dumps(value, ensure_ascii=False), str])
def test_lists_written_as_text_are_lists_and_this_is_said(tmp_path, spell, caplog):
    file = table(tmp_path / "a.tsv", [spell(list(label)) for label in LABELS])
    with caplog.at_level(logging.WARNING, "lmkeras"):
        assert list(open_labelled_corpus(file)) == list(open_labelled_corpus(file)) == EXAMPLES
    assert caplog.text.count("are read as lists of labels") == 1


def test_0_and_1_written_as_a_list_are_marks_and_this_is_said(tmp_path, caplog):
    file = table(tmp_path / "a.tsv", [str(marks(label)) for label in LABELS])
    with caplog.at_level(logging.WARNING, "lmkeras"):
        assert [label for _, label in open_labelled_corpus(file)] == [("0",), ("1", "3"), ("1", "2"), ()]
    assert "0 or 1 for each of 4 labels, which are called 0 to 3; name them with label_columns" in caplog.text


def test_brackets_that_are_no_list_stay_and_what_to_do_is_said(tmp_path, caplog):
    file = table(tmp_path / "a.tsv", ["[news]", "[sports]", "[0 1]", "[news]"])
    with caplog.at_level(logging.WARNING, "lmkeras"):
        assert open_labelled_corpus(file).label_counts() == {"[0 1]": 1, "[news]": 2, "[sports]": 1}
    assert "label_separator" in caplog.text


def test_a_text_that_is_no_list_after_lists_is_refused(tmp_path):
    lines = ["text\tlabel", *["x\t['a', 'b']"] * 12, "y\ta"]
    with pytest.raises(InputError, match="line 14: expected a list of labels as in the examples before, got 'a'"):
        list(open_labelled_corpus(written(tmp_path / "a.tsv", lines)))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([["a", "b"], ["c"], []], [("a", "b"), ("c",), ()]),
        ([("a", "a"), {"b", "a"}, frozenset()], [("a",), ("a", "b"), ()]),
        ([np.array(["a", "b"]), np.array([], str), ["c"]], [("a", "b"), (), ("c",)]),
        ([[2, 0], [1], []], [("2", "0"), ("1",), ()]),
        ([[1, 0], [0, 1], [0, 1]], [("0",), ("1",), ("1",)]),
        ([[0, 1], [0, 1], [0, 1]], [("0", "1")] * 3),  # may be two labels for each text, or marks: never both
        (np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]]), [("1", "2"), (), ("0",)]),
        (np.array([[0, 1], [0, 0], [1, 1]], "float32"), [("1",), (), ("0", "1")]),
        (np.array([[False, True], [False, False], [True, True]]), [("1",), (), ("0", "1")]),
        (np.array([[1], [0], [1]]), ["1", "0", "1"]),
        (["b", ["a", "b"], "a"], ["b", ("a", "b"), "a"]),
    ],
)
def test_labels_in_memory(labels, expected):
    corpus = as_labelled_corpus((["x", "y", "z"], labels))
    assert [label for _, label in corpus] == expected
    assert corpus.multi_label == any(isinstance(label, tuple) for label in expected)


@pytest.mark.parametrize("labels", [np.array([[0, 1]]), np.array([[0, 1]] * 12 + [[1, 0]]), [[0, 1]] * 12 + [[1, 0]]])
def test_0_and_1_in_memory_are_marks_although_the_first_might_be_names(labels):
    corpus = as_labelled_corpus((["x"] * len(labels), labels))
    assert [label for _, label in corpus] == [("1",), *[("1",)] * 11, ("0",)][: len(labels)]


def test_arrays_of_0_and_1_are_shown_as_lists(caplog):
    list(as_labelled_corpus((["x"], np.array([[0, 1, 0, 1, 1, 1]]))))
    assert "labels such as [0, 1, 0, 1, 1, 1] are read as a 0 or 1 for each of 6 labels" in caplog.text


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (np.array([1.0, 0.0]), "[1.0, 0.0]"),
        ((np.float64(1), np.float64(0)), "[1.0, 0.0]"),
        (str([1.0, 0.0] * 20), "[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, …]"),
        ("['脏话', 'a']", "['脏话', 'a']"),
        (str(["l" * 50, "b"]), f"['{'l' * 50}', …]"),
    ],
)
def test_lists_in_messages_have_plain_and_whole_items(row, shown, caplog):
    label_lists._say_once.cache_clear()
    list(as_labelled_corpus((["x"], [row])))
    assert f"labels such as {shown} are read as" in caplog.messages[0]


@pytest.mark.parametrize("separator", [",", ";", "|", "，", "；", "、"])
def test_missing_beside_labels_with_a_separator(tmp_path, separator):
    advice = f"say label_separator '{separator}' (--label-separator '{separator}')"
    lines = ["text\tlabel", "x\ta", f"x\ta{separator}b", f"x\t脏话{separator}b", *["x\tb"] * 20, "x\t"]
    for rows in (lines, [lines[0], lines[-1], *lines[1:-1]]):
        file = written(tmp_path / "a.tsv", rows)
        with pytest.raises(InputError, match="1 of 24 examples have no label") as refused:
            list(open_labelled_corpus(file))
        assert str(refused.value).endswith(advice)
        open_labelled_corpus(file, label_separator=separator).label_counts()  # as advised
    with pytest.raises(InputError, match="1 of 24 examples have no label") as refused:
        list(open_labelled_corpus(written(tmp_path / "a.tsv", [line.replace(separator, "-") for line in lines])))
    assert "label_separator" not in str(refused.value)


def test_columns_of_0_and_1_are_named_where_there_is_no_column_of_labels(tmp_path):
    file = written(tmp_path / "a.csv", ["text,id,cheap,脏话", "x,7,0,1", "y,1,1,0"])
    with pytest.raises(InputError, match=r"'cheap', '脏话' hold 0 or 1, name .* label_columns \(--label-columns\)$"):
        list(open_labelled_corpus(file))
    with pytest.raises(InputError, match=r"each name for itself, --label-columns cheap 脏话 on the command line$"):
        list(open_labelled_corpus(file, label_columns=["cheap,脏话"]))
    with pytest.raises(InputError, match=r"Name one with label_columns \(--label-columns\)$"):
        list(open_labelled_corpus(file, label_columns=["cheap,other"]))


def test_one_label_each_is_no_multi_label_corpus():
    assert not LabelledCorpus.from_examples(["x", "y"], ["a", "b"]).multi_label


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["text,a,b", "x,1,2"], {"label_columns": ("a", "b")}, "line 2: expected 0 or 1 for the label 'b', got '2'"),
        (["text,a,b", "x,1,"], {"label_columns": ("a", "b")}, "line 2: expected 0 or 1 for the label 'b', got ''"),
        (
            ["text,a", "x,1"],
            {"label_columns": ("a", "b")},
            r"column 'b' is missing; .* label_columns \(--label-columns\)",
        ),
        (["text,a", "x,1"], {"label_columns": ("a", "a")}, "expected different names, got .?a.?, .?a"),
        (["text,a", "x,1"], {"label_columns": ("text",)}, "expected columns that differ"),
        (["text,label", "x,a"], {"label_separator": ""}, "must not be empty"),
        (["text,a", "x,1"], {"label_separator": ",", "label_columns": ("a",)}, "say one of them"),
    ],
)
def test_what_is_refused_and_why(tmp_path, lines, options, message):
    file = written(tmp_path / "a.csv", lines)
    with pytest.raises(InputError, match=message):
        list(open_labelled_corpus(file, **options))


def test_columns_of_labels_are_columns_of_tables(tmp_path):
    file = written(tmp_path / "a.txt", ["x\tone"])
    with pytest.raises(InputError, match=r"label_columns \(--label-columns\) are columns of .csv, .tsv or .jsonl"):
        open_labelled_corpus(file, label_columns=("a",))


def test_0_and_1_in_memory_with_names_of_the_labels():
    matrix = np.array([marks(label) for label in LABELS])
    expected = [(text, tuple(sorted(label, key=NAMES.index))) for text, label in EXAMPLES]
    rows = [{"text": text, **dict(zip(NAMES, marks(label), strict=True))} for text, label in EXAMPLES]
    table = {"text": TEXTS, **dict(zip(NAMES, matrix.T, strict=True))}
    for value in ((TEXTS, matrix), list(zip(TEXTS, matrix, strict=True)), rows, table):
        assert list(as_labelled_corpus(value, label_columns=NAMES)) == expected
    joined = {"text": TEXTS, "label": ["|".join(label) for label in LABELS]}
    assert list(as_labelled_corpus(joined, label_separator="|")) == EXAMPLES
