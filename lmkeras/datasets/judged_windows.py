"""Windows cut from a corpus for evaluation, in which each token is judged once.

Shape letters: B batch, T tokens of a window.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lmkeras.datasets.prefetching import prefetched
from lmkeras.datasets.sharing import WHOLE, Share
from lmkeras.datasets.windows import TokenStream, window_signature
from lmkeras.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf


def text_windows(
    stream: TokenStream, length: int, stride: int | None = None, shows_start: bool = True
) -> Iterator[tuple[np.ndarray, int]]:
    """Cuts every text into windows so that each of its tokens is judged exactly once.

    Args:
        stream: the corpus.
        length: T, the most ids a window shows.
        stride: the most tokens a window judges; the T - stride tokens before them are shown for context only. None
            means T, so that windows do not overlap.
        shows_start: whether a text's first window begins with the id before it. If not, it begins with the text's first
            token, which is context alone and not judged.

    Yields:
        (the ids of a window, at most T + 1 of them; how many of them, counted from the end, are judged).
    """
    stride = length if stride is None else stride
    if not 1 <= stride <= length:
        raise InputError(f"stride must be from 1 to the window's length {length}, got {stride}")
    ends = np.append(stream.starts[1:], len(stream.ids))
    for start, end in zip(stream.starts, ends, strict=True):
        begin = start if shows_start else start + 1
        last, judged = end - stream.frame.size, begin  # a target at or before `judged` has been judged
        while judged < last:
            first = max(begin, judged - (length - stride))
            stop = min(last, first + length)
            yield stream.ids[first : stop + 1], stop - judged
            judged = stop


def evaluation_windows(
    stream: TokenStream,
    length: int,
    batch_size: int,
    stride: int | None = None,
    share: Share = WHOLE,
    shows_start: bool = True,
) -> "tf.data.Dataset":
    """Every token of the stream as a target once: batches of inputs, targets and weights.

    Args:
        stream: the corpus.
        length: the most ids a window shows.
        batch_size: B.
        stride: see `text_windows`.
        share: which rows of each batch are made.
        shows_start: see `text_windows`.

    Returns:
        Dataset of ({"input_ids": int32 [B, T]}, int32 [B, T], float32 [B, T]), where T is `length` or the length of the
        longest text, if that is shorter; weights are 1 where a target is to be judged and 0 in context and padding. The
        last batch is filled up with rows of weight 0, so that all batches have the same shape.

    Raises:
        InputError: no text has a token to judge.
    """
    import tensorflow as tf

    targets_of_texts = _targets_of_texts(stream, shows_start)
    width = min(length, int(max(targets_of_texts)))
    if not width:
        raise InputError(
            "every text is a single token, and this tokenizer puts nothing before a text: there is none to judge. Give "
            "longer texts"
        )

    def batches():
        windows = text_windows(stream, length, stride=stride, shows_start=shows_start)
        while rows := list(itertools.islice(windows, batch_size)):
            rows = share.part([*rows, *[None] * (batch_size - len(rows))])
            inputs, targets = np.full((2, len(rows), width), stream.filler, np.int32)
            weights = np.zeros((len(rows), width), np.float32)
            for row, (ids, judged) in enumerate(filter(None, rows)):
                size = len(ids) - 1
                inputs[row, :size], targets[row, :size] = ids[:-1], ids[1:]
                weights[row, size - judged : size] = 1
            yield {"input_ids": inputs}, targets, weights

    dataset = prefetched(batches, window_signature((len(share.part(range(batch_size))), width)))
    count = -(-_count_windows(targets_of_texts, length, stride) // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(count))


def _count_windows(targets_of_texts: np.ndarray, length: int, stride: int | None) -> int:
    """How many windows `text_windows` makes: a first one for each text, and one for every stride after it."""
    more = np.maximum(0, -(-(targets_of_texts - length) // (stride or length)))
    return int(np.sum((targets_of_texts > 0) + more))


def _targets_of_texts(stream: TokenStream, shows_start: bool) -> np.ndarray:
    """How many targets each text has."""
    tokens = np.diff(np.append(stream.starts, len(stream.ids))) - stream.frame.size
    return tokens if shows_start else tokens - 1
