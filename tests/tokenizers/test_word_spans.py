"""Where words stand: the rules, and the twin in TensorFlow, which must find the same words in every text."""

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers.in_graph.word_spans import in_graph_word_spans
from lmkeras.tokenizers.word_spans import SPLITTINGS, word_spans


def words(text, splitting="words"):
    return [text[start:end] for start, end in word_spans(text, splitting)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("The U.S. and the U.N., too.", ["The", "U.S.", "and", "the", "U.N.", ",", "too", "."]),
        ("J. Smith's dogs' 10-year-old", ["J.", "Smith", "'s", "dogs", "'", "10-year-old"]),
        ("don't we’re o'clock", ["don", "'t", "we", "’re", "o'clock"]),
        ("wait... (what?!) --", ["wait", "...", "(", "what", "?", "!", ")", "--"]),
        ("1,000.50 $5 1996-08-22", ["1,000.50", "$", "5", "1996-08-22"]),
        ("我在Beijing工作。", ["我", "在", "Beijing", "工", "作", "。"]),
        ("  \t\n", []),
        ("", []),
    ],
)
def test_words_are_those_of_corpora(text, expected):
    assert words(text) == expected


def test_signs_and_characters():
    assert words("U.S.-led 北京", "signs") == ["U", ".", "S", ".", "-", "led", "北", "京"]
    assert words("AI 北京!", "characters") == ["A", "I", "北", "京", "!"]


def test_a_combining_mark_belongs_to_its_letter():
    assert words("cafe\u0301 nai\u0308ve") == ["cafe\u0301", "nai\u0308ve"]


def test_an_unknown_splitting_is_named():
    with pytest.raises(InputError, match="unknown splitting 'word'"):
        word_spans("a", "word")


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def in_graph(texts):
    codes = tf.strings.unicode_decode(texts, "UTF-8")
    return [part for splitting in SPLITTINGS for part in in_graph_word_spans(codes, splitting)]


def same(texts):
    found = in_graph(tf.constant(texts, tf.string))
    for number, splitting in enumerate(SPLITTINGS):
        starts, ends = (part.to_list() for part in found[2 * number : 2 * number + 2])
        got = [list(zip(*row, strict=True)) for row in zip(starts, ends, strict=True)]
        assert got == [word_spans(text, splitting) for text in texts], (splitting, texts)


@given(st.lists(st.text(st.sampled_from("ab1 .,.'’-(天\u0301\t") | st.characters(codec="utf-8")), max_size=4))
def test_the_twin_finds_the_same_words(texts):
    same(texts)


def test_the_twin_finds_words_in_no_text_and_in_empty_ones():
    same([])
    same(["", " ", "", "a.b.", ""])
