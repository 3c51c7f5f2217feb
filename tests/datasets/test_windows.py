import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.datasets import TokenStream, TrainingWindows, evaluation_windows, text_windows, tokenize
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer

lengths_of_texts = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def stream_of(lengths):
    """Texts of those lengths; every id occurs once, so that an id says where it comes from."""
    ids, starts, next_id = [], [], 1
    for length in lengths:
        starts.append(len(ids))
        ids += [0, *range(next_id, next_id + length)]
        next_id += length
    return TokenStream(np.array(ids, np.int32), np.array(starts), characters=next_id - 1, unknown_tokens=0)


def test_tokenize_puts_a_zero_before_each_text():
    tokenizer = new_tokenizer("characters").fit(["ab", "ba!"])
    stream = tokenize(["ab", "", "b?a"], tokenizer)
    a, b, unknown = tokenizer.encode("a")[0], tokenizer.encode("b")[0], tokenizer.unknown_id
    assert stream.ids.tolist() == [0, a, b, 0, b, unknown, a]
    assert stream.starts.tolist() == [0, 3]
    assert (stream.tokens, stream.characters, stream.unknown_tokens) == (5, 5, 1)


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


@given(lengths_of_texts, st.integers(1, 12), st.integers(1, 4), st.integers(0, 3))
def test_targets_follow_inputs_and_come_once_an_epoch(lengths, length, batch_size, epoch):
    stream = stream_of(lengths)
    windows = TrainingWindows(stream, length, batch_size, seed=1)
    places = {i: place for place, i in enumerate(stream.ids.tolist()) if i}
    targets = []
    for inputs, outputs in windows.epoch(epoch):
        assert inputs.shape == outputs.shape == (windows.batch_size, windows.length)
        assert (inputs[:, 1:] == outputs[:, :-1]).all()
        for x, y in zip(inputs.ravel().tolist(), outputs.ravel().tolist(), strict=True):
            if x and y:
                assert places[y] == places[x] + 1
        targets += [i for i in outputs.ravel().tolist() if i]
    assert len(targets) == len(set(targets))


@settings(deadline=None, max_examples=30)
@given(lengths_of_texts, st.integers(1, 12), st.integers(1, 4))
def test_every_id_has_its_turn(lengths, length, batch_size):
    """What fills no batch in one epoch is trained on in another."""
    stream = stream_of(lengths)
    windows = TrainingWindows(stream, length, batch_size)
    seen = {i for epoch in range(200) for _, targets in windows.epoch(epoch) for i in targets.ravel().tolist()}
    assert seen >= set(stream.ids[1:].tolist()) - {0}


@pytest.mark.parametrize(("texts", "share"), [(1, 1 / 16), (100, 0.0)])
def test_long_texts_are_also_shown_as_if_they_started_anywhere(texts, share):
    windows = TrainingWindows(stream_of([20_000 // texts] * texts), 20, 10)
    starts = []
    for inputs, targets in windows.epoch(0):
        starts += (inputs[:, 0] == 0).tolist()
        assert (inputs[:, 1:] == targets[:, :-1]).all(), "a window's other ids are what they were"
    assert np.mean(starts) == pytest.approx(share + texts / 20_000, abs=0.02)


def test_order_is_a_function_of_seed_and_epoch():
    windows = [TrainingWindows(stream_of([200]), 5, 4, seed) for seed in (0, 0, 1)]
    first, again, other = (np.concatenate([x for x, _ in w.epoch(3)]) for w in windows)
    assert (first == again).all()
    assert (first != other).any()
    assert (first != np.concatenate([x for x, _ in windows[0].epoch(4)])).any()


def test_a_dataset_goes_on_from_any_step():
    windows = TrainingWindows(stream_of([100]), 5, 4, seed=2)
    whole = [x.numpy() for x, _ in windows.dataset().take(3 * windows.steps_per_epoch)]
    for step in (1, windows.steps_per_epoch, 2 * windows.steps_per_epoch + 1):
        rest = [x.numpy() for x, _ in windows.dataset(step).take(len(whole) - step)]
        assert all((a == b).all() for a, b in zip(whole[step:], rest, strict=True))


@given(lengths_of_texts, st.integers(1, 12), st.data())
def test_every_token_is_judged_once_after_its_own_text(lengths, length, data):
    stream = stream_of(lengths)
    stride = data.draw(st.integers(1, length))
    judged = []
    for ids, count in text_windows(stream, length, stride):
        assert 1 <= count <= len(ids) - 1 <= length
        assert (ids[1:] > 0).all(), "a window never crosses into another text"
        judged += ids[len(ids) - count :].tolist()
    assert judged == list(range(1, sum(lengths) + 1))


def test_overlapping_windows_show_their_context():
    windows = list(text_windows(stream_of([10]), 4, stride=2))
    assert [(ids.tolist(), count) for ids, count in windows] == [
        ([0, 1, 2, 3, 4], 4),
        ([2, 3, 4, 5, 6], 2),
        ([4, 5, 6, 7, 8], 2),
        ([6, 7, 8, 9, 10], 2),
    ]


@pytest.mark.parametrize("stride", [0, 5])
def test_a_stride_that_leaves_tokens_out_is_refused(stride):
    with pytest.raises(InputError, match="from 1 to the window's length 4"):
        list(text_windows(stream_of([10]), 4, stride))


@settings(deadline=None, max_examples=30)
@given(lengths_of_texts, st.integers(1, 12), st.data())
def test_evaluation_batches_weigh_each_target_once(lengths, length, data):
    stream, stride = stream_of(lengths), data.draw(st.integers(1, length))
    dataset = evaluation_windows(stream, length, 3, stride)
    batches = [tuple(part.numpy() for part in batch) for batch in dataset]
    assert len(batches) == dataset.cardinality()
    judged = []
    for inputs, targets, weights in batches:
        assert inputs.shape == targets.shape == weights.shape == (3, length)
        assert set(weights.ravel().tolist()) <= {0.0, 1.0}
        judged += targets[weights == 1].tolist()
        before = inputs[weights == 1]
        assert ((before == targets[weights == 1] - 1) | (before == 0)).all()
    assert sorted(judged) == list(range(1, sum(lengths) + 1))
