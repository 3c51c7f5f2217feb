"""What the training of a sequence-to-sequence model takes where its user says nothing, from the amount of text."""

import bisect
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lmkeras.corpora.pairs import Pair
from lmkeras.tasks.data import Defaults

#: From so many pairs on: layers of each side, width, heads, and pairs in a batch. A little text is learnt by heart by a
#: large network, and small batches make more updates of it.
_NETWORKS = {0: (2, 128, 4, 32), 2_000: (3, 192, 4, 32), 10_000: (3, 256, 4, 128)}

_LEAST_VOCABULARY, _MOST_VOCABULARY, _VOCABULARY_STEP = 512, 8192, 64
_BYTES_PER_TOKEN = 500  # bytes of text for each token of the vocabulary

#: Dropout for so many pairs and fewer, and how much less it is for ten times as many.
_MOST_DROPOUT, _PAIRS_OF_IT, _LESS_BY_TEN, _LEAST_DROPOUT = 0.3, 30_000, 0.15, 0.1

#: The most passes: so many over 30,000 pairs, and more the fewer there are, as the root of the ratio.
_EPOCHS, _FEWEST_EPOCHS, _MOST_EPOCHS = 40, 8, 120
_MINUTES = 25.0  # of training; the whole process takes half an hour

_SUMMARY_BYTES = 3.5  # about so many bytes of a text become one token
_LEAST_LENGTH, _MOST_LENGTH = 64, 384  # tokens that are read of a text that is summarised


class PairAmount(NamedTuple):
    """How many pairs there are, and how long they are.

    Attributes:
        pairs: their number.
        size: bytes of all sources and targets in UTF-8.
        different: number of different characters.
        long_source: bytes of the longest source but one in ten.
    """

    pairs: int
    size: int
    different: int
    long_source: int

    @classmethod
    def of(cls, corpus: Iterable[Pair]) -> "PairAmount":
        """Counts pairs, which are read once.

        Example:
            >>> PairAmount.of([("dog", "狗")])
            PairAmount(pairs=1, size=6, different=4, long_source=3)
        """
        size, different, sources = 0, set(), []
        for source, target in corpus:
            sources.append(len(source.encode("utf-8", "replace")))
            size += sources[-1] + len(target.encode("utf-8", "replace"))
            different.update(source, target)
        long_source = int(np.quantile(sources or [0], 0.9, method="higher"))
        return cls(len(sources), size, len(different), long_source=long_source)


def seq2seq_defaults(amount: PairAmount, splits: bool) -> Defaults:
    """Tokenizer, sizes and settings of a transformer for an amount of text to train on.

    Args:
        amount: how much text there is to train on.
        splits: whether long sources are split, as for translations; else their start is read, as for summaries, and
            what is read is as long as nine sources in ten, up to 384 tokens.

    Example:
        >>> found = seq2seq_defaults(PairAmount(29_000, 4_000_000, different=120, long_source=90), splits=True)
        >>> found.vocabulary_size, found.sizes["d_model"], found.sizes["dropout"], found.settings["epochs"]
        (8000, 256, 0.3, 41)
    """
    pairs = max(1, amount.pairs)
    layers, width, heads, batch_size = list(_NETWORKS.values())[bisect.bisect_right(list(_NETWORKS), pairs) - 1]
    wanted = max(amount.size / _BYTES_PER_TOKEN, 2 * amount.different)
    vocabulary = _VOCABULARY_STEP * math.ceil(wanted / _VOCABULARY_STEP)
    dropout = _MOST_DROPOUT - _LESS_BY_TEN * math.log10(max(1, pairs / _PAIRS_OF_IT))
    sizes = {"num_layers": layers, "d_model": width, "num_heads": heads}
    if not splits:
        tokens = math.ceil(amount.long_source / _SUMMARY_BYTES)
        sizes["max_length"] = min(max(_LEAST_LENGTH, tokens), _MOST_LENGTH)
    epochs = math.ceil(_EPOCHS * math.sqrt(_PAIRS_OF_IT / pairs))
    return Defaults(
        "transformer",
        "byte_pair",
        vocabulary_size=min(max(_LEAST_VOCABULARY, vocabulary), _MOST_VOCABULARY),
        sizes={**sizes, "dropout": round(max(_LEAST_DROPOUT, dropout), 2)},
        settings={
            "batch_size": batch_size,
            "epochs": min(max(_FEWEST_EPOCHS, epochs), _MOST_EPOCHS),
            "minutes": _MINUTES,
        },
        reason=f"{pairs:,} pairs with {amount.size / 1e6:.2f} MB of text",
    )
