"""Texts and examples in memory: whatever holds them, the corpus is the one of a plain list."""

import logging
from collections import namedtuple
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.corpora import LabelledCorpus, as_corpus, as_labelled_corpus
from lmkeras.corpora.memory import texts_in
from lmkeras.corpora.tables import as_rows
from lmkeras.errors import InputError

TEXTS, LABELS = ["so good", "坏电影", "", "naïve"], ["yes", "no", "no", "yes"]
PAIRS = list(zip(TEXTS, LABELS, strict=True))
RECORDS = [{"label": label, "other": 1, "text": text} for text, label in PAIRS]
UTF8 = [[text.encode(), label.encode()] for text, label in PAIRS]


class Table:
    """What pandas, polars (`columns`), pyarrow and datasets (`column_names`) have in common; not more."""

    def __init__(self, names="columns", make=list, **columns):
        self._columns = {name: make(values) for name, values in columns.items()}
        setattr(self, names, list(columns))

    def __getitem__(self, name):
        return self._columns[name]


class Series:
    """A column that is iterable and no Sequence, as a pandas Series is."""

    def __init__(self, values):
        self.values = list(values)

    def __iter__(self):
        return iter(self.values)


class Classes(Series):
    """A column of a datasets.Dataset whose numbers stand for names."""

    features = namedtuple("ClassLabel", "names")(["no", "yes"])


class ListsOfClasses(Series):
    """The same of a column of lists."""

    features = namedtuple("List", "feature")(Classes.features)


Pair = namedtuple("Pair", "text label")


def dataset(*parts):
    return tf.data.Dataset.from_tensor_slices(*parts)


HELD = {
    "list": PAIRS,
    "lists": [list(pair) for pair in PAIRS],
    "named tuples in a tuple": tuple(Pair(*pair) for pair in PAIRS),
    "columns": (TEXTS, LABELS),
    "columns of several kinds": (Series(TEXTS), np.array(LABELS)),
    "series of examples": Series(PAIRS),
    "dictionary of columns": {"label": LABELS, "text": TEXTS, "other": 3},
    "dictionaries": RECORDS,
    "table": Table(text=TEXTS, other=TEXTS, label=LABELS),
    "table of series": Table("column_names", make=Series, text=TEXTS, label=LABELS),
    "table of classes": {"text": TEXTS, "label": Classes([1, 0, 0, 1])},
    "table and labels": (Table(text=TEXTS), Series(LABELS)),
    "generator": (pair for pair in PAIRS),
    "zip": zip(TEXTS, LABELS, strict=True),
    "generators": (iter(TEXTS), iter(LABELS)),
    "array": np.array(PAIRS),
    "array of objects": np.array(PAIRS, object),
    "array of bytes": np.array(UTF8),
    "array with names": np.array(PAIRS, [("text", "U9"), ("label", "U9")]),
    "bytes": UTF8,
    "tf.data": dataset((TEXTS, LABELS)),
    "tf.data in batches": dataset((TEXTS, LABELS)).batch(3),
    "tf.data of dictionaries": dataset({"label": LABELS, "text": TEXTS}),
    "tf.data of features": dataset(({"text": TEXTS, "other": TEXTS}, LABELS)).batch(3),
    "tensors": (tf.constant(TEXTS), tf.constant(LABELS)),
}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD)
def test_labelled_texts_are_those_of_the_list_and_can_be_read_again(held):
    corpus = as_labelled_corpus(held)
    assert list(corpus) == list(corpus) == PAIRS
    assert {type(value) for pair in corpus for value in pair} == {str}


