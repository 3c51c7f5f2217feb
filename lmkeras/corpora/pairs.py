"""Pairs of texts, a source and the target that is to be made of it: what translating and summarising learn from."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from lmkeras.corpora.corpus import require_usable
from lmkeras.corpora.tables import Rows

_log = logging.getLogger("lmkeras")

#: a corpus in which more than this share of the pairs has equal sides probably holds the same texts twice
_MANY_EQUAL = 0.5


class Pair(NamedTuple):
    """A text and what is to be made of it, such as its translation, its summary or the reply to it."""

    source: str
    target: str


class Pairs(Rows):
    """Pairs in a fixed order, streamed anew by every iteration. No side of a pair is blank."""

    without_examples = "there are no pairs: no row or line has both a source and a target"

    @classmethod
    def of(cls, *readers: Callable[[], Iterable[tuple[str, Pair]]], reverse: bool = False) -> "Pairs":
        """A corpus of pairs; those with a blank side are left out. The first whole iteration tells how many these are.

        Args:
            *readers: each starts reading its share of the pairs, and gives (place, pair), the place for messages.
            reverse: whether source and target change places.

        Example:
            >>> list(Pairs.of(lambda: [("line 1", Pair("cat", "猫")), ("line 2", Pair("dog", " "))], reverse=True))
            [Pair(source='猫', target='cat')]
        """
        return cls(partial(_whole, readers, _Teller(), reverse))

    def part(self, *readers):
        """Some of the pairs."""
        return Pairs(*readers)


class _Teller:
    """Tells once what is odd about the pairs of a corpus, which is read several times."""

    def __init__(self):
        self._told = False

    def tell(self, pairs: int, equal: int, blank: int, first_blank: str) -> None:
        """Logs what is odd, if it has not been said yet.

        Args:
            pairs: number of pairs without a blank side.
            equal: how many of them have a source that is their target.
            blank: number of pairs with a blank side.
            first_blank: where the first of these stands.
        """
        if self._told:
            return
        self._told = True
        if blank:
            _log.warning(
                "%d of %d pairs have no source or no target and are left out (first: %s)",
                blank,
                blank + pairs,
                first_blank,
            )
        if equal > _MANY_EQUAL * pairs:
            _log.warning(
                "source and target are the same in %d of %d pairs: are both read from the same column or file?",
                equal,
                pairs,
            )


def _whole(readers: Iterable[Callable], teller: _Teller, reverse: bool) -> Iterator[Pair]:
    pairs = equal = blank = 0
    first_blank = ""
    for place, pair in (one for read in readers for one in read()):
        for text in pair:
            require_usable(text, place)
        if not all(map(str.strip, pair)):
            blank, first_blank = blank + 1, first_blank or place
            continue
        pairs, equal = pairs + 1, equal + (pair.source == pair.target)
        yield Pair(pair.target, pair.source) if reverse else pair
    teller.tell(pairs, equal=equal, blank=blank, first_blank=first_blank)
