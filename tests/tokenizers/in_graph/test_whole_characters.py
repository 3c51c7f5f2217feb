"""Texts that may end within a character, beside Python's own decoder."""

import itertools

import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.tokenizers.in_graph.whole_characters import whole_characters
from lmkeras.tokenizers.utf8 import whole_characters as in_python

#: at the bounds of what may begin a character and go on with it
BYTES = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1]
BYTES += [0xF3, 0xF4, 0xF5, 0xFF]


def in_graph(rows):
    return tf.strings.unicode_transcode(whole_characters(tf.constant(rows, tf.string)), "UTF-8", "UTF-8").numpy()


def test_all_ends_of_three_bytes_are_as_in_python():
    rows = [b"a" + bytes(end) for count in range(4) for end in itertools.product(BYTES, repeat=count)]
    assert in_graph(rows).tolist() == [in_python(row).encode() for row in rows]


@given(st.lists(st.tuples(st.text(), st.integers(0, 4)), max_size=5))
def test_a_text_that_is_cut_keeps_its_whole_characters(cut):
    rows = [text.encode()[: len(text.encode()) - count or None] for text, count in cut]
    expected = [row.decode("utf-8", errors="ignore").encode() for row in rows]
    assert in_graph(rows).tolist() == expected
