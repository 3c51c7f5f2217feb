"""Reading labelled files: what independent writers wrote comes back, or the message says where the file is wrong."""

import csv
import gzip
import io
import json
import os
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora import open_labelled_corpus
from lmkeras.corpora.files import SUFFIXES
from lmkeras.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"))
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"))
NAMES = LINES.map(str.strip).filter(bool)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("labelled")


def write(path, content):
    content = content if isinstance(content, bytes) else content.encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read(path, **options):
    return list(open_labelled_corpus(path, **options))


def error_of(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    assert "\n" not in str(caught.value), "an error is one line"
    return str(caught.value)


def has_text(examples):
    return any(text.strip() for text, _ in examples)


@given(st.lists(st.tuples(TEXTS, NAMES), min_size=1).filter(has_text), st.sampled_from([".csv", ".tsv", ".csv.gz"]))
def test_tables_give_back_what_the_csv_module_wrote(folder, examples, suffix):
    rows = io.StringIO()
    writer = csv.writer(rows, delimiter="\t" if "tsv" in suffix else ",")
    writer.writerow(["class", "id", "review"])
    writer.writerows([label, number, text] for number, (text, label) in enumerate(examples))
    path = write(folder / f"a{suffix}", rows.getvalue())
    assert read(path, text_column="review", label_column="class", quoting="on") == examples


@given(st.lists(st.tuples(TEXTS, NAMES), min_size=1).filter(has_text), st.booleans())
def test_jsonl_gives_back_what_the_json_module_wrote(folder, examples, escaped):
    lines = [json.dumps({"label": label, "text": text}, ensure_ascii=escaped) for text, label in examples]
    assert read(write(folder / "a.jsonl", "\n\n".join(lines))) == examples


def test_json_labels_may_be_numbers(folder):
    labels = [1, -2, 0.5, True, False, "x", 1.0, -2e0, "1.0", "007"]
    path = write(folder / "a.jsonl", "\n".join(json.dumps({"text": "a", "label": label}) for label in labels))
    assert [label for _, label in read(path)] == ["1", "-2", "0.5", "True", "False", "x", "1", "-2", "1.0", "007"]


@given(st.lists(st.tuples(TEXTS, TEXTS, NAMES), min_size=1).filter(lambda rows: any(row[0].strip() for row in rows)))
def test_pairs_are_read_from_two_columns(folder, examples):
    rows = io.StringIO()
    csv.writer(rows).writerows([["hypothesis", "label", "premise"], *([b, label, a] for a, b, label in examples)])
    lines = [json.dumps({"hypothesis": b, "premise": a, "label": label}) for a, b, label in examples]
    expected = [((a, b), label) for a, b, label in examples]
    columns = {"text_column": "premise", "pair_column": "hypothesis"}
    assert read(write(folder / "a.csv", rows.getvalue()), **columns, quoting="on") == expected
    assert read(write(folder / "a.jsonl", "\n".join(lines)), **columns) == expected


@given(st.lists(st.tuples(LINES, NAMES.filter(lambda name: not re.search(r"\t|^__label__", name))), min_size=1))
def test_lines_of_label_and_text(folder, examples):
    path = write(folder / "a.txt.gz", "".join(f"{label}\t{text}\n\n \n" for text, label in examples))
    if has_text(examples):
        assert read(path) == examples
    else:
        assert error_of(path).startswith(f"{path} holds no text")


@given(
    st.lists(
        st.tuples(LINES.map(str.strip), NAMES.filter(lambda name: not re.search(r"[ \t\v\f]|__label__", name))),
        min_size=1,
    )
)
def test_lines_of_fasttext(folder, examples):
    examples = [(text.replace("__label__", "").strip(), label) for text, label in examples]
    path = write(folder / "a.txt", "\n".join(f"__label__{label} {text}" for text, label in examples))
    if has_text(examples):
        assert read(path) == examples
    else:
        assert error_of(path).startswith(f"{path} holds no text")


def test_formats_are_told_apart_by_the_first_lines(folder):
    mixed = "\nno label here\n__label__x\tone\ttwo\n"
    message = error_of(write(folder / "a.txt", mixed))
    assert message.removeprefix(str(folder / "a.txt")) == (
        ": 1 of 2 examples have no label (first: line 2). Give every example its label or leave it out"
    )
    assert read(write(folder / "a.txt", mixed.replace("no label", "__label__y"))) == [("here", "y"), ("one\ttwo", "x")]
    later = "x\tone\n" * 10 + "__label__x\ttwo\n"
    assert read(write(folder / "a.txt", later)) == [("one", "x")] * 10 + [("two", "__label__x")]


def test_folders_are_labels_as_keras_has_it(tmp_path):
    import keras

    for label in ("neg", "pos", "so so"):
        for number in range(3):
            write(tmp_path / label / f"{number}_{label}.txt", f"text {number}\nof {label}\n")
    write(tmp_path / "urls.txt", "not an example")
    write(tmp_path / "pos" / "vectors.bin", "0")
    data = keras.utils.text_dataset_from_directory(tmp_path, batch_size=None, shuffle=False, verbose=False)
    expected = [(text.decode(), data.class_names[label]) for text, label in data.as_numpy_iterator()]
    assert len(expected) == 9
    assert read(tmp_path) == expected


def test_a_text_of_a_folder_is_one_whatever_its_length(tmp_path, monkeypatch):
    monkeypatch.setattr("lmkeras.corpora.files.LONGEST_TEXT", 5)
    write(tmp_path / "x" / "a.txt.gz", "a long text\r\n" * 9)
    write(tmp_path / "y" / "b.txt", "")
    assert read(tmp_path) == [("a long text\n" * 9, "x"), ("", "y")]


def test_folders_with_tables_are_the_tables(tmp_path):
    write(tmp_path / "pos" / "a.txt", "not an example")
    write(tmp_path / "README.txt", "neither")
    write(tmp_path / "test" / "b.csv", "text,label\none,x\n")
    write(tmp_path / "a.jsonl", '{"text": "two", "label": "y"}')
    assert read(tmp_path) == [("two", "y"), ("one", "x")]


def test_folders_of_labelled_lines(tmp_path):
    write(tmp_path / "b.txt", "x\tone\n")
    write(tmp_path / "a.txt", "__label__y two\n")
    assert read(tmp_path) == [("two", "y"), ("one", "x")]
    assert read([tmp_path / "b.txt", f"{tmp_path}/[ac].txt"]) == [("one", "x"), ("two", "y")]


def test_a_folder_of_folders_of_labels(tmp_path):
    write(tmp_path / "train" / "pos" / "a.txt", "good")
    write(tmp_path / "train" / "neg" / "b.txt", "bad")
    assert f"such as {tmp_path / 'train'}" in error_of(tmp_path)
    assert read(tmp_path / "train") == [("bad", "neg"), ("good", "pos")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\n", " holds no text"),
        ("a.csv", "text,label\n ,x\n", " holds no text"),
        ("a.txt", "\n", " holds no text"),
        (
            "a.csv",
            "text,class\na,x\n",
            " line 1: column 'label' is missing; the columns are 'text', 'class'. Name one with ",
        ),
        ("a.csv", "text,class\na,x\n", "Name one with label_column (--label-column)"),
        ("a.csv", "review,label\na,x\n", "Name one with text_column (--text-column)"),
        ("a.csv", "text,label\na,x\nb,\nc, \nd,y\n", ": 2 of 4 examples have no label (first: line 3). Give every"),
        (
            "a.csv",
            "text,label\na,\n",
            "where the labels are in another column, name it with label_column (--label-column)",
        ),
        ("a.csv", 'text,label\n"a\nb",x\nb,x,y\n', " line 4: expected 2 fields as in the header, got 3"),
        ("a.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": null}\n', ": 1 of 2 examples have no label"),
        (
            "a.jsonl",
            '{"text": "a", "stars": 1}\n{"text": "b", "label": ""}\n',
            ": 2 of 2 examples have no label (first: line 1, whose keys are 'text', 'stars'). Give",
        ),
        ("a.jsonl", '{"text": "a", "label": NaN}', ": 1 of 1 examples have no label (first: line 1). Give"),
        ("a.jsonl", '{"text": "a", "label": {"a": 1}}', " line 1: expected a string or a number as label, got dict"),
        ("a.jsonl", '{"text": "a", "label": [[1]]}', " line 1: expected a string or a number as label, got list"),
        ("a.jsonl", '{"text": "a", "label": ["x", null]}', " line 1: a list of labels contains one that is missing"),
        ("a.jsonl", '{"text": "a", "label": "\\u0000"}', " line 1: U+0000"),
        ("a.jsonl", '{"text": 3, "label": 1}', " line 1: expected an object with a string under 'text', got int"),
        ("a.jsonl", '"a"', " line 1: expected an object with a string under 'text', got str"),
        ("a.jsonl", '{"label": 1}', " line 1: key 'text' is missing; the keys are 'label'. Name one with text_column"),
        ("a.txt", "\nTo be, or not to be\n", " line 2: expected label<TAB>text or __label__name text, got 'To be, or"),
        ("a.txt", "x\tone\ntwo\n", " line 2: expected label<TAB>text as in the lines before, got no tab: 'two'"),
        ("a.txt", "x\tone\n\t two\n", ": 1 of 2 examples have no label (first: line 2)"),
        ("a.txt", "__label__x one __label__y\n", " line 1: expected the label at the beginning"),
        ("a.txt", "__label__x one\ntwo __label__x\n", " line 2: expected the label at the beginning"),
        ("a.txt", "__label__ one\n", ": 1 of 1 examples have no label (first: line 1)"),
    ],
)
def test_content_that_cannot_be_used(folder, name, content, message):
    path = write(folder / name, content)
    got = error_of(path)
    assert got.startswith(str(path))
    assert message in got


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"a": "x", "label": 1}',
            "key 'b' is missing; the keys are 'a', 'label'. Name one with pair_column (--pair-column)",
        ),
        ('{"a": "x", "b": null, "label": 1}', "expected an object with a string under 'b', got null"),
    ],
)
def test_pairs_that_cannot_be_used(folder, content, message):
    assert message in error_of(write(folder / "a.jsonl", content), text_column="a", pair_column="b")


