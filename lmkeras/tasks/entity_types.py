"""The types of entities that a tagger knows, and the numbers of the tags that stand for them.

Shape letters: W words.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from lmkeras.corpora.spans import Span
from lmkeras.corpora.tag_schemes import parts_of
from lmkeras.errors import InputError
from lmkeras.tasks.data import Defaults

_UPDATES, _FEWEST_EPOCHS, _MOST_EPOCHS, _MINUTES = 6000, 4, 40, 9


@dataclasses.dataclass(frozen=True)
class EntityTypes:
    """What a tagger has learnt from its corpus."""

    types: tuple[str, ...] | None = None
    """The names of the types, None until a corpus has shown them."""
    single_types: int = 0
    """How many of the types, the first ones, are tags of single words, such as parts of speech."""
    splitting: str = "words"
    """How texts are cut into words, see `word_spans`."""
    labels: tuple[str, ...] | None = None
    """The names of a published model's tags, such as B-PER, in its order; None for tags of our own."""

    def require_known(self, types: Iterable[str]) -> None:
        """Raises InputError if there are other types than those that the task has learnt."""
        if unknown := sorted(set(types).difference(self.types)):
            raise InputError(
                f"this model does not know the type{'s' * (len(unknown) > 1)} {', '.join(unknown)}; it knows "
                f"{', '.join(self.types)}. Train a new model for other types"
            )

    def tag_numbers(self, num_words: int, spans: Iterable[Span]) -> np.ndarray:
        """The number of the tag of each word of a text, int32 [W]."""
        if self.labels is not None:
            return label_numbers(num_words, spans, self.labels)
        numbered = [(start, end, self.types.index(kind)) for start, end, kind in spans]
        return tag_numbers(num_words, numbered, self.single_types)


def tagger_defaults(texts: int, network: str) -> Defaults:
    """How a tagger is trained whose user says nothing, for so many texts: some 6,000 updates, at most ten minutes.

    The rule was measured on parts of the training and validation parts of CoNLL-2003.

    Args:
        texts: number of texts to train on.
        network: the name of the network.

    Example:
        >>> tagger_defaults(14_041, "lstm").settings
        {'batch_size': 32, 'epochs': 14, 'minutes': 9}
    """
    batch_size = 32 if texts >= 5000 else 16 if texts >= 1000 else 8
    epochs = min(max(_FEWEST_EPOCHS, math.ceil(_UPDATES * batch_size / max(1, texts))), _MOST_EPOCHS)
    settings = {"batch_size": batch_size, "epochs": epochs, "minutes": _MINUTES}
    return Defaults(network, settings=settings, reason=f"{texts:,} texts")


def tag_numbers(num_words: int, spans: Iterable[tuple[int, int, int]], single_types: int) -> np.ndarray:
    """The number of the tag of each word, int32 [W], as `TagsHead` numbers them.

    Args:
        num_words: W.
        spans: the entities: the first word, the word behind the last one, the number of the type.
        single_types: how many types, the first ones, only single words have.

    Raises:
        InputError: an entity of such a type has several words.

    Example:
        >>> tag_numbers(6, [(0, 3, 0), (3, 4, 1)], single_types=0).tolist()
        [1, 2, 3, 8, 0, 0]
    """
    tags = np.zeros(num_words, np.int32)
    for start, end, kind in spans:
        if kind < single_types:
            if end > start + 1:
                raise InputError("this model gives every word a tag of its own: give one tag a word, without B- and I-")
            tags[start] = 1 + kind
            continue
        first = 1 + single_types + 4 * (kind - single_types)
        tags[start:end] = first + 1
        tags[start], tags[end - 1] = first, first + 2
        if end == start + 1:
            tags[start] = first + 3
    return tags


def label_numbers(num_words: int, spans: Iterable[Span], labels: Sequence[str]) -> np.ndarray:
    """The number of each word's tag among published labels, int32 [W], in whatever scheme these are.

    Example:
        >>> label_numbers(4, [Span(1, 3, "PER")], ["O", "B-PER", "I-PER"]).tolist()
        [0, 1, 2, 0]
    """
    known = {(parts_of(label) or ("S", label)): number for number, label in enumerate(labels)}

    def number(letters, kind):
        return next(known[letter, kind] for letter in letters if (letter, kind) in known)

    tags = np.full(num_words, known.get(("O", ""), 0), np.int32)
    for start, end, kind in spans:
        tags[start:end] = number("IMBESLU", kind)
        tags[start], tags[end - 1] = number("BIMESLU", kind), number("ELIMBSU", kind)
        if end == start + 1:
            tags[start] = number("SUBIMEL", kind)
    return tags
