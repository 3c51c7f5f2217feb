"""Random cuts of labelled corpora: they are whole, in order, fair to every label, and depend on the seed alone."""

import random
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lmkeras.corpora import LabelledCorpus, folds, split_labelled
from lmkeras.errors import InputError

LABELS = st.lists(st.sampled_from("aaaaaabbbcde"), min_size=1, max_size=60)
PERCENT = st.integers(1, 99)


def corpus_of(labels):
    """A corpus in which every text is its own position."""
    return LabelledCorpus.from_examples([str(position) for position in range(len(labels))], list(labels))


def positions(corpus):
    return [int(text) for text, _ in corpus]


@given(LABELS, PERCENT, st.integers(0, 9))
def test_split_is_whole_ordered_and_stratified(labels, percent, seed):
    assume(max(Counter(labels).values()) > 1)
    corpus = corpus_of(labels)
    train, validation = split_labelled(corpus, percent / 100, seed)
    assert list(train) == list(train)
    assert positions(train) == sorted(positions(train))
    assert positions(validation) == sorted(positions(validation))
    assert sorted([*train, *validation]) == sorted(corpus), "texts keep their labels, none is lost or doubled"
    held_out = validation.label_counts()
    for label, count in Counter(labels).items():
        rounded = int((Decimal(count * percent) / 100).to_integral_value(ROUND_HALF_UP))
        assert held_out.get(label, 0) == min(max(rounded, 1), count - 1)


@given(LABELS, st.integers(2, 7), st.integers(0, 9))
def test_folds_hold_out_everything_once(labels, num_folds, seed):
    assume(len(labels) >= num_folds)
    corpus = corpus_of(labels)
    parts = list(folds(corpus, num_folds, seed))
    assert len(parts) == num_folds
    assert sorted(position for _, part in parts for position in positions(part)) == list(range(len(labels)))
    for train, held_out in parts:
        assert positions(held_out) == sorted(positions(held_out))
        assert positions(train) == sorted(set(range(len(labels))) - set(positions(held_out)))
        assert sorted([*train, *held_out]) == sorted(corpus)
    sizes = [len(positions(held_out)) for _, held_out in parts]
    assert max(sizes) - min(sizes) <= 1
    for label in set(labels):
        counts = [held_out.label_counts().get(label, 0) for _, held_out in parts]
        assert max(counts) - min(counts) <= 1


def test_seeds_choose():
    corpus = corpus_of(["a", "b"] * 50)
    assert positions(split_labelled(corpus, 0.2, seed=3)[1]) == positions(split_labelled(corpus, 0.2, seed=3)[1])
    assert positions(split_labelled(corpus, 0.2, seed=3)[1]) != positions(split_labelled(corpus, 0.2, seed=4)[1])
    chosen = [[positions(held_out) for _, held_out in folds(corpus, 3, seed)] for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_every_example_is_as_likely_to_validate():
    corpus = corpus_of(["a", "b", "b", "a", "b"] * 4)
    chosen = Counter()
    for seed in range(400):
        chosen.update(positions(split_labelled(corpus, 0.25, seed)[1]))
    # 2 of 8 and 3 of 12: each is drawn with probability 1/4, so 100 times of 400, with a deviation of 8.7
    assert set(chosen) == set(range(20))
    assert all(abs(count - 100) < 40 for count in chosen.values())


def test_the_order_of_labels_in_a_table_does_not_matter_to_the_shares():
    train, validation = split_labelled(corpus_of(["a"] * 90 + ["b"] * 10), 0.1)
    assert (train.label_counts(), validation.label_counts()) == ({"a": 81, "b": 9}, {"a": 9, "b": 1})


def test_one_pass_chooses_and_no_text_is_kept():
    passes = []

    def read():
        passes.append(1)
        return ((f"text {number}", "ab"[number % 2]) for number in range(20))

    train, _ = split_labelled(LabelledCorpus(read))
    assert len(passes) == 1
    assert next(iter(train))[0].startswith("text")
    assert len(passes) == 2
    made = folds(LabelledCorpus(read), 4)
    assert len(passes) == 3
    assert len(list(made)) == 4
    assert len(passes) == 3


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_fractions_that_are_none(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        split_labelled(corpus_of("aabb"), fraction)


def test_corpora_too_small_to_split():
    with pytest.raises(InputError, match=r"too small to split: it has 3 examples and no two of them"):
        split_labelled(corpus_of("abc"), 0.5)


@pytest.mark.parametrize("num_folds", [-1, 0, 1, 5])
def test_numbers_of_folds_that_cannot_be(num_folds):
    with pytest.raises(InputError, match=f"expected 2 to 4, the number of examples, got {num_folds}"):
        folds(corpus_of("aabb"), num_folds)


def shares(corpus, of):
    counts, all_counts = corpus.label_counts(), of.label_counts()
    return [counts.get(label, 0) / all_counts[label] for label in all_counts]


def multi_label_corpus(size, names="abcdef"):
    choose = random.Random(3)
    labels = [[name for number, name in enumerate(names) if choose.random() < 0.4 / 2**number] for _ in range(size)]
    return LabelledCorpus.from_examples([f"text {number}" for number in range(size)], labels)


def test_every_label_and_none_have_their_share_where_texts_have_several():
    corpus = multi_label_corpus(2000)
    train, validation = split_labelled(corpus, 0.2, seed=1)
    assert sorted([*train, *validation]) == sorted(corpus)
    assert len(list(validation)) == pytest.approx(400, abs=8)
    assert shares(validation, corpus) == pytest.approx([0.2] * 6, abs=0.02)
    without = [sum(1 for _, label in part if not label) for part in (validation, corpus)]
    assert without[0] / without[1] == pytest.approx(0.2, abs=0.01)
    assert list(split_labelled(corpus, 0.2, seed=1)[1]) == list(validation) != list(split_labelled(corpus, 0.2)[1])


def test_no_label_leaves_the_training_part():
    """Each of these labels has few examples, and each example is chosen for a label that another one shares."""
    pairs = ["ab", "ac", "bd", "cd", "ef", "fe", "gh", "g", "h", "i"]
    corpus = LabelledCorpus.from_examples(pairs, [list(pair) for pair in pairs])
    for seed in range(20):
        train, validation = split_labelled(corpus, 0.5, seed)
        assert set(train.label_counts()) == set("abcdefghi")
        assert 2 <= len(list(validation)) <= 5


def test_folds_of_texts_with_several_labels():
    corpus = multi_label_corpus(500)
    parts = list(folds(corpus, 5, seed=2))
    assert sorted(example for _, held_out in parts for example in held_out) == sorted(corpus)
    for train, held_out in parts:
        assert sorted([*train, *held_out]) == sorted(corpus)
        assert shares(held_out, corpus) == pytest.approx([0.2] * 6, abs=0.1)
        assert len(list(held_out)) == pytest.approx(100, abs=6)
