"""Lower-casing in TensorFlow against str.lower."""

import random

import numpy as np
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkeras.tokenizers.in_graph.lower_case import lower

LOWER = tf.function(lower, input_signature=[tf.TensorSpec([None], tf.string)])
# Cased, ignored, both at once, and neither; characters that lower to two; sigmas.
CONTEXT = "aA1 Σσς'.\u0301\u00adʰͺİıǅⅷⓐ\u0345\U0001f3fb\x00"


def lowered(texts):
    rows = LOWER(tf.constant([text.encode() for text in texts], tf.string)).to_list()
    return ["".join(map(chr, row)) for row in rows]


def test_every_character_around_a_sigma():
    # all of the planes that have any assigned, and some of the others
    codes = [*range(0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200), *range(0x32000, 0x110000, 997)]
    characters = [*map(chr, codes)]
    for context in ("A{}Σ", "{}Σ", "AΣ{}A"):
        text = " ".join(map(context.format, characters))
        codes = LOWER(tf.constant([text.encode()])).flat_values.numpy()
        assert np.array_equal(codes, np.frombuffer(text.lower().encode("utf-32-le"), np.int32))


@settings(max_examples=200)
@example(texts=[])
@example(texts=["", "Σ", "", "ΑΣ", "Σ"])
@given(texts=st.lists(st.one_of(st.text(CONTEXT, max_size=12), st.text(max_size=8)), max_size=5))
def test_random_texts(texts):
    assert lowered(texts) == [text.lower() for text in texts]


def test_a_long_text():
    text = "".join(random.Random(2).choices(CONTEXT, k=100_000))
    assert lowered([text, text[::-1]]) == [text.lower(), text[::-1].lower()]
