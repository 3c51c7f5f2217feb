"""What the twin of BytePairTokenizer does on its own: refuse ids, and replace bytes that are not UTF-8."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.tokenizers.byte_pair import BytePairTokenizer

TWIN = BytePairTokenizer().in_graph()
# First, middle and last bytes of characters of all lengths, and of what looks like them.
EDGES = [
    0x41,
    0x7F,
    0x80,
    0x8F,
    0x90,
    0x9F,
    0xA0,
    0xBF,
    0xC0,
    0xC2,
    0xDF,
    0xE0,
    0xE1,
    0xED,
    0xEF,
    0xF0,
    0xF3,
    0xF4,
    0xF5,
    0xFF,
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.one_of(st.sampled_from(EDGES), st.integers(0, 255)), max_size=10), min_size=1, max_size=20))
def test_bytes_decode_as_python_decodes_them(rows):
    ids = tf.ragged.constant([[byte + 1 for byte in row] for row in rows], tf.int32, ragged_rank=1)
    expected = [bytes(row).decode(errors="replace").encode() for row in rows]
    assert TWIN.decode(ids).numpy().tolist() == expected


@pytest.mark.parametrize("id", [-1, 257])
def test_ids_outside_the_vocabulary_are_refused(id):
    with pytest.raises(tf.errors.InvalidArgumentError, match=str(id)):
        TWIN.decode(tf.ragged.constant([[1, id]], tf.int32))
