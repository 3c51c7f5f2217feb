"""Texts and pairs arranged: in the graph as in Python, there as in plain loops and as the `tokenizers` library cuts."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from lmkeras.datasets import TextLayout
from lmkeras.datasets.layout import LONG_TEXTS, pair_lengths
from lmkeras.errors import InputError

specials = st.none() | st.integers(100, 103)
layouts = st.builds(
    TextLayout,
    max_length=st.integers(6, 16),
    long_texts=st.sampled_from(LONG_TEXTS),
    first=specials,
    separator=specials,
    separators=st.integers(1, 2),
    last=specials,
)
# every id once, so that it says where it stood; lengths are drawn alone, so that as many texts are too long as not
texts = st.integers(0, 30).map(lambda length: list(range(1, 1 + length)))
pairs = st.tuples(texts, texts)


def listed(special):
    return [] if special is None else [special]


def ragged(rows):
    lengths = [len(row) for row in rows]
    return tf.RaggedTensor.from_row_lengths(np.array([i for row in rows for i in row], np.int32), lengths)


def by_tensorflow(arrange, *parts):
    ids, first_lengths = arrange(*map(ragged, parts))
    assert ids.dtype == first_lengths.dtype == tf.int32
    return list(zip(ids.to_list(), first_lengths.numpy().tolist(), strict=True))


@settings(max_examples=25)
@given(layouts, st.lists(texts, max_size=6))
def test_the_graph_arranges_texts_as_python_does(layout, rows):
    assert by_tensorflow(layout.arrange_in_graph, rows) == [layout.arrange(row) for row in rows]


@settings(max_examples=25)
@given(layouts, st.lists(pairs, max_size=6))
def test_the_graph_arranges_pairs_as_python_does(layout, rows):
    firsts, seconds = [first for first, _ in rows], [second for _, second in rows]
    assert by_tensorflow(layout.arrange_in_graph, firsts, seconds) == [layout.arrange(*row) for row in rows]


@pytest.mark.parametrize("parts", [1, 2])
def test_one_trace_serves_texts_of_every_length(parts):
    layout = TextLayout(7, "both", first=101, separator=102, last=103)
    spec = tf.RaggedTensorSpec([None, None], tf.int32)
    traced = tf.function(layout.arrange_in_graph, input_signature=[spec] * parts)
    for lengths in ([(0, 0)], [(9, 3), (2, 2), (0, 11)], [(20, 20)], []):
        rows = [tuple(list(range(1, 1 + length)) for length in row[:parts]) for row in lengths]
        columns = list(zip(*rows, strict=True)) if rows else [[]] * parts
        assert by_tensorflow(traced, *columns) == [layout.arrange(*row) for row in rows]


@given(layouts, texts)
def test_of_a_long_text_one_end_or_both_are_kept(layout, text):
    kept = list(text)
    before, after = listed(layout.first), listed(layout.last)
    end = {"start": -1, "end": 0}
    while len(before + kept + after) > layout.max_length:
        # of both ends the middle goes, so that the start keeps as much as the end, or one more
        del kept[end.get(layout.long_texts, (layout.max_length - len(before + after) + 1) // 2)]
    assert layout.arrange(text) == ([*before, *kept, *after], len(before + kept + after))


@given(layouts, texts, texts)
def test_a_pair_stands_between_its_special_ids(layout, first, second):
    ids, first_length = layout.arrange(first, second)
    before, after = listed(layout.first), listed(layout.last)
    between = listed(layout.separator) * layout.separators
    assert len(ids) <= layout.max_length
    end = len(ids) - len(after)
    start, separator = len(before), first_length - len(between)
    assert (ids[:start], ids[separator:first_length], ids[end:]) == (before, between, after)
    kept, kept_second = ids[start:separator], ids[first_length:end]
    assert (kept, kept_second) == (first[: len(kept)], second[: len(kept_second)])
    everything = len(before + first + between + second + after)
    assert len(ids) == min(everything, layout.max_length), "no id is lost that there was room for"


def longest_first(first, second, budget):
    """One id at a time off the longer text; of two equal ones off the one that was no longer at first."""
    kept, kept_second = first, second
    while kept + kept_second > budget:
        if kept > kept_second or (kept == kept_second and first <= second):
            kept -= 1
        else:
            kept_second -= 1
    return kept, kept_second


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 60))
def test_pairs_lose_ids_one_at_a_time_from_the_longer_text(first, second, budget):
    assert pair_lengths(first, second, budget, min, max) == longest_first(first, second, budget)


def test_pairs_are_cut_as_the_tokenizers_library_cuts_them():
    tokenizer = Tokenizer(WordLevel({"a": 1, "b": 2}, unk_token="a"))
    tokenizer.pre_tokenizer = Whitespace()
    for budget in (2, 5, 6):
        tokenizer.enable_truncation(budget, strategy="longest_first")
        for first, second in np.ndindex(9, 9):
            ids = tokenizer.encode("a " * first, "b " * second).ids
            assert pair_lengths(first, second, budget, min, max) == (ids.count(1), ids.count(2)), (first, second)


@pytest.mark.parametrize(
    ("special_ids", "needed"),
    [({}, 2), ({"first": 9}, 3), ({"separator": 9}, 3), ({"first": 9, "separator": 9, "last": 9}, 5)],
)
def test_room_for_a_token_of_each_text(special_ids, needed):
    with pytest.raises(InputError, match=rf"max_length must be at least {needed}, .*got {needed - 1}"):
        TextLayout(needed - 1, **special_ids)
    ids, first_length = TextLayout(needed, **special_ids).arrange([1] * 7, [2] * 7)
    assert (ids.count(1), ids.count(2)) == (1, 1)
    assert first_length == ids.index(2)


def test_parts_of_long_texts_that_there_are_not():
    with pytest.raises(
        InputError, match="unknown part of long texts 'ends': expected one of start, end, both; did you mean 'end'"
    ):
        TextLayout(8, "ends")
