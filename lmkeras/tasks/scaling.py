"""What a language model's training takes where its user says nothing: sizes and settings, from the amount of text.

The rule has one purpose: as few bits a character as ten minutes of two cores can bring, without learning the text by
heart. It looks at the text alone and not at the machine, so that the same text makes the same network everywhere, and a
resumed run too: a slower machine makes fewer updates in the minutes, a faster one ends after the passes.
"""

import bisect
import math
from collections.abc import Iterable
from typing import NamedTuple

_LEAST_VOCABULARY, _MOST_VOCABULARY = 257, 4096  # 257 is padding and every byte: an English character is a token each
_BYTES_PER_TOKEN = 1000  # bytes of text for each token of the vocabulary, since a token must come often to be learnt
_VOCABULARY_STEP = 64  # products with a matrix of so many columns, or a multiple, are the fastest

#: From so many bytes of text on: layers, width, heads and context. A little text is learnt by heart by a large network.
#: Much text is read only a few times in the minutes, where more updates of fewer layers bring more.
_NETWORKS = {0: (4, 128, 4, 128), 50_000: (4, 128, 4, 256), 200_000: (6, 192, 4, 256), 2_000_000: (4, 192, 4, 256)}

_BATCH_SIZE = 8  # ten minutes of two cores bring more by many updates on few tokens than by few on many
_WEIGHT_DECAY = 0.1

#: Dropout is 0 from so many bytes on, of which ten minutes read hardly more than once, and grows by so much with every
#: factor of ten that there is less.
_WITHOUT_DROPOUT, _DROPOUT_PER_FACTOR, _MOST_DROPOUT = 10_000_000, 0.1, 0.3

#: The most passes: so many over 100 kB, and more the less text there is, as the root of the ratio, since few updates
#: make a pass then. They end the training where a machine is so fast that its minutes would overfit.
_EPOCHS, _BYTES_OF_EPOCHS, _FEWEST_EPOCHS, _MOST_EPOCHS = 16, 100_000, 10, 40

_PROCESS_SECONDS = 600
#: What the process needs beside the minutes: to import, to compile the last evaluation, and in case that updates get
#: slower; and for each megabyte, to fit the tokenizer, to evaluate a last time and to compare with xz.
_SECONDS_BESIDE, _SECONDS_PER_MEGABYTE, _FEWEST_MINUTES = 40, 8, 7.0


class TextAmount(NamedTuple):
    """How much text there is.

    Attributes:
        size: number of bytes in UTF-8.
        different: number of different characters.
    """

    size: int
    different: int

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TextAmount":
        """Counts texts, which are read once.

        Example:
            >>> TextAmount.of(["to be", "天地"])
            TextAmount(size=11, different=7)
        """
        size, different = 0, set()
        for text in texts:
            size += len(text.encode())
            different.update(text)
        return cls(size, len(different))


class LanguageDefaults(NamedTuple):
    """What is taken where the user says nothing.

    Attributes:
        tokenizer: the name of the tokenizer.
        vocabulary_size: the most tokens that it may have.
        sizes: those of the transformer, by name.
        settings: those of the training, by name; epochs and minutes hold together, whichever ends first.
        reason: what all of it follows from, for people.
    """

    tokenizer: str
    vocabulary_size: int
    sizes: dict[str, int | float]
    settings: dict[str, int | float]
    reason: str


def language_defaults(amount: TextAmount) -> LanguageDefaults:
    """Tokenizer, sizes and settings of a transformer language model, for an amount of text to train on.

    Byte pairs are the tokens of every text. Of a little text they are short, bytes or little more, since each must come
    often to be learnt. Of much text they are long, so that the minutes read more of it; where a script has thousands of
    characters, there may be a token for each.

    Args:
        amount: how much text there is to train on, without the part that validates.

    Returns:
        The defaults. More text never makes vocabulary, width or context smaller, nor dropout, epochs or minutes more.

    Example:
        >>> novel = language_defaults(TextAmount(size=3_000_000, different=110))
        >>> novel.vocabulary_size, novel.sizes["num_layers"], novel.sizes["d_model"], novel.sizes["dropout"]
        (3008, 4, 192, 0.05)
        >>> novel.settings["epochs"], novel.reason
        (10, '3.00 MB of text')
    """
    size = max(1, amount.size)
    place = bisect.bisect_right(list(_NETWORKS), size) - 1
    layers, width, heads, context = list(_NETWORKS.values())[place]
    dropout = _DROPOUT_PER_FACTOR * math.log10(_WITHOUT_DROPOUT / size)
    epochs = math.ceil(_EPOCHS * math.sqrt(_BYTES_OF_EPOCHS / size))
    sizes = {"num_layers": layers, "d_model": width, "num_heads": heads, "context_length": context}
    return LanguageDefaults(
        tokenizer="byte_pair",
        vocabulary_size=_vocabulary_size(amount),
        sizes={**sizes, "dropout": round(min(max(0.0, dropout), _MOST_DROPOUT), 2)},
        settings={
            "batch_size": _BATCH_SIZE,
            "weight_decay": _WEIGHT_DECAY,
            "epochs": min(max(_FEWEST_EPOCHS, epochs), _MOST_EPOCHS),
            "minutes": _minutes(size),
        },
        reason=f"{size / 1e6:.2f} MB of text" if size >= 10_000 else f"{size / 1e3:.1f} kB of text",
    )


def _vocabulary_size(amount: TextAmount) -> int:
    wanted = max(amount.size / _BYTES_PER_TOKEN, amount.different)
    steps = math.ceil(wanted / _VOCABULARY_STEP)
    return min(max(_LEAST_VOCABULARY, steps * _VOCABULARY_STEP), _MOST_VOCABULARY)


def _minutes(size: int) -> float:
    """What is left of the process for training, in steps of a tenth of a minute."""
    seconds = _PROCESS_SECONDS - _SECONDS_BESIDE - _SECONDS_PER_MEGABYTE * size / 1e6
    return max(_FEWEST_MINUTES, math.floor(seconds / 6) / 10)
