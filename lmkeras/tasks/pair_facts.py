"""What is learnt of a corpus of pairs beside its tokens: scripts, lengths, and whether targets are summaries."""

import functools
import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lmkeras.corpora.pairs import Pair
from lmkeras.tokenizers.choice import spacing

_LOOKED_AT = 20_000  # pairs
_SUMMARY = 0.5  # targets with fewer bytes than this share of their sources' are summaries, not translations
_LONGEST = 0.99  # share of the sources that are not called long


class TextLimits(NamedTuple):
    """How long texts may be.

    Attributes:
        max_length: the most tokens of a source, with its end; None for no limit.
        max_target_length: the most tokens of a target, with its start; None for no limit.
    """

    max_length: int | None
    max_target_length: int | None


class PairFacts(NamedTuple):
    """What is learnt of a corpus of pairs.

    Attributes:
        scripts: of most letters of the sources, and of the targets; see `script_of`.
        longest_source: characters of the longest of all sources but one in a hundred.
        splits: whether longer texts are split into sentences, because targets are as long as translations are.
        spaces: whether there is a space between two sentences of a target.
    """

    scripts: tuple[str, str]
    longest_source: int
    splits: bool
    spaces: bool


def pair_facts(corpus: Iterable[Pair]) -> PairFacts:
    """The facts of a corpus, from its first 20,000 pairs."""
    pairs = list(itertools.islice(corpus, _LOOKED_AT))
    sources, targets = zip(*pairs, strict=True)
    # bytes, since a Chinese character says as much as three letters, and takes three bytes
    read, written = (sum(len(text.encode("utf-8", "replace")) for text in side) for side in (sources, targets))
    lengths = [len(text) for text in sources]
    return PairFacts(
        (script_of(sources), script_of(targets)),
        longest_source=int(np.quantile(lengths, _LONGEST, method="higher")),
        splits=written / read > _SUMMARY,
        spaces=not spacing(targets).without,
    )


@functools.lru_cache(maxsize=1 << 16)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ", 1)[0]


def script_of(texts: Iterable[str]) -> str:
    """The script of most letters, by the first word of their names in Unicode; "" if there are no letters.

    Chinese characters are "CJK" everywhere; Japanese text, where kana are the most frequent letters, is "HIRAGANA".

    Example:
        >>> script_of(["good night"]), script_of(["晚安"]), script_of(["123"])
        ('LATIN', 'CJK', '')
    """
    counts = Counter(letter for text in texts for letter in text if letter.isalpha())
    scripts = Counter()
    for letter, count in counts.items():
        scripts[_script(letter)] += count
    return scripts.most_common(1)[0][0] if scripts else ""