@given(
    data=st.one_of(
        st.binary(),
        st.binary().map(lambda data: b"text,label\n" + data),
        st.binary().map(lambda data: b"x\t" + data),
        st.binary().map(lambda data: b"__label__x " + data),
        st.binary().map(lambda data: b'{"text": "a", "label": ' + data),
    ),
    name=st.sampled_from(SUFFIXES).map("a{}".format),
)
def test_any_bytes_are_examples_or_an_input_error(folder, data, name):
    path = write(folder / name, data)
    examples, message = [], ""
    try:
        examples = read(path)
    except InputError as error:
        message = str(error)
    assert message.startswith(str(path)) or has_text(examples)
    assert all(label and label == label.strip() for _, label in examples)
    json.dumps(examples, ensure_ascii=False).encode("utf-8")


def test_memory_stays_bounded(folder):
    text = "the quick brown fox jumps over the lazy dog; " * 20
    path = folder / "big.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("text,label\n")
        file.writelines([f"{text},x\n"] * 10_000)  # 9 MB
    tracemalloc.start()
    counts = open_labelled_corpus(path).label_counts()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts == {"x": 10_000}
    assert peak_bytes < 2_000_000


def test_what_may_not_be_read(tmp_path):
    path = write(tmp_path / "x" / "a.txt", "text")
    corpus = open_labelled_corpus(tmp_path)
    os.remove(path)
    with pytest.raises(InputError, match=r"a\.txt cannot be read: No such file"):
        list(corpus)
