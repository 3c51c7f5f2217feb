"""Spans of characters become spans of words where they stand at words' boundaries; else the message says where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.spans import Place
from lmkeras.corpora.tagged_spans import character_span, tagged_text
from lmkeras.errors import InputError
from lmkeras.tokenizers.word_spans import word_spans

PLACE = Place("a.jsonl line 1")
TEXT = "New York, 北京 and U.S."


@st.composite
def texts_with_spans(draw):
    text = draw(st.text("aé北 ,.'\t\u3000🙂", min_size=1, max_size=12).filter(lambda text: word_spans(text, "signs")))
    words = word_spans(text, "signs")
    count = draw(st.integers(0, len(words)))
    bounds = sorted(draw(st.lists(st.integers(0, len(words)), min_size=2 * count, max_size=2 * count)))
    return text, [(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end]


@given(texts_with_spans(), st.randoms())
def test_spans_of_words_come_back(case, random):
    text, spans = case
    words = word_spans(text, "signs")
    characters = [(words[start][0], words[end - 1][1], "X") for start, end in spans]
    random.shuffle(characters)
    found = tagged_text(text, characters, PLACE, "signs")
    assert found.words == tuple(text[start:end] for start, end in words)
    assert [span[:2] for span in found.spans] == spans


def test_blanks_around_a_span_are_left_out():
    text = " New York "
    assert tagged_text(text, [(0, 10, "LOC")], PLACE, "signs").spans == ((0, 2, "LOC"),)
    assert tagged_text(text, [(4, 9, "LOC"), (4, 9, "LOC")], PLACE, "signs").spans == ((1, 2, "LOC"),)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 7, "LOC")], r"span \[0, 7\) LOC ends inside a word: 'New Yor' in .*\. The nearest boundary is 8"),
        (
            [(5, 8, "LOC")],
            r"span \[5, 8\) LOC begins inside a word: 'ork' in .*\. The nearest boundary is 4",
        ),
        ([(3, 6, "LOC")], "'Yo' in .* The nearest boundary is 8"),
        ([(0, 99, "LOC")], r"span \[0, 99\) LOC is outside the text, which has the characters \[0, 21\): 'New York"),
        ([(-3, 2, "LOC")], "is outside the text"),
        ([(4, 4, "LOC")], r"span \[4, 4\) LOC is empty"),
        ([(8, 4, "LOC")], "ends before it begins"),
        ([(3, 4, "LOC")], "holds nothing but blanks"),
        (
            [(0, 8, "LOC"), (4, 8, "PER")],
            r"span \[4, 8\) PER overlaps \[0, 8\) LOC: 'York' in .* Nested or overlapping",
        ),
        ([(0, 8, "LOC"), (0, 8, "PER")], "Nested or overlapping spans are not supported: keep one of them"),
    ],
)
def test_spans_that_are_not_words(spans, message):
    with pytest.raises(InputError, match=rf"^a\.jsonl line 1: .*{message}"):
        tagged_text(TEXT, spans, PLACE, "signs")


def test_a_text_without_words():
    with pytest.raises(InputError, match="a text without words"):
        tagged_text(" \n", [], PLACE, "signs")


@pytest.mark.parametrize("value", [
    [0, 3, "PER"], (0, 3, " PER "), {"start": 0, "end": 3, "label": "PER"},
    {"id": 7, "start_offset": 0, "end_offset": 3, "label": "PER"}, {"start": 0, "end": 3, "labels": ["PER"]},
])  # fmt: skip
def test_forms_of_a_span(value):
    assert character_span(value, PLACE) == (0, 3, "PER")


@pytest.mark.parametrize("value", [
    [0, 3], [0, 3, ""], [0, 3, None], [0.5, 3, "X"], [True, 3, "X"], "abc", {"start": 0, "label": "X"}, 7,
])  # fmt: skip
def test_what_is_no_span(value):
    with pytest.raises(InputError, match=r"^a\.jsonl line 1: expected a span as \[start, end, type\]"):
        character_span(value, PLACE)
