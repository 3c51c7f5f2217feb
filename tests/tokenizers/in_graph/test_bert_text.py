"""BERT's words in TensorFlow against the library's, character by character and on random texts."""

import functools
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkeras.tokenizers.bert_text import BertTextRules
from lmkeras.tokenizers.in_graph.bert_characters import GONE_MARK, MARK, character_table
from lmkeras.tokenizers.in_graph.bert_text import STAND_INS, InGraphBertText

RULES = {
    "uncased": BertTextRules(),
    "cased": BertTextRules(lowercase=False),
    "accented": BertTextRules(strip_accents=False),
    "cased without accents": BertTextRules(lowercase=False, strip_accents=True, tokenize_chinese_chars=False),
}
# Marks that stay and move, marks that go and hold others apart or do not, what becomes several characters, and others.
CONTEXT = (
    "aÉé \u302e\u302f\u1b44\U0001d165\U0001d16d\u0903\u0301\u0345\u0334\u034f\u093f\u00ad\x00가각\u09cbİΣ天豈.≠\u037e"
)


@functools.cache
def twin(rules, special=()):
    return tf.function(InGraphBertText(rules, special).words, input_signature=[tf.TensorSpec([None], tf.string)])


def words(rules, texts):
    """The twin's words, of each text."""
    codes, rows, starts = (part.numpy() for part in twin(rules)([text.encode() for text in texts]))
    found = [[] for _ in texts]
    for row, characters in zip(rows[starts], np.split(codes, starts[1:]), strict=False):
        found[row].append("".join(map(chr, characters)))
    return found


@pytest.mark.parametrize(("name", "context"), [(name, "A{}é ") for name in RULES] + [("uncased", "\u302f{}\u1b44가")])
def test_every_assigned_character(name, context):
    # all of the planes that have any, and some of the others
    codes = [*range(0xD800), *range(0xE000, 0x32000), *range(0x32000, 0x110000, 997), *range(0xE0000, 0xE0200)]
    characters = [*map(chr, codes)]
    texts = ["".join(context.format(character) for character in characters[i::40]) for i in range(40)]
    assert words(RULES[name], texts) == [RULES[name].words(text) for text in texts]


@settings(max_examples=80)
@example(texts=[])
@example(texts=["", " ", "a", "", "\u302e", "\u1b44\u302e", "\u302f", ""])
@example(texts=["\u302f\u034f\u1b44", "\u302f\x00\u1b44", "\u302f\u1b44\u302e\u0903\u1b44", "\u302f", "\u1b44"])
@given(texts=st.lists(st.one_of(st.text(CONTEXT, max_size=25), st.text(max_size=10)), max_size=4))
@pytest.mark.parametrize("name", RULES)
def test_random_texts(name, texts):
    assert words(RULES[name], texts) == [RULES[name].words(text) for text in texts]


def test_marks_are_in_unicodes_order():
    table = character_table(RULES["uncased"])
    classes = [unicodedata.combining(chr(code)) for code in table.marks]
    known = [(ours, unicodes) for ours, unicodes in zip(table.mark_classes.tolist(), classes, strict=True) if unicodes]
    assert len(known) > 30
    assert len(set(known)) == len({ours for ours, _ in known}) == len({unicodes for _, unicodes in known})
    assert sorted(known) == sorted(known, key=lambda pair: pair[1])
    assert set(np.flatnonzero(np.isin(table.fates, [MARK, GONE_MARK]))) == set(table.marks)


@pytest.mark.parametrize(
    ("special", "text", "expected"),
    [
        (("ab", "abc", "cd"), "xabcd abd", ["x", 1, "d", 0, "d"]),  # leftmost, then longest
        (("ab", "ba"), "ababa aba", [0, 0, "a", 0, "a"]),
        (("[A]", "[B]"), "[A][B] [a] [A\u0301] [\x00A][[A]]", [0, 1, *"[a][a][a][", 0, "]"]),
        (("(.*)", "\\1"), "x(.*)\\1.", ["x", 0, 1, "."]),
        (("É", "天"), "éÉ天e", ["e", 0, 1, "e"]),
        (("a",), "\ue000a\ue001\ue002x", [0, "x"]),
    ],
)
def test_special_tokens_are_found_in_the_text_as_it_stands(special, text, expected):
    codes, _, starts = twin(BertTextRules(), special)([text.encode()])
    found = [word.tolist() for word in np.split(codes.numpy(), starts.numpy()[1:])]
    assert found == [[STAND_INS + word] if isinstance(word, int) else [*map(ord, word)] for word in expected]
