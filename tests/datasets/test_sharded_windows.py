import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.datasets import ShardedWindows, TokenStream, TrainingWindows, open_shards, write_shards
from lmkeras.datasets.shards import Part, Texts
from lmkeras.datasets.tokenized import training_windows
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer
from tests.datasets.frames import FRAMES, TWO_IDS, ZERO, framed, is_token

lengths_of_shards = st.lists(st.lists(st.integers(1, 25), min_size=1, max_size=3), min_size=1, max_size=6)


class ShardsInMemory:
    """Shards of texts of those lengths, in each of which every token is another; `read` says which were read."""

    def __init__(self, lengths, special=ZERO):
        firsts = itertools.accumulate(map(sum, lengths), initial=1)
        self.shards = [framed(texts, special, first) for texts, first in zip(lengths, firsts, strict=False)]
        self.frame, self.read = special.frame, []
        self.parts = [
            Part({"number": number}, 0, len(ids), len(starts)) for number, (ids, starts) in enumerate(self.shards)
        ]
        self.num_ids = sum(len(ids) for ids, _ in self.shards)
        self.num_texts = sum(map(len, lengths))

    def texts(self, part):
        self.read.append(part.shard["number"])
        return Texts(*self.shards[part.shard["number"]], None)

    def ids(self):
        return np.concatenate([ids for ids, _ in self.shards])


@pytest.fixture(autouse=True)
def small_pools(monkeypatch):
    monkeypatch.setattr("lmkeras.datasets.sharded_windows._POOL_IDS", 64)


@given(
    lengths_of_shards, st.integers(1, 12), st.integers(1, 4), st.integers(0, 3), st.sampled_from(list(FRAMES.values()))
)
def test_targets_follow_inputs_and_come_once_an_epoch(lengths, length, batch_size, epoch, special):
    shards = ShardsInMemory(lengths, special)
    windows = ShardedWindows(shards, length, batch_size, seed=1)
    follows = {}
    for ids, _ in shards.shards:
        follows |= {int(x): int(y) for x, y in itertools.pairwise(ids) if is_token(x) and is_token(y)}
    targets, batches = [], list(windows.epoch(epoch))
    assert len(batches) == windows.steps_per_epoch
    for inputs, outputs, weights in batches:
        assert list(inputs) == ["input_ids"]
        inputs = inputs["input_ids"]
        assert inputs.shape == outputs.shape == weights.shape == (windows.batch_size, windows.length)
        assert inputs.dtype == outputs.dtype == np.int32
        assert weights.dtype == np.float32
        assert (weights == 1).all()
        assert (inputs[:, 1:] == outputs[:, :-1]).all()
        for x, y in zip(inputs.ravel().tolist(), outputs.ravel().tolist(), strict=True):
            if is_token(x) and is_token(y):
                assert follows[x] == y
        targets += outputs.ravel().tolist()
    found = [id for id in targets if is_token(id)]
    assert len(found) == len(set(found))
    # some windows fill no batch, one is kept back for the random start
    left_out = shards.num_ids - len(targets)
    assert left_out <= (windows.batch_size + 1) * windows.length
    assert len(shards.read) == len(set(shards.read)), "no shard is read twice in an epoch"


@given(lengths_of_shards, st.integers(1, 12), st.integers(1, 4))
def test_sizes_are_those_of_the_same_ids_in_one_stream(lengths, length, batch_size):
    shards = ShardsInMemory(lengths, TWO_IDS)
    starts = np.flatnonzero(shards.ids() == TWO_IDS.frame.before)
    stream = TokenStream(shards.ids(), starts, 0, 0, *TWO_IDS)
    ours, theirs = ShardedWindows(shards, length, batch_size), TrainingWindows(stream, length, batch_size)
    for name in ("length", "batch_size", "steps_per_epoch"):
        assert getattr(ours, name) == getattr(theirs, name)


@given(st.lists(st.lists(st.integers(1, 25), min_size=1, max_size=2), min_size=1, max_size=3))
def test_every_id_has_its_turn(lengths):
    shards = ShardsInMemory(lengths)
    windows = ShardedWindows(shards, 5, 2)
    seen = {id for epoch in range(150) for _, targets, _ in windows.epoch(epoch) for id in targets.ravel().tolist()}
    assert seen >= set(shards.ids()[1:].tolist()) - {0}


