"""Offsets against what the text itself says, and against transformers; the contract's test compares the twins."""

import itertools
import pydoc_data.topics

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers.byte_pair import BytePairTokenizer
from lmkeras.tokenizers.keras_words import Tokenizer
from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.tokenizers.word_pieces import SETTINGS, of_transformers, texts, trained

MANUAL = list(pydoc_data.topics.topics.values())
BYTE_PAIRS = BytePairTokenizer(900).fit([*MANUAL[::4], "天空 天空 naïve naïve 👩🏽 👩🏽"])
TRICKY = "aB Σς'İß.,!\t\n\x0b\x85\xa0\u3000\u2028e\u0301天가👩🏽\u200d\x00_"
strings = st.one_of(st.text(TRICKY, max_size=30), st.text())


def without_final_sigmas(text):
    """The lower case of a word on its own may end in another sigma than in its text."""
    return text.replace("ς", "σ")


@settings(max_examples=200)
@example(text="a天")
@given(text=strings)
@pytest.mark.parametrize("tokenizer", [BytePairTokenizer(), BYTE_PAIRS], ids=["bytes", "byte pairs"])
def test_a_byte_pair_has_the_fewest_characters_that_hold_its_bytes(tokenizer, text):
    ids, offsets = tokenizer.encode_with_offsets(text)
    ends = list(itertools.accumulate(len(character.encode()) for character in text))  # in bytes
    end = 0
    for id, offset in zip(ids, offsets, strict=True):
        start, end = end, end + len(tokenizer.token_bytes[id])
        first = sum(passed <= start for passed in ends)
        assert offset == (first, 1 + sum(passed < end for passed in ends))
        assert tokenizer.token_bytes[id] in text[slice(*offset)].encode()


def test_byte_pairs_share_a_character():
    assert BytePairTokenizer().offsets("a天b") == [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)]


@settings(max_examples=200)
@given(text=strings, filters=st.text(TRICKY, max_size=4), split=st.sampled_from([" ", "a", "\u2028"]))
def test_words_are_what_keras_cuts_out_of_the_text(text, filters, split):
    tokenizer = Tokenizer(oov_token="<OOV>", filters=filters.replace("\u0307", ""), split=split).fit(["a b"])
    words = tf.keras.preprocessing.text.text_to_word_sequence(text, tokenizer.filters, split=split)
    found = [text[start:end].lower() for start, end in tokenizer.offsets(text)]
    if split != "a":
        assert [*map(without_final_sigmas, found)] == [*map(without_final_sigmas, words)]
    else:  # "A" becomes a separator only in lower case
        assert len(found) == len(words)


@settings(max_examples=200)
@given(text=strings, filters=st.text(TRICKY, max_size=4))
def test_words_between_white_space_hold_the_filtered_characters(text, filters):
    tokenizer = Tokenizer(oov_token="<OOV>", filters=filters, split=None, lower=False).fit(["a b"])
    words = tf.keras.preprocessing.text.text_to_word_sequence(text, filters, lower=False, split=None)
    rid = str.maketrans(dict.fromkeys(filters))
    assert [text[start:end].translate(rid) for start, end in tokenizer.offsets(text)] == words
    last_end = 0
    for start, end in tokenizer.offsets(text):
        assert last_end <= start
        assert text[start] not in filters
        assert text[end - 1] not in filters
        last_end = end


@settings(max_examples=100)
@given(text=strings)
@pytest.mark.parametrize("lower", [False, True])
def test_every_character_has_its_own_place(lower, text):
    tokenizer = Tokenizer(char_level=True, lower=lower, oov_token="<OOV>").fit(["ab"])
    places = [place for place, character in enumerate(text) for _ in (character.lower() if lower else character)]
    assert tokenizer.offsets(text) == [(place, place + 1) for place in places]


def test_offsets_of_words():
    tokenizer = Tokenizer(num_words=3).fit(["the cat the cat the İstanbul"])
    text = "İİ, THE\tdog: (cat)"
    assert tokenizer.encode_with_offsets(text) == ([1, 2], [(4, 7), (14, 17)])
    assert [text[start:end] for start, end in tokenizer.offsets(text)] == ["THE", "cat"]


def test_a_separator_that_overlaps_itself_leaves_a_word_where_a_filter_was():
    assert Tokenizer(split="aa", filters="i", oov_token="?").fit(["b"]).offsets("ai b") == [(1, 4)]


@pytest.mark.parametrize(
    ("tokenizer", "text", "complaint"),
    [
        (Tokenizer(), "a", "call fit"),
        (Tokenizer(analyzer=str.split).fit(["a b"]), "a", "analyzer does not say where"),
        (Tokenizer().fit(["a b"]), ["a", "b"], "list of tokens has no offsets"),
        (BytePairTokenizer(), "a\ud800", "lone surrogate"),
        (WordPieceTokenizer(), "a\ud800", "lone surrogate"),
    ],
)
def test_what_has_no_offsets_is_refused(tokenizer, text, complaint):
    with pytest.raises(InputError, match=complaint):
        tokenizer.encode_with_offsets(text)


def test_lone_surrogates_have_places_among_words():
    assert Tokenizer().fit(["a b"]).offsets("\ud800 B\udfff b") == [(5, 6)]


@settings(max_examples=80)
@example(text="[CLS]é\x00é x[PAD]豈\u302f\u0301\u302e \u3000İ " + "x" * 101 + "!")
@given(text=texts)
@pytest.mark.parametrize("name", SETTINGS)
def test_offsets_of_word_pieces_are_those_of_transformers(name, text):
    ids, offsets = trained(name).encode_with_offsets(text)
    theirs = of_transformers(name)(text, add_special_tokens=False, return_offsets_mapping=True)
    assert ids == theirs["input_ids"]
    assert offsets == theirs["offset_mapping"]


def test_offsets_of_word_pieces():
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ete", "##s", "a"])
    text = "\x00É\xadte\u0301S,a [MASK]天 zzz" + "y" * 100
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == [5, 6, 1, 7, 4, 1, 1]
    assert [text[start:end] for start, end in offsets] == ["É\xadte", "S", ",", "a", "[MASK]", "天", "zzz" + "y" * 100]
