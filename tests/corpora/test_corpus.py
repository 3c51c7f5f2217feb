"""Corpora from memory, and their cut into training and validation."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora import Corpus, open_corpus, split
from lmkeras.errors import InputError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FRACTIONS = st.floats(0, 1, exclude_min=True, exclude_max=True, allow_subnormal=False)


@given(st.lists(TEXTS, min_size=1))
def test_from_texts(texts):
    corpus = Corpus.from_texts(texts)
    assert list(corpus) == list(corpus) == texts
    assert corpus.count() == (len(texts), len("".join(texts)))


def test_iterations_do_not_disturb_each_other():
    corpus = Corpus.from_texts(["a", "b", "c"])
    assert list(zip(corpus, corpus, strict=True)) == [("a", "a"), ("b", "b"), ("c", "c")]


def test_a_corpus_keeps_its_texts():
    texts = ["a", "b"]
    corpus = Corpus.from_texts(texts)
    texts.clear()
    assert list(corpus) == ["a", "b"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "at least one text"),
        ("abc", r"put it into a list, \[text\]"),
        (["a", 3.0], "text 2 of the list: expected a string, got float"),
        (["a", None], "text 2 of the list: expected a string, got NoneType"),
        (["\ud800"], r"text 1 of the list: U\+D800"),
        (["a", "b\0"], r"text 2 of the list: U\+0000"),
    ],
)
def test_what_is_no_text(texts, message):
    with pytest.raises(InputError, match=message):
        Corpus.from_texts(texts)


@given(st.lists(TEXTS, min_size=1, max_size=30), FRACTIONS)
def test_split_parts_make_up_the_corpus(texts, fraction):
    corpus = Corpus.from_texts(texts)
    total = len(texts) if len(texts) >= 10 else len("".join(texts))
    trained = int(total * (1 - Fraction(str(fraction))))
    if not 0 < trained < total:
        with pytest.raises(InputError, match="too small"):
            split(corpus, fraction)
        return
    train, validation = split(corpus, fraction)
    assert list(train) == list(train)
    assert list(validation) == list(validation)
    if len(texts) >= 10:
        assert list(train) + list(validation) == texts
        assert len(list(train)) == trained
    else:
        assert "".join(train) + "".join(validation) == "".join(texts)
        assert len("".join(train)) == trained


def test_few_texts_are_cut_through_only_one():
    train, validation = split(Corpus.from_texts(["abc", "", "de", "fghij"]), 0.4)
    assert (list(train), list(validation)) == (["abc", "", "de", "f"], ["ghij"])
    train, validation = split(Corpus.from_texts(["abc", "de", "fghij"]), 0.5)
    assert (list(train), list(validation)) == (["abc", "de"], ["fghij"])


@given(st.integers(100, 2_000), st.integers(1, 99))
def test_the_fraction_is_the_decimal_that_was_written(texts, percent):
    train, validation = split(Corpus.from_texts(["a"] * texts), percent / 100)
    assert train.count()[0] == texts * (100 - percent) // 100
    assert train.count()[0] + validation.count()[0] == texts


def test_published_split_sizes(tmp_path):
    docs = split(open_corpus("builtin:python-docs"))
    topics = open_corpus("builtin:python-docs").count()[0]
    assert [part.count()[0] for part in docs] == [topics * 9 // 10, topics - topics * 9 // 10]
    # as long as Tiny Shakespeare, which is divided at character 1,003,854
    path = tmp_path / "a.txt"
    path.write_text("To be, or not to be: that is the question.\n" * 25_900, encoding="utf-8")
    with path.open("a") as file:
        file.write("x" * (1_115_394 - path.stat().st_size))
    assert [part.count()[1] for part in split(open_corpus(path))] == [1_003_854, 111_540]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_fractions_that_are_none(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        split(Corpus.from_texts(["some text"]), fraction)


@pytest.mark.parametrize(("texts", "fraction"), [(["a"], 0.1), (["", "a", ""], 0.5), (["a"] * 10, 0.95)])
def test_corpora_too_small_to_split(texts, fraction):
    with pytest.raises(InputError, match="too small to split"):
        split(Corpus.from_texts(texts), fraction)


def test_splitting_counts_once_and_keeps_no_text():
    passes = []

    def reader():
        passes.append(1)
        return iter(["text"] * 20)

    train, _ = split(Corpus(reader))
    assert len(passes) == 1
    assert next(iter(train)) == "text"
    assert len(passes) == 2
