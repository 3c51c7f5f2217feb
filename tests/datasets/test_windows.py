import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.datasets import TrainingWindows, evaluation_windows, text_windows, tokenize
from lmkeras.datasets.windows import Frame
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer
from lmkeras.tokenizers.keras_words import Tokenizer
from lmkeras.tokenizers.special import SpecialIds
from tests.datasets.frames import FRAMES, TWO_IDS, is_token, stream_of

lengths_of_texts = st.lists(st.integers(1, 40), min_size=1, max_size=6)
frames = st.sampled_from(list(FRAMES.values()))


@pytest.mark.parametrize(
    ("special", "before", "after"),
    [
        (SpecialIds(padding=9, start=5, ends=(7, 8)), 5, 7),
        (SpecialIds(start=5, ends=(7, 5)), 5, None),  # the start of the next text says that this one has ended
        (SpecialIds(ends=(7, 8)), 7, None),
        (SpecialIds(start=5), 5, None),
        (SpecialIds(padding=0, start=0, ends=(0,)), 0, None),
    ],
)
def test_a_tokenizer_says_what_stands_around_a_text(special, before, after):
    frame = Frame.of(special)
    assert frame == (before, after)
    around = frame.around([1, 2])
    assert around == ([before, 1, 2] if after is None else [before, 1, 2, after])
    assert len(around) == 2 + frame.size


def test_a_tokenizer_without_an_id_for_the_start_or_the_end_is_refused():
    with pytest.raises(InputError, match="no id for the start of a text and none for its end"):
        Frame.of(SpecialIds(padding=0, unknown=1))


def test_tokenize_puts_a_zero_before_each_text():
    tokenizer = new_tokenizer("characters").fit(["ab", "ba!"])
    stream = tokenize(["ab", "", "b?a"], tokenizer)
    a, b, unknown = tokenizer.encode("a")[0], tokenizer.encode("b")[0], tokenizer.unknown_id
    assert stream.ids.tolist() == [0, a, b, 0, b, unknown, a]
    assert stream.starts.tolist() == [0, 3]
    assert (stream.tokens, stream.characters, stream.unknown_tokens) == (5, 5, 1)
    assert (stream.frame, stream.filler) == (Frame(0, None), 0)


def test_tokenize_puts_the_frame_around_each_text(monkeypatch):
    tokenizer = new_tokenizer("characters").fit(["abcde"])
    a, b, start, end, padding = tokenizer.encode("abcde")
    special = SpecialIds(padding, start, (end, padding), unknown=tokenizer.unknown_id)
    monkeypatch.setattr(Tokenizer, "special", special)
    stream = tokenize(["ab", "", "b?"], tokenizer)
    assert stream.ids.tolist() == [start, a, b, end, start, b, tokenizer.unknown_id, end]
    assert stream.starts.tolist() == [0, 4]
    assert (stream.tokens, stream.characters, stream.unknown_tokens) == (4, 4, 1)
    assert (stream.frame, stream.filler) == (Frame(start, end), padding)


def test_tokenize_takes_a_corpus_piece_by_piece_and_keeps_it_on_disk(monkeypatch):
    monkeypatch.setattr("lmkeras.datasets.windows._BATCH_CHARACTERS", 10)
    tokenizer = new_tokenizer("characters").fit(["abc"])
    stream = tokenize((text for text in ["abc"] * 100), tokenizer)
    assert isinstance(stream.ids, np.memmap)
    assert stream.ids.dtype == np.uint16  # half of int32 where the vocabulary allows
    assert stream.ids.tolist() == [0, *tokenizer.encode("abc")] * 100


def test_a_corpus_without_tokens_is_refused():
    tokenizer = new_tokenizer("words").fit(["word"])
    with pytest.raises(InputError, match="no tokens"):
        tokenize(["...", ""], tokenizer)


