import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.datasets.question_windows import EncodedQuestions, WindowLayout, pieces
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer


@given(st.integers(0, 40), st.integers(1, 12), st.data())
def test_every_span_is_answered_with_by_one_window_that_holds_it(tokens, room, data):
    longest = data.draw(st.integers(1, 12))
    layout = WindowLayout(99, data.draw(st.integers(1, 12)), longest, first=1, separator=2)
    step = layout.step(room)
    windows = pieces(tokens, room, step)
    assert 1 <= step <= room
    assert {place for one in windows for place in range(one.begin, one.end)} == set(range(tokens))
    assert max(one.end - one.begin for one in windows) <= room
    for first in range(tokens):
        for last in range(first, min(tokens, first + min(longest, max(1, room // 2)))):
            holders = [one for one in windows if one.begin <= first and last < one.end]
            own = [one for one in holders if one.low <= first + last < one.high]
            assert len(own) == 1
            margin = {one: min(first - one.begin, one.end - 1 - last) for one in holders if one not in _outer(windows)}
            if own[0] in margin:
                assert margin[own[0]] >= max(margin.values()) - 1


def _outer(windows):
    return windows[0], windows[-1]  # at the ends of a text a window has no neighbour


TEXTS = [("who a b ?", "a b c d e f g h i j"), ("why", "c d"), ("who", "")]
TOKENIZER = new_tokenizer("word_piece", None).fit([part for pair in TEXTS for part in pair])
LAYOUT = WindowLayout.of(TOKENIZER.special, TOKENIZER.vocabulary_size, max_length=11, doc_stride=3, max_answer_tokens=2)


def test_windows_hold_question_and_pieces_between_special_ids():
    encoded = EncodedQuestions.encode(TEXTS, TOKENIZER, LAYOUT, token_types=True)
    special, windows = TOKENIZER.special, encoded.windows
    (who, why, _), (ten, two, _) = (TOKENIZER.encode_batch(list(texts)) for texts in zip(*TEXTS, strict=True))
    rows = [windows.ids[start:end].tolist() for start, end in zip(windows.starts, windows.starts[1:], strict=False)]

    def row(question, piece):
        return [special.classification, *question, special.separator, *piece, special.separator]

    begins = range(0, 8, 2)  # room for four tokens of the context, of which two overlap
    assert rows[:4] == [row(who, ten[begin : begin + 4]) for begin in begins]
    assert rows[4:] == [row(why, two), row(TOKENIZER.encode("who"), [])]
    assert encoded.question_of.tolist() == [0, 0, 0, 0, 1, 2]
    types = windows.inputs(np.array([1]))["token_type_ids"][0]
    assert types.tolist() == [0] * 6 + [1] * 5


def test_targets_are_the_places_of_the_answer_or_the_first_place():
    encoded = EncodedQuestions.encode(TEXTS, TOKENIZER, LAYOUT, token_types=False)
    context = TEXTS[0][1]
    start = context.index("d e")
    targets, lost = encoded.targets([(start, start + 3), (0, 1), None])
    # "d e" are the tokens 3 and 4: in the second window, which begins with token 2, behind six other ids
    only = 2 + len(TOKENIZER.encode("why"))
    assert (targets.tolist(), lost) == ([[0, 0], [7, 8], [0, 0], [0, 0], [only, only], [0, 0]], 0)
    assert encoded.windows.inputs(np.array([1])).keys() == {"input_ids", "attention_mask"}
    targets, lost = encoded.targets([(0, len(context)), (1, 2), None])  # longer than any window; nothing but a blank
    assert (np.count_nonzero(targets), lost) == (0, 2)


def test_offsets_follow_what_normalisation_does():
    context = "ÉÉ  Ａｎｎ 王小明 x"
    tokenizer = new_tokenizer("word_piece", None).fit([context])
    layout = WindowLayout.of(
        tokenizer.special, tokenizer.vocabulary_size, max_length=60, doc_stride=9, max_answer_tokens=9
    )
    encoded = EncodedQuestions.encode([("x", context)], tokenizer, layout, token_types=False)
    offsets = encoded.offsets[0]
    for answer in ("ÉÉ", "Ａｎｎ", "小明", "王小明 x"):
        at = context.index(answer)
        first, last = offsets.tokens_of(at, at + len(answer))
        assert context[offsets.starts[first] : offsets.ends[last]] == answer


def test_a_question_that_leaves_no_room_is_refused():
    with pytest.raises(
        InputError,
        match="the question 'a b c d e f g h i' has 9 tokens, and a window of max_length 11 holds 7 beside some",
    ):
        EncodedQuestions.encode([("a b c d e f g h i", "a")], TOKENIZER, LAYOUT, token_types=False)
