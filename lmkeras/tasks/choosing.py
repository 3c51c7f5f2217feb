"""What a classifier takes where its user says nothing: network, sizes and settings, from the labelled texts.

The rule was measured on training and validation parts of sets of reviews, sentences, questions and documentation in
English and Chinese, with 3,000 to 25,000 texts. It looks at the texts alone and not at the machine.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from lmkeras.tasks.data import Defaults
from lmkeras.tokenizers.choice import spacing

_WIDTHS = {"spaces": (2, 3, 4, 5), "none": (1, 2, 3, 4)}
_MUCH = 8_000_000  # characters; so many n-grams of characters take minutes, and say hardly more than words do
_FEWEST_BUCKETS, _MOST_BUCKETS = 2**16, 2**20
_MOST_NUMBERS = 2**24  # in the vectors of all n-grams
_EPOCHS, _EPOCHS_OF_MUCH = 6, 3
_UPDATES = 300  # at least so many, for very few texts


class LabelledAmount(NamedTuple):
    """How much labelled text there is.

    Attributes:
        texts: number of examples.
        characters: in all of their texts.
        labels: number of labels.
        with_spaces: whether spaces separate most words.
    """

    texts: int
    characters: int
    labels: int
    with_spaces: bool

    @classmethod
    def of(cls, texts: Iterable[str], labels: int) -> "LabelledAmount":
        """Looks at texts, one of each example.

        Args:
            texts: can be read twice.
            labels: number of labels.

        Example:
            >>> LabelledAmount.of(["so good", "so bad"], labels=2)
            LabelledAmount(texts=2, characters=13, labels=2, with_spaces=True)
        """
        lengths = [len(text) for text in texts]
        return cls(len(lengths), sum(lengths), labels=labels, with_spaces=not spacing(texts).without)


def ngram_defaults(amount: LabelledAmount) -> Defaults:
    """The sizes and settings of the network ngrams for an amount of text.

    There are as many vectors as characters, so that few n-grams share one, within bounds. Little text is read more
    often. Of much text, only n-grams of words are read.

    Args:
        amount: how much there is to train on.

    Example:
        >>> found = ngram_defaults(LabelledAmount(texts=10_000, characters=900_000, labels=2, with_spaces=True))
        >>> found.sizes["widths"], found.sizes["buckets"], found.settings["epochs"]
        ((2, 3, 4, 5), 1048576, 6)
    """
    much = amount.characters > _MUCH
    most = min(_MOST_BUCKETS, _MOST_NUMBERS // max(1, amount.labels))
    wanted = 2 ** math.ceil(math.log2(max(1, amount.characters)))
    sizes = {"buckets": max(_FEWEST_BUCKETS, min(most, wanted))}
    if not amount.with_spaces:
        sizes |= {"widths": _WIDTHS["none"], "word_widths": ()}
    elif much:
        sizes |= {"widths": (), "word_widths": (1, 2, 3)}
    else:
        sizes |= {"widths": _WIDTHS["spaces"], "word_widths": (1, 2)}
    batch_size = 64 if amount.texts >= 2000 else 32
    passes = math.ceil(_UPDATES * batch_size / max(1, amount.texts))
    settings = {"batch_size": batch_size, "epochs": max(_EPOCHS_OF_MUCH if much else _EPOCHS, min(passes, 20))}
    length = amount.characters / max(1, amount.texts)
    reason = f"{amount.texts:,} texts of {length:,.0f} characters on average"
    return Defaults("ngrams", sizes=sizes, settings=settings, reason=reason)