@given(lengths_of_texts, st.integers(1, 12), st.integers(1, 4), st.integers(0, 3), frames)
def test_targets_follow_inputs_and_come_once_an_epoch(lengths, length, batch_size, epoch, ids):
    stream = stream_of(lengths, ids)
    assert stream.tokens == sum(lengths)
    windows = TrainingWindows(stream, length, batch_size, seed=1)
    places = {i: place for place, i in enumerate(stream.ids.tolist()) if is_token(i)}
    targets, ends = [], 0
    for inputs, outputs, weights in windows.epoch(epoch):
        assert list(inputs) == ["input_ids"]
        inputs = inputs["input_ids"]
        assert inputs.shape == outputs.shape == weights.shape == (windows.batch_size, windows.length)
        assert (inputs.dtype, outputs.dtype, weights.dtype) == (np.int32, np.int32, np.float32)
        assert (weights == 1).all()
        assert (inputs[:, 1:] == outputs[:, :-1]).all()
        for x, y in zip(inputs.ravel().tolist(), outputs.ravel().tolist(), strict=True):
            if is_token(x) and is_token(y):
                assert places[y] == places[x] + 1
            elif is_token(x):
                assert y == (ids.frame.before if ids.frame.after is None else ids.frame.after)
            elif x == ids.frame.after:
                assert y == ids.frame.before
        targets += outputs[is_token(outputs)].tolist()
        ends += np.sum(outputs == ids.frame.after)
    assert len(targets) == len(set(targets))
    assert ends <= len(lengths)


@settings(deadline=None, max_examples=30)
@given(lengths_of_texts, st.integers(1, 12), st.integers(1, 4), frames)
def test_every_id_has_its_turn(lengths, length, batch_size, ids):
    """What fills no batch in one epoch is trained on in another."""
    stream = stream_of(lengths, ids)
    windows = TrainingWindows(stream, length, batch_size)
    missing = set(stream.ids[1:].tolist()) - {ids.frame.before}
    for epoch in range(5000):  # an id at the edge has its turn in one of about fifty
        missing.difference_update(*(targets.ravel().tolist() for _, targets, _ in windows.epoch(epoch)))
        if not missing:
            break
    assert not missing


