"""Labelled corpora from memory, and what is said of labels that cannot be learnt or judged."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora import Corpus, LabelledCorpus, as_labelled_corpus, require_known_labels, require_several_labels
from lmkeras.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAMES = TEXTS.map(str.strip).filter(bool)


@given(st.lists(st.tuples(TEXTS, NAMES), min_size=1))
def test_examples_are_given_back(examples):
    corpus = LabelledCorpus.from_examples([text for text, _ in examples], [label for _, label in examples])
    assert list(corpus) == list(corpus) == examples
    assert corpus.label_counts() == Counter(label for _, label in examples)
    assert list(corpus.texts()) == [text for text, _ in examples]


@given(st.lists(st.tuples(st.tuples(TEXTS, TEXTS), NAMES), min_size=1))
def test_pairs_are_given_back(examples):
    corpus = LabelledCorpus.from_examples([text for text, _ in examples], [label for _, label in examples])
    assert list(corpus) == examples
    assert isinstance(corpus.texts(), Corpus)
    assert list(corpus.texts()) == [member for pair, _ in examples for member in pair]


def test_pairs_may_be_lists():
    assert list(LabelledCorpus.from_examples([["a", "b"]], ["x"])) == [(("a", "b"), "x")]


@pytest.mark.parametrize(
    "labels",
    [
        [1, 0, 10],
        np.array([1, 0, 10]),
        np.array([1, 0, 10], dtype=np.uint8),
        np.array(["1", "0", "10"]),
        ["1 ", " 0", "10\n"],
        (np.int64(1), 0, "10"),
    ],
)
def test_labels_of_other_types_become_strings(labels):
    examples = list(LabelledCorpus.from_examples(np.array(["a", "b", "c"]), labels))
    assert examples == [("a", "1"), ("b", "0"), ("c", "10")]
    assert {type(value) for example in examples for value in example} == {str}, "NumPy's strings are others"


def test_booleans_and_fractions_are_labels():
    labels = [True, np.bool_(False), 0.5, np.float32(1.5)]
    examples = list(LabelledCorpus.from_examples(list("abcd"), labels))
    assert [label for _, label in examples] == ["True", "False", "0.5", "1.5"]


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([1, 1.0, np.float32(1), np.int8(1), np.array(1.0), "1"], "1"),
        ([0, 0.0, -0.0, np.float16(-0.0)], "0"),
        ([0.1, np.float32(0.1), np.float16(0.1), np.array(0.1, "float32")], "0.1"),
        ([10**16, 1e16, np.float64(1e16)], "10000000000000000"),
        ([True, np.bool_(True), np.array(True), "True"], "True"),
        (["007", np.str_("007"), np.array("007"), " 007\n"], "007"),
        (["1.0"], "1.0"),
        (["0.10000000149011612"], "0.10000000149011612"),
    ],
)
def test_equal_numbers_are_one_label_and_text_stays_as_it_stands(values, label):
    corpus = LabelledCorpus.from_examples(["a"] * len(values), values)
    assert corpus.label_counts() == {label: len(values)}


def test_elements_of_arrays_are_labels_of_their_type():
    labels = np.array([0.1, 2, 0.7], "float32")
    assert [label for _, label in LabelledCorpus.from_examples(list("abc"), labels)] == ["0.1", "2", "0.7"]


@given(st.lists(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3), min_size=1))
def test_numbers_are_counted_in_numeric_order(numbers):
    labels = [format(number, "f") if not isinstance(number, int) else str(number) for number in numbers]
    counts = LabelledCorpus.from_examples(["a"] * len(labels), labels).label_counts()
    assert [float(Fraction(label)) for label in counts] == sorted(float(Fraction(label)) for label in set(labels))


def test_names_are_counted_after_numbers():
    labels = ["b", "10", "a", "-1", "9", "1e3", "٣", "nan", "b"]
    counts = LabelledCorpus.from_examples(["a"] * len(labels), labels).label_counts()
    assert list(counts) == ["-1", "9", "10", "1e3", "a", "b", "nan", "٣"]
    assert counts["b"] == 2


def test_a_corpus_keeps_its_examples():
    texts, labels = ["a", "b"], ["x", "y"]
    corpus = LabelledCorpus.from_examples(texts, labels)
    texts.clear()
    labels.clear()
    assert list(corpus) == [("a", "x"), ("b", "y")]


def test_readers_follow_each_other_and_start_anew():
    corpus = LabelledCorpus(lambda: iter([("a", "x")]), lambda: iter([("b", "y")]))
    assert list(zip(corpus, corpus, strict=True)) == [(("a", "x"), ("a", "x")), (("b", "y"), ("b", "y"))]
    assert corpus.label_counts() == {"x": 1, "y": 1}


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], [], "at least one text"),
        (["a"], ["x", "y"], "got 1 texts and 2 labels"),
        ("ab", ["x", "y"], "texts: expected a list, got one string"),
        (["a", "b"], "xy", "labels: expected a list, got one string"),
        (["a", 3], ["x", "y"], "text 2 of the list: expected a string or a pair (first, second) of strings, got int"),
        (["a", None], ["x", "y"], "text 2 of the list: expected a string or a pair"),
        ([b"a"], ["x"], "got bytes"),
        ([("a", "b", "c")], ["x"], "got str, str, str"),
        ([("a", 1)], ["x"], "got str, int"),
        (["a", ("b", "c")], ["x", "y"], "text 2 of the list is a pair, but the first is a single text"),
        ([("b", "c"), "a"], ["x", "y"], "text 2 of the list is a single text, but the first is a pair"),
        (["a", "b\0"], ["x", "y"], "text 2 of the list: U+0000"),
        ([("a", "\ud800")], ["x"], "text 1 of the list: U+D800"),
        (["a"], ["x\0"], "the list label 1: U+0000"),
        (["a", "b", "c"], ["x", None, None], "the list: 2 of 3 examples have no label (first: label 2)"),
        (["a", "b"], [" ", "x"], "the list: 1 of 2 examples have no label (first: label 1)"),
        (["a", "b"], np.array([1, np.nan]), "the list: 1 of 2 examples have no label (first: label 2)"),
        (["a", "b"], [[[1]], []], "label 1: expected a string or a number as label, got list"),
        (["a", "b"], np.zeros((2, 3, 1)), "label 1: expected a string or a number as label, got ndarray"),
        (["a"], [b"x"], "label 1: expected a string or a number as label, got bytes"),
    ],
)
def test_what_are_no_examples(texts, labels, message):
    with pytest.raises(InputError) as caught:
        LabelledCorpus.from_examples(texts, labels)
    assert message in str(caught.value)


def test_as_labelled_corpus_of_values_in_memory():
    corpus = LabelledCorpus.from_examples(["a"], ["x"])
    assert as_labelled_corpus(corpus) is corpus
    expected = [("a", "1"), ("b", "0")]
    assert list(as_labelled_corpus([("a", 1), ("b", 0)])) == expected
    assert list(as_labelled_corpus([["a", 1], ["b", 0]])) == expected
    assert list(as_labelled_corpus((["a", "b"], [1, 0]))) == expected
    assert list(as_labelled_corpus((np.array(["a", "b"]), np.array([1, 0])))) == expected
    assert list(as_labelled_corpus((("a", "b"), ("1", "0")))) == expected, "a tuple is always (texts, labels)"
    assert list(as_labelled_corpus([(("a", "b"), 1)])) == [(("a", "b"), "1")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "got NoneType"),
        ({"a": "x"}, "the dict: column 'text' is missing; the columns are 'a'. Name one with text_column"),
        ({("a", "x")}, "got set"),
        (("a", "x"), "got a tuple of length 2 (str, str)"),
        ((["a"], ["x"], [1]), "got a tuple of length 3 (list, list, list)"),
        (["a.csv", "b.csv"], "item 1 of the list: expected text, label, got 'a.csv'. Of texts alone, give the"),
        ([("a", "x"), ("b", "y", 0)], "item 2 of the list: expected text, label, got ('b', 'y', 0)"),
        ([("a", "x"), None], "item 2 of the list: expected text, label, got NoneType"),
        ([], "at least one text"),
        (([], []), "at least one text"),
        ("nofile.csv", "no such file"),
    ],
)
def test_values_that_are_no_labelled_corpus(value, message):
    with pytest.raises(InputError) as caught:
        as_labelled_corpus(value)
    assert message in str(caught.value)


def test_one_label_is_nothing_to_learn():
    def corpus(labels):
        return LabelledCorpus.from_examples(list("abcde"), labels)

    require_several_labels(corpus(list("xyxyx")))
    require_several_labels(corpus([["x"], [], [], [], []]))  # a text may have it or not
    with pytest.raises(InputError, match="none of the texts has a label"):
        require_several_labels(corpus([[]] * 5))
    with pytest.raises(InputError, match=r"got 5 examples that are all 'x' \(5\).*--label-column"):
        require_several_labels(corpus(["x"] * 5))


def test_labels_that_were_not_learnt():
    require_known_labels({"x": 1}, ["x", "y"])
    with pytest.raises(InputError) as caught:
        require_known_labels({"u": 4, "v": 1, "x": 2}, ["x", "y"])
    assert "5 of 7 examples have labels that were not learnt: 'u' (4), 'v' (1). Expected one of 'x', 'y'" in str(
        caught.value
    )
    with pytest.raises(InputError) as caught:
        require_known_labels({str(number): 1 for number in range(1000)}, ["x"])
    assert "'19' (1) and 980 more. Expected" in str(caught.value)
