"""Texts in every kind of frame: ids from 1 up to SPECIAL are tokens, each another one, all others are special ids."""

from typing import NamedTuple

import numpy as np

from lmkeras.datasets import TokenStream
from lmkeras.datasets.windows import Frame

SPECIAL = 90_000


class Ids(NamedTuple):
    """The ids that are no tokens."""

    frame: Frame
    filler: int


ZERO = Ids(Frame(0, None), 0)
TWO_IDS = Ids(Frame(SPECIAL + 1, SPECIAL + 2), SPECIAL + 3)
FRAMES = {"0 before": ZERO, "two ids": TWO_IDS, "an end before": Ids(Frame(SPECIAL + 1, None), 0)}


def is_token(ids):
    """Where ids are tokens."""
    return (ids > 0) & (ids < SPECIAL)


def framed(lengths, ids=ZERO, first=1):
    """The ids of texts of those lengths, and where each one's frame begins; tokens are numbered from `first`."""
    parts, starts = [], []
    for length in lengths:
        starts.append(len(parts))
        parts += ids.frame.around(list(range(first, first + length)))
        first += length
    assert first <= SPECIAL
    return np.array(parts, np.int32), np.array(starts)


def stream_of(lengths, ids=ZERO):
    """Texts of those lengths; every token is another one, so that an id says where it comes from."""
    return TokenStream(*framed(lengths, ids), sum(lengths), 0, frame=ids.frame, filler=ids.filler)