@pytest.mark.parametrize("ids", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize(("texts", "share"), [(1, 1 / 16), (100, 0.0)])
def test_long_texts_are_also_shown_as_if_they_started_anywhere(texts, share, ids):
    windows = TrainingWindows(stream_of([20_000 // texts] * texts, ids), 20, 10)
    starts = []
    for inputs, targets, _ in windows.epoch(0):
        inputs = inputs["input_ids"]
        starts += (inputs[:, 0] == ids.frame.before).tolist()
        assert (inputs[:, 1:] == targets[:, :-1]).all(), "a window's other ids are what they were"
        assert (is_token(inputs) | (inputs == ids.frame.before) | (inputs == ids.frame.after)).all()
    assert np.mean(starts) == pytest.approx(share + texts / 20_000, abs=0.02)


def test_order_is_a_function_of_seed_and_epoch():
    windows = [TrainingWindows(stream_of([200]), 5, 4, seed) for seed in (0, 0, 1)]
    first, again, other = (np.concatenate([x["input_ids"] for x, _, _ in w.epoch(3)]) for w in windows)
    assert (first == again).all()
    assert (first != other).any()
    assert (first != np.concatenate([x["input_ids"] for x, _, _ in windows[0].epoch(4)])).any()


def test_a_dataset_goes_on_from_any_step():
    windows = TrainingWindows(stream_of([100]), 5, 4, seed=2)
    whole = list(windows.dataset().take(3 * windows.steps_per_epoch).as_numpy_iterator())
    for step in (1, windows.steps_per_epoch, 2 * windows.steps_per_epoch + 1):
        rest = windows.dataset(step).take(len(whole) - step).as_numpy_iterator()
        for (x, y, weights), (inputs, targets, ones) in zip(rest, whole[step:], strict=True):
            np.testing.assert_array_equal(x["input_ids"], inputs["input_ids"])
            np.testing.assert_array_equal(y, targets)
            np.testing.assert_array_equal(weights, ones)


@given(lengths_of_texts, st.integers(1, 12), st.data(), frames, st.booleans())
def test_every_token_is_judged_once_after_its_own_text(lengths, length, data, special, shows_start):
    stream = stream_of(lengths, special)
    stride = data.draw(st.integers(1, length))
    judged, firsts = [], set() if shows_start else {1, *(1 + np.cumsum(lengths)).tolist()}
    for ids, count in text_windows(stream, length, stride, shows_start):
        assert 1 <= count <= len(ids) - 1 <= length
        assert is_token(ids[1:]).all(), "a window never crosses into another text, nor does it reach the end's id"
        assert is_token(ids[0]) or (shows_start and ids[0] == special.frame.before)
        judged += ids[len(ids) - count :].tolist()
    assert judged == [one for one in range(1, sum(lengths) + 1) if one not in firsts]


@pytest.mark.parametrize("special", FRAMES.values(), ids=FRAMES)
def test_overlapping_windows_show_their_context(special):
    windows = list(text_windows(stream_of([10], special), 4, stride=2))
    assert [(ids.tolist(), count) for ids, count in windows] == [
        ([special.frame.before, 1, 2, 3, 4], 4),
        ([2, 3, 4, 5, 6], 2),
        ([4, 5, 6, 7, 8], 2),
        ([6, 7, 8, 9, 10], 2),
    ]


@pytest.mark.parametrize("stride", [0, 5])
def test_a_stride_that_leaves_tokens_out_is_refused(stride):
    with pytest.raises(InputError, match="from 1 to the window's length 4"):
        list(text_windows(stream_of([10]), 4, stride))


@settings(deadline=None, max_examples=30)
@given(lengths_of_texts, st.integers(1, 12), st.data(), frames, st.booleans())
def test_evaluation_batches_weigh_each_target_once(lengths, length, data, ids, shows_start):
    lengths = lengths if shows_start else [*lengths, 2]  # at least one text has a token to judge
    stream, stride = stream_of(lengths, ids), data.draw(st.integers(1, length))
    dataset = evaluation_windows(stream, length, 3, stride=stride, shows_start=shows_start)
    firsts = set() if shows_start else {1, *(1 + np.cumsum(lengths)).tolist()}
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == dataset.cardinality()
    judged = []
    for inputs, targets, weights in batches:
        assert list(inputs) == ["input_ids"]
        inputs = inputs["input_ids"]
        assert inputs.shape == targets.shape == weights.shape == (3, min(length, max(lengths) - (not shows_start)))
        assert (inputs.dtype, targets.dtype, weights.dtype) == (np.int32, np.int32, np.float32)
        assert set(weights.ravel().tolist()) <= {0.0, 1.0}
        judged += targets[weights == 1].tolist()
        before = inputs[weights == 1]
        assert ((before == targets[weights == 1] - 1) | (before == ids.frame.before)).all()
        # what is not judged is context or filler
        assert (is_token(targets) | ((targets == ids.filler) & (weights == 0))).all()
        assert (is_token(inputs) | (inputs == ids.frame.before) | ((inputs == ids.filler) & (weights == 0))).all()
    assert sorted(judged) == [one for one in range(1, sum(lengths) + 1) if one not in firsts]


def test_rows_are_filled_with_the_filler():
    (inputs, targets, weights), *others = evaluation_windows(stream_of([3, 2], TWO_IDS), 5, 3).as_numpy_iterator()
    before, filler = TWO_IDS.frame.before, TWO_IDS.filler
    assert not others
    assert inputs["input_ids"].tolist() == [[before, 1, 2], [before, 4, filler], [filler] * 3]
    assert targets.tolist() == [[1, 2, 3], [4, 5, filler], [filler] * 3]
    assert weights.tolist() == [[1, 1, 1], [1, 1, 0], [0] * 3]