@given(lengths_of_shards, st.integers(1, 12), st.integers(1, 4), st.data())
def test_an_epoch_goes_on_from_any_step(lengths, length, batch_size, data):
    windows = ShardedWindows(ShardsInMemory(lengths), length, batch_size)
    whole = list(windows.epoch(2))
    step = data.draw(st.integers(0, len(whole)))
    rest = list(windows.epoch(2, step))
    assert len(rest) == len(whole) - step
    for (inputs, *others), (ids, *expected) in zip(rest, whole[step:], strict=True):
        parts = zip([inputs["input_ids"], *others], [ids["input_ids"], *expected], strict=True)
        assert all((part == other).all() for part, other in parts)


def test_order_is_a_function_of_seed_and_epoch():
    shards = ShardsInMemory([[50]] * 8)
    windows = [ShardedWindows(shards, 5, 4, seed) for seed in (0, 0, 1)]
    first, again, other = (np.concatenate([x["input_ids"] for x, _, _ in one.epoch(3)]) for one in windows)
    assert (first == again).all()
    assert (first != other).any()
    assert (first != np.concatenate([x["input_ids"] for x, _, _ in windows[0].epoch(4)])).any()


def test_shards_come_in_random_order_and_few_at_a_time():
    shards, orders = ShardsInMemory([[31]] * 40), set()
    for epoch in range(3):
        shards.read.clear()
        batches = ShardedWindows(shards, 4, 4).epoch(epoch)
        next(batches)
        assert len(shards.read) == 3, "of 64 ids and a random start"
        for _ in batches:
            pass
        orders.add(tuple(shards.read))
        assert sorted(shards.read) != shards.read
    assert len(orders) == 3
    shards.read.clear()
    next(ShardedWindows(shards, 4, 4).epoch(0, 60))
    assert len(shards.read) <= 3, "those before are not read"


def test_windows_are_mixed_within_a_pool():
    windows = ShardedWindows(ShardsInMemory([[31]] * 40), 4, 4)
    firsts = np.concatenate([targets[:, 0] for _, targets, _ in itertools.islice(windows.epoch(0), 4)]) // 32
    assert len(set(firsts.tolist())) > 1
    assert (np.diff(firsts) < 0).any()


def test_pools_are_mixed_anew_in_every_epoch():
    windows, orders = ShardedWindows(ShardsInMemory([[300]]), 4, 4), set()
    for epoch in range(4):
        firsts = np.concatenate([targets[:, 0] for _, targets, _ in itertools.islice(windows.epoch(epoch), 8)])
        orders.update((tuple(np.argsort(firsts[:16])), tuple(np.argsort(firsts[16:]))))
    assert len(orders) == 8, "no pool in the order of another"


@pytest.mark.parametrize("special", FRAMES.values(), ids=FRAMES)
def test_long_texts_are_also_shown_as_if_they_started_anywhere(special):
    def starts(lengths):
        windows = ShardedWindows(ShardsInMemory(lengths, special), 20, 10)
        return [x["input_ids"][:, 0] == special.frame.before for x, _, _ in windows.epoch(0)]

    assert np.mean(starts([[2000]] * 10)) == pytest.approx(1 / 16, abs=0.02)
    with_frame_21 = 21 - special.frame.size
    assert np.mean(starts([[with_frame_21] * 100] * 10)) == pytest.approx(1 / 21, abs=0.02)


def test_a_dataset_of_written_shards_goes_on_from_any_step(tmp_path):
    texts = ["ab" * 50, "ba" * 60, "b" * 70]
    make = new_tokenizer("characters").fit(texts)
    windows = training_windows(write_shards(texts, str(tmp_path), lambda: make, {}, 100), 5, 4, seed=2)
    assert isinstance(windows, ShardedWindows)
    whole = [x["input_ids"].numpy() for x, _, _ in windows.dataset().take(3 * windows.steps_per_epoch)]
    for step in (1, windows.steps_per_epoch, 2 * windows.steps_per_epoch + 1):
        rest = [x["input_ids"].numpy() for x, _, _ in windows.dataset(step).take(len(whole) - step)]
        assert all((a == b).all() for a, b in zip(whole[step:], rest, strict=True))


def test_a_damaged_shard_is_named_when_it_is_read(tmp_path):
    texts = ["ab" * 50, "ba" * 60]
    make = new_tokenizer("characters").fit(texts)
    write_shards(texts, str(tmp_path), lambda: make, {}, 100)
    path = tmp_path / "tokens-00001.tfrecord"
    path.write_bytes(path.read_bytes().replace(b"\2\0\3\0", b"\3\0\3\0", 1))
    with pytest.raises(InputError, match=r"tokens-00001.* is damaged"):
        list(ShardedWindows(open_shards(tmp_path), 5, 4).epoch(0))