TEXTS_HELD = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "series": Series(TEXTS),
    "array": np.array(TEXTS),
    "objects": np.array(TEXTS, object),
    "bytes": np.array([text.encode() for text in TEXTS]),
    "column of an array": np.array(TEXTS)[:, None],
    "table": Table(text=TEXTS, label=LABELS),
    "dictionary of columns": {"text": Series(TEXTS)},
    "dictionaries": RECORDS,
    "generator": (text for text in TEXTS),
    "keys": dict.fromkeys(TEXTS).keys(),
    "tf.data": dataset(TEXTS),
    "tf.data in batches": dataset(TEXTS).batch(3),
    "tensor": tf.constant(TEXTS),
}


@pytest.mark.parametrize("held", TEXTS_HELD.values(), ids=TEXTS_HELD)
def test_texts_are_those_of_the_list(held):
    corpus = as_corpus(held)
    assert list(corpus) == list(corpus) == TEXTS
    assert {type(text) for text in corpus} == {str}


def test_data_frames_and_series_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"label": LABELS, "text": TEXTS}, index=[3, 3, 1, 0])
    for kind in ("object", "string", "category"):
        held = frame.astype(kind)
        assert list(as_labelled_corpus(held)) == list(as_labelled_corpus((held.text, held.label))) == PAIRS
        assert list(as_corpus(held)) == list(as_corpus(held.text)) == TEXTS
    for missing in (None, pandas.NA, np.nan):
        with pytest.raises(InputError, match="text 2 is missing"):
            as_corpus(pandas.Series(["a", missing]))
        with pytest.raises(InputError, match="1 of 2 examples have no label"):
            as_labelled_corpus((["a", "b"], pandas.Series([1, missing], dtype="Int64")))
    with pytest.raises(InputError, match="the columns are 'label', 'text'"):
        as_corpus(frame, text_column="review")


def test_columns_are_chosen_by_name():
    table = Table(text=["x"] * 4, review=TEXTS, stars=[5, 1, 1, 5], second=["a", "b", "c", "d"])
    assert list(as_corpus(table, text_column="review")) == TEXTS
    starred = list(zip(TEXTS, "5115", strict=True))
    assert list(as_labelled_corpus(table, text_column="review", label_column="stars")) == starred
    pairs = list(as_labelled_corpus(table, text_column="review", pair_column="second", label_column="stars"))
    assert pairs == [((text, other), label) for (text, label), other in zip(starred, "abcd", strict=True)]
    named = {"text_column": "review", "pair_column": "second"}
    assert list(texts_in(table, named)) == list(zip(TEXTS, "abcd", strict=True))
    records = [{"review": text, "second": other} for text, other in zip(TEXTS, "abcd", strict=True)]
    assert list(texts_in(records, named)) == list(zip(TEXTS, "abcd", strict=True))


def test_lists_of_classes_have_their_names():
    assert list(as_labelled_corpus((["a", "b"], ListsOfClasses([[0], [1, 0]])))) == [
        ("a", ("no",)),
        ("b", ("yes", "no")),
    ]


def test_pairs_of_texts_need_no_names():
    pairs = [("a", "b"), ("c", "d")]
    for held in (pairs, np.array(pairs), zip("ac", "bd", strict=True), dataset(("a c".split(), ["b", "d"]))):
        assert list(texts_in(held, {"text_column": "text"})) == pairs
    assert list(as_labelled_corpus((pairs, [1, 0]))) == [(("a", "b"), "1"), (("c", "d"), "0")]


class Rated(NamedTuple):
    text: str
    stars: int
    weight: float


def test_examples_of_any_task():
    rows = [("a", 1, 0.5), ("坏", 2, 1.0)]
    columns = {"text": ["a", "坏"], "stars": [1, 2], "weight": np.array([0.5, 1.0], "float32")}
    held = [rows, iter(rows), columns, Table(**columns), tuple(columns.values()), dataset(columns).batch(2)]
    for one in held:
        corpus = as_rows(one, Rated)
        assert list(corpus) == list(corpus) == rows
    assert list(as_rows({**columns, "rating": [3, 4]}, Rated, stars_column="rating")) == [("a", 3, 0.5), ("坏", 4, 1.0)]


