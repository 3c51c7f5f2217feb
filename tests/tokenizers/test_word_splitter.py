"""Texts cut many at a time against tf.keras' own function, which cuts one."""

import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers.word_splitter import WordSplitter

TRICKY = "ab  .!\x00\t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u3000é天😀\ud800\udc00\ufeff"
texts = st.lists(st.one_of(st.text(TRICKY, max_size=20), st.text("ab .", max_size=20)), max_size=6)


@example(filters=".", split=" ", texts=[])
@example(filters=".", split=" ", texts=["", "a.b", "", " ", "a\rb c", "é\x85.天 b"])
@example(filters="", split="\n", texts=["a b\nc", "\n\na\n"])
@example(filters=".é", split=" ", texts=["aéb", "a.b"])
@example(filters="\x00", split=" ", texts=["a\x00b", "a"])
@example(filters="a", split="\x00", texts=["a\x00b", "cac"])
@example(filters=".", split=" ", texts=["\ud800\udc00 a.", "\x00 \x00"])
@given(st.text(TRICKY, max_size=4), st.one_of(st.none(), st.just(" "), st.text(TRICKY, min_size=1, max_size=2)), texts)
def test_words_are_those_of_keras(filters, split, texts):
    alone = tf.keras.preprocessing.text.text_to_word_sequence
    expected = [alone(text, filters, lower=False, split=split) for text in texts]
    assert WordSplitter(filters, split).split_each(texts) == expected
    assert WordSplitter([*filters], split).split_each(texts) == expected


def test_an_empty_separator_is_refused():
    with pytest.raises(InputError, match="split is empty"):
        WordSplitter(".", "")
