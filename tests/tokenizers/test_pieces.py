"""The pieces of a text: one pattern, three engines."""

import random
import re

import pytest
import tensorflow as tf
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.tokenizers.in_graph.byte_pair import piece_starts
from lmkeras.tokenizers.pieces import CLASSES, LONGEST_PIECE_BYTES, class_changes, piece_pattern

PYTHON = re.compile(re.sub(r"\\x\{(\w+)\}", lambda code: re.escape(chr(int(code[1], 16))), piece_pattern()))
ONIGURUMA = tokenizers.pre_tokenizers.Split(tokenizers.Regex(piece_pattern()), behavior="isolated")
STARTS = tf.function(piece_starts, input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int64)])


def cut_by_arithmetic(texts):
    """All texts in one go, as the twin does it."""
    codes = [ord(character) for text in texts for character in text]
    rows = [row for row, text in enumerate(texts) for _ in text]
    starts = STARTS(tf.constant(codes, tf.int32), tf.constant(rows, tf.int64)).numpy()
    pieces = [[] for _ in texts]
    for code, row, start in zip(codes, rows, starts, strict=True):
        if start:
            pieces[row].append("")
        pieces[row][-1] += chr(code)
    return pieces


texts = st.lists(st.one_of(st.text("aé天1 \u3000\n.。\u200d", max_size=120), st.text(max_size=20)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_all_engines_cut_alike_and_lose_nothing(texts):
    pieces = [PYTHON.findall(text) for text in texts]
    assert ["".join(row) for row in pieces] == texts
    assert all(len(piece.encode()) <= LONGEST_PIECE_BYTES for row in pieces for piece in row)
    assert [[piece for piece, _ in ONIGURUMA.pre_tokenize_str(text)] for text in texts] == pieces
    assert cut_by_arithmetic(texts) == pieces


def test_all_engines_agree_on_every_character():
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    random.Random(0).shuffle(characters)
    text = "".join(characters)
    pieces = PYTHON.findall(text)
    assert [piece for piece, _ in ONIGURUMA.pre_tokenize_str(text)] == pieces
    assert cut_by_arithmetic([text]) == [pieces]


def test_no_character_has_two_classes():
    listed = [code for kind in CLASSES for first, last in kind.ranges for code in range(first, last + 1)]
    assert len(listed) == len(set(listed))
    starts, classes = class_changes()
    for kind in CLASSES:
        for first, last in kind.ranges:
            assert starts[classes.index(CLASSES.index(kind))] <= first
            assert max(start for start in starts if start <= last) == first


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello, World!", "Hello|,| World|!"),
        ("it's 2024-05", "it|'|s| 202|4|-|05"),
        ("a  b\n\n c\t", "a| | b|\n\n| c|\t"),
        ("x\n y", "x|\n| y"),
        ("x \ny", "x| |\n|y"),
        ("天空。 好", "天空|。| 好"),
        ("naïve Ελλάδα हिन्दी", "naïve| Ελλάδα| हिन्दी"),
        ("go 👩\u200d🚀!", "go| 👩|\u200d|🚀!"),
        ("a" * 25 + " " * 18, "a" * 24 + "|a|" + " " * 16 + "|  "),
    ],
)
def test_pieces_of(text, pieces):
    assert PYTHON.findall(text) == pieces.split("|")
