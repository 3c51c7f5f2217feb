"""What a classifier takes where its user says nothing: network, sizes and settings, from the labelled texts.

The rule was measured on training and validation parts of sets of reviews, sentences, questions and documentation in
English and Chinese, with 3,000 to 25,000 texts. It looks at the texts alone and not at the machine.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lmkeras.tasks.data import Defaults
from lmkeras.tokenizers.choice import spacing

_MUCH = 8_000_000  # characters; so many n-grams of characters take minutes, and say hardly more than words do
#: n-grams of characters and of words
_WITH_SPACES = {"widths": (2, 3, 4, 5), "word_widths": (1, 2)}
_WITHOUT_SPACES = {"widths": (2, 3, 4), "word_widths": (1, 2)}  # each character is a word
#: Of long texts, which have many n-grams of their own, such as names of people, little is believed of rare n-grams.
_MUCH_TEXT = {"widths": (), "word_widths": (1, 2, 3), "smoothing": 20.0}
_FEWEST_BUCKETS, _MOST_BUCKETS = 2**16, 2**20
_MOST_NUMBERS = 2**24  # in the vectors of all n-grams
_EPOCHS, _EPOCHS_OF_MUCH = 6, 3
_UPDATES, _MOST_EPOCHS = 300, 20  # at least so many updates, but no more epochs than these

#: Of short texts with several labels, such as questions, the order of all words says more than n-grams: there cnn is
#: better, if there are examples enough to learn it from.
_SHORT, _SEVERAL, _ENOUGH = 80, 4, 2000
_CNN = {"batch_size": 50, "learning_rate": 0.001, "epochs": 6}


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


def classifier_defaults(amount: LabelledAmount, networks: Sequence[str]) -> Defaults:
    """Network, sizes and settings of a classifier of single texts, for an amount of text.

    Args:
        amount: how much there is to train on.
        networks: those that may be chosen.

    Example:
        >>> found = classifier_defaults(LabelledAmount(10_000, 900_000, labels=2, with_spaces=True), ["ngrams", "cnn"])
        >>> found.network, found.sizes["widths"], found.sizes["buckets"], found.settings["epochs"]
        ('ngrams', (2, 3, 4, 5), 1048576, 6)
        >>> classifier_defaults(LabelledAmount(5_000, 250_000, labels=6, with_spaces=True), ["ngrams", "cnn"]).network
        'cnn'
    """
    length = amount.characters / max(1, amount.texts)
    short = amount.with_spaces and length < _SHORT and amount.labels >= _SEVERAL and amount.texts >= _ENOUGH
    reason = f"{amount.texts:,} texts of {length:,.0f} characters on average, {amount.labels} labels"
    if "ngrams" not in networks:  # the user has given sizes or a tokenizer of another network
        return Defaults(networks[0])
    if short and "cnn" in networks:
        return Defaults("cnn", settings=_CNN, reason=reason)
    return _ngrams(amount, reason)


def _ngrams(amount: LabelledAmount, reason: str) -> Defaults:
    """As many vectors as characters, within bounds, so that few n-grams share one; little text is read more often."""
    much = amount.with_spaces and amount.characters > _MUCH
    sizes = _MUCH_TEXT if much else _WITH_SPACES if amount.with_spaces else _WITHOUT_SPACES
    most = min(_MOST_BUCKETS, _MOST_NUMBERS // max(1, amount.labels))
    wanted = 2 ** math.ceil(math.log2(max(1, amount.characters)))
    batch_size = 64 if amount.texts >= 2000 else 32
    passes = min(_MOST_EPOCHS, math.ceil(_UPDATES * batch_size / max(1, amount.texts)))
    return Defaults(
        "ngrams",
        sizes={**sizes, "buckets": max(_FEWEST_BUCKETS, min(most, wanted))},
        settings={
            "batch_size": batch_size,
            "epochs": max(_EPOCHS_OF_MUCH if much else _EPOCHS, passes),
        },
        reason=reason,
    )
