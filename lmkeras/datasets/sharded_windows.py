"""Training windows of a tokenized corpus that is larger than memory.

Shape letters: B batch, T tokens of a window.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from lmkeras.datasets.shards import TokenShards
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.datasets.windows import Batch, TrainingWindows

_POOL_IDS = 1 << 24  # windows are shuffled within this many ids, about 4 shards of `lmkeras tokenize`


class ShardedWindows(TrainingWindows):
    """TrainingWindows of a corpus in shards, of which only a few shards are in memory at a time.

    Batches have the same shapes and follow the same rules as those of TrainingWindows. In every epoch the shards follow
    one another in a new random order, are cut into windows from a random start on, and the windows are shuffled within
    pools of 16 million ids. Everything random is a function of (seed, epoch).

    Args:
        shards: the corpus; if it is too small for the length or the batch size, these are reduced.
        length: T, tokens of a window.
        batch_size: B, windows of a batch.
        seed: fixes the order of shards and windows.
    """

    def __init__(self, shards: TokenShards, length: int, batch_size: int, seed: int = 0):
        self._shards, self._before = shards, shards.frame.before
        self._set_sizes(shards.num_ids, texts=shards.num_texts, length=length, batch_size=batch_size, seed=seed)
        self._pool_steps = max(1, _POOL_IDS // (self.batch_size * self.length))

    def epoch(self, epoch: int, first_step: int = 0, share: Share = WHOLE) -> Iterator[Batch]:
        """The batches of one epoch from `first_step` on, see `TrainingWindows.epoch`.

        Raises:
            InputError: a shard is missing or damaged; the message names its file.
        """
        random = np.random.default_rng((self.seed, epoch))
        order = random.permutation(len(self._shards.parts))
        first = random.integers(0, self._spare + 1)
        first_pool, skip = divmod(first_step, self._pool_steps)
        read = _Reader(self._shards, order)
        for pool in range(first_pool, -(-self.steps_per_epoch // self._pool_steps)):
            done = pool * self._pool_steps
            steps = min(self._pool_steps, self.steps_per_epoch - done)
            begin = first + done * self.batch_size * self.length
            ids = read(begin, begin + steps * self.batch_size * self.length + 1)
            # each pool has its own random numbers, so that a resumed training can begin with any pool
            random = np.random.default_rng((self.seed, epoch, pool))
            yield from self._batches(ids, steps=steps, random=random, first_step=skip, share=share)
            skip = 0


class _Reader:
    """Gives any range of the ids of shards in a given order; it keeps the last shard it read for the next range."""

    def __init__(self, shards: TokenShards, order: np.ndarray):
        self._shards = shards
        self._parts = [shards.parts[number] for number in order]
        self._ends = list(itertools.accumulate(part.end - part.first for part in self._parts))
        self._last = None, None

    def __call__(self, begin: int, end: int) -> np.ndarray:
        pieces, first = [], 0
        for number, stop in enumerate(self._ends):
            if first < end and begin < stop:
                pieces.append(self._ids(number)[max(0, begin - first) : end - first])
            first = stop
        return np.concatenate(pieces)

    def _ids(self, number: int) -> np.ndarray:
        if self._last[0] != number:
            self._last = number, self._shards.texts(self._parts[number]).ids
        return self._last[1]
