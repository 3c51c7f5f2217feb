"""What the training of a sequence-to-sequence model takes where its user says nothing, from the amount of text."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from lmkeras.corpora.pairs import Pair
from lmkeras.tasks.data import Defaults


class PairAmount(NamedTuple):
    """How many pairs there are, and how long they are.

    Attributes:
        pairs: their number.
        size: bytes of all sources and targets in UTF-8.
        different: number of different characters.
    """

    pairs: int
    size: int
    different: int

    @classmethod
    def of(cls, corpus: Iterable[Pair]) -> "PairAmount":
        """Counts pairs, which are read once.

        Example:
            >>> PairAmount.of([("dog", "狗")])
            PairAmount(pairs=1, size=6, different=4)
        """
        pairs, size, different = 0, 0, set()
        for source, target in corpus:
            pairs, size = pairs + 1, size + len(source.encode()) + len(target.encode())
            different.update(source, target)
        return cls(pairs, size, len(different))


def seq2seq_defaults(amount: PairAmount) -> Defaults:
    """Tokenizer, sizes and settings of a transformer for an amount of text to train on."""
    size = max(1, amount.size)
    vocabulary = math.ceil(max(size / 500, 2 * amount.different, 257) / 64) * 64
    return Defaults(
        "transformer",
        "byte_pair",
        vocabulary_size=min(vocabulary, 8192),
        sizes={"d_model": 256, "num_heads": 4, "num_layers": 3, "dropout": 0.2},
        settings={"batch_size": 64, "epochs": 20, "minutes": 25.0},
        reason=f"{amount.pairs:,} pairs with {size / 1e6:.2f} MB of text",
    )
