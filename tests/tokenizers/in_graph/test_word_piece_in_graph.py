"""What the twin of WordPieceTokenizer does beyond the contract: assemble, and find special tokens that overlap."""

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers.special_tokens import SpecialTokens
from lmkeras.tokenizers.word_piece import WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENIZER = WordPieceTokenizer([*SPECIAL, *"abcd", "##a", "##b", "##ab", "abab", "##bcdefgh", "e", "##e"])
TWIN = TOKENIZER.in_graph()

rows = st.lists(st.tuples(*[st.lists(st.integers(0, 9), max_size=8)] * 2), max_size=4)


def ragged(ids):
    return tf.ragged.constant(ids, tf.int32, ragged_rank=1)


@settings(max_examples=30)
@given(batch=rows, max_length=st.one_of(st.none(), st.integers(3, 20)))
def test_assembled_rows_are_those_of_the_tokenizer(batch, max_length):
    first, second = [a for a, _ in batch], [b for _, b in batch]
    first_ids, second_ids = ragged(first), ragged(second)
    for pairs in (None, second):
        expected = [TOKENIZER.assemble(a, pairs and b, max_length) for a, b in batch]
        ids, types = TWIN.assemble(first_ids, None if pairs is None else second_ids, max_length)
        assert ids.dtype == types.dtype == tf.int32
        assert ids.to_list() == [ids for ids, _ in expected]
        assert types.to_list() == [types for _, types in expected]


@pytest.mark.parametrize(("pair", "fewest"), [(None, 2), (ragged([[6]]), 3)])
def test_special_tokens_must_fit(pair, fewest):
    assert TWIN.assemble(ragged([[5]]), pair, fewest)[0].to_list() == [[2, 3, 3][:fewest]]
    with pytest.raises(InputError, match=f"at least {fewest}"):
        TWIN.assemble(ragged([[5]]), pair, fewest - 1)


def test_text_becomes_dense_inputs_inside_one_function():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
    def inputs(texts, pairs):
        ids, types = TWIN.assemble(TWIN.encode(texts), TWIN.encode(pairs), max_length=7)
        return ids.to_tensor(), types.to_tensor()

    texts, pairs = ["abab abc", "", "a b c d e"], ["a", "d d d", "ababab [PAD] z"]
    expected = TOKENIZER(texts, pairs, padding=True, truncation=True, max_length=7)
    ids, types = inputs(texts, pairs)
    assert ids.numpy().tolist() == expected["input_ids"]
    assert types.numpy().tolist() == expected["token_type_ids"]


@settings(max_examples=100)
@given(st.lists(st.text("abcdefgh ", max_size=20), max_size=4))
def test_pieces_that_are_walked_past_in_vain(texts):
    # After 'b', the way to ##bcdefgh is long, and most words that set out on it must come back.
    assert TWIN.encode(tf.constant([text.encode() for text in texts], tf.string)).to_list() == TOKENIZER.encode_batch(
        texts
    )


def test_words_up_to_100_characters_have_pieces():
    texts = ["a" * 100, "a" * 101, "a" * 99 + "\u0301" * 9, "a" * 100 + "z", " " + "ab" * 50, "a" * 99 + "z"]
    expected = TOKENIZER.encode_batch(texts)
    assert [len(ids) for ids in expected] == [100, 1, 99, 1, 49, 1]
    assert TWIN.encode(texts).to_list() == expected


# marks that stay, marks that go, and characters that decompose into such, each a piece of its own
MARKS = "a\u302e\u302f\u1b44\u0903\U0001d157\U0001d158\U0001d165\U0001d16d\U0001d16e"
UNSTABLE = MARKS + "\u0301\u0334\u0344\u0f73\u0345\u034f\x00\xad\U0001d15e\U0001d160é"
OF_MARKS = WordPieceTokenizer([*SPECIAL, *MARKS, *("##" + mark for mark in MARKS), "e", "##e"])
TWIN_OF_MARKS = OF_MARKS.in_graph()
LOCATE = tf.function(TWIN_OF_MARKS.encode_with_offsets, input_signature=[tf.TensorSpec([None], tf.string)])


@settings(max_examples=300)
@example(texts=["\U0001d15e\u1b44", "a\u0301\u302e", "\U0001d15ea\u0334\u302e"])
@given(texts=st.lists(st.text(UNSTABLE, max_size=9), min_size=1, max_size=3))
def test_marks_that_change_places_have_the_offsets_of_the_library(texts):
    ids, starts, ends = (column.to_list() for column in LOCATE(tf.constant([text.encode() for text in texts])))
    expected = OF_MARKS.encode_batch_with_offsets(texts)
    assert ids == [ids for ids, _ in expected]
    assert [list(zip(*columns, strict=True)) for columns in zip(starts, ends, strict=True)] == [
        offsets for _, offsets in expected
    ]


OVERLAPPING = SpecialTokens("<a", "<a>", "a><", ">", "a b")
WITH_OVERLAPS = WordPieceTokenizer([*OVERLAPPING.names(), "a", "b", "<"], special_tokens=OVERLAPPING)
TWIN_WITH_OVERLAPS = WITH_OVERLAPS.in_graph()


@settings(max_examples=100)
@given(st.text("<a> b", max_size=12))
def test_special_tokens_may_overlap(text):
    assert TWIN_WITH_OVERLAPS.encode([text]).to_list() == [WITH_OVERLAPS.encode(text)]