def test_an_iterator_is_read_once_and_that_is_said(caplog):
    with caplog.at_level(logging.WARNING, logger="lmkeras"):
        as_labelled_corpus(PAIRS)
        assert not caplog.records
        texts = iter(TEXTS)
        as_labelled_corpus((texts, LABELS))
    assert caplog.messages == ["a list_iterator can be read once: 4 examples are in memory now"]
    with pytest.raises(InputError, match="at least one text, got an empty list_iterator; an iterator is empty once it"):
        as_corpus(texts)


def test_texts_to_answer_are_read_as_they_are_needed():
    read = []
    texts = texts_in((read.append(text) or text for text in TEXTS), {"text_column": "text"})
    assert next(texts) == TEXTS[0]
    assert read == TEXTS[:1]


NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            Table(review=TEXTS, label=LABELS),
            "the Table: column 'text' is missing; the columns are 'review', 'label'. Name",
        ),
        ([{"text": "a", "label": 1}, {"label": 1}], "item 2: key 'text' is missing; the keys are 'label'"),
        ([*RECORDS[:1], {"text": "a"}], "1 of 2 examples have no label (first: label 2)"),
        ({"text": TEXTS, "label": "yes"}, "expected a list of values as column 'label', got str"),
        ({"train": Table(text=TEXTS), "test": Table(text=TEXTS)}, "a dict of several, train, test: choose one"),
        ((TEXTS, LABELS[:3]), "expected one label for each text, got 4 texts and 3 labels"),
        ((Series(TEXTS), iter(LABELS[:3])), "got 4 texts and 3 labels"),
        ({"text": TEXTS, "label": LABELS[:3]}, "expected one label for each text, got 4 texts and 3 labels"),
        ([("a", "x"), ("b",)], "item 2 of the list: expected text, label, got ('b',)"),
        (np.array([["a", "b", "c"]]), "item 1 of the list: expected text, label, got ndarray"),
        (["a", "b"], "expected text, label, got 'a'. Of texts alone, give the answers as y"),
        ([("a", "x"), (None, "x")], "text 2 is missing (it is None): leave such examples out"),
        ((np.array(["a", NOT_A_NUMBER], object), ["x", "y"]), "text 2 is missing (it is nan)"),
        ((TEXTS, [1.0, NOT_A_NUMBER, None, 0.0]), "2 of 4 examples have no label"),
        ([("a", "x"), (b"ab\xff", "x")], "text 2: the byte at offset 2 is not UTF-8 (invalid start byte): decode"),
        ([("a", b"\xff")], "label 1: the byte at offset 0 is not UTF-8"),
        ([(3, "x")], "text 1 of the list: expected a string or a pair (first, second) of strings, got int"),
        ((TEXTS, Table(a=LABELS, b=LABELS)), "expected a list or one column, got a Table of 'a', 'b': choose one"),
        ({("a", "x")}, "got set"),
        (Table(text=[], label=[]), "expected at least one text and its label, got an empty Table"),
        (dataset((TEXTS, LABELS)).repeat(), "repeats without end"),
        (np.array("a"), "got ndarray"),
        (b"a", "got bytes"),
    ],
)
def test_what_cannot_be_taken_is_said_in_one_line(value, message):
    with pytest.raises(InputError) as caught:
        as_labelled_corpus(value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_that_stands_twice_is_refused():
    table = Table(text=TEXTS, label=LABELS)
    table.columns = ["text", "label", "text"]
    with pytest.raises(InputError, match="2 columns are called 'text'"):
        as_labelled_corpus(table)


def test_a_corpus_of_the_other_kind_is_refused():
    with pytest.raises(InputError, match="text 1 of the list: expected a string, got tuple"):
        as_corpus(LabelledCorpus.from_examples(TEXTS, LABELS))
    with pytest.raises(InputError, match="item 1 of the list: expected text, label, got 'so good'"):
        as_labelled_corpus(as_corpus(TEXTS))
