"""Cuts a labelled corpus at random into parts that each have their share of every label."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from itertools import compress, cycle

from lmkeras.corpora.labelled import Label, LabelledCorpus, names_in
from lmkeras.corpora.multi_label_split import dealt
from lmkeras.errors import InputError


def split_labelled(
    corpus: LabelledCorpus, validation_fraction: float = 0.1, seed: int = 0
) -> tuple[LabelledCorpus, LabelledCorpus]:
    """Cuts a labelled corpus in two at random, with the same share of every label in both.

    Of the n examples of a label n * validation_fraction, rounded, go to the validation part, but at least one and at
    most n - 1. A label's only example goes to the training part. Where texts have several labels each, these numbers
    are aimed at, and no label loses all its examples to the validation part, see `multi_label_split.dealt`.

    Args:
        corpus: is read once here, for its labels; each part reads it again whenever the part is iterated.
        validation_fraction: share of the validation part, in (0, 1).
        seed: an integer; for the same labels in the same order, the same seed chooses the same examples.

    Returns:
        (train, validation), each in the order of the corpus.

    Raises:
        InputError: `validation_fraction` is outside (0, 1), or no label has two examples.

    Example:
        >>> corpus = LabelledCorpus.from_examples(list("abcdefghij"), [0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
        >>> train, validation = split_labelled(corpus, validation_fraction=0.25)
        >>> train.label_counts(), validation.label_counts()
        ({'0': 6, '1': 1}, {'0': 2, '1': 1})
    """
    if not 0 < validation_fraction < 1:
        raise InputError(f"validation_fraction: expected a number between 0 and 1, got {validation_fraction}")
    fraction = Fraction(str(validation_fraction))  # exactly the decimal that the user wrote

    def chosen_of(count: int) -> int:
        return min(max(1, int(count * fraction + Fraction(1, 2))), count - 1)

    positions = _positions(corpus)
    if _are_several(positions):
        parts = dealt(_all_labels(positions), lambda count: (count - chosen_of(count), chosen_of(count)), seed)
        validates = dict(enumerate(map(bool, parts)))
    else:
        validates = _validates(_shuffled(positions, seed), chosen_of)
    if not any(validates.values()):
        raise InputError(
            f"the corpus is too small to split: it has {len(validates)} examples and no two of them with the same "
            "label. Give more examples, or a validation corpus of its own"
        )
    return _cut(corpus, (validates[position] for position in range(len(validates))))


def _validates(positions: Iterable[list[int]], chosen_of: Callable[[int], int]) -> dict[int, bool]:
    """For each position whether its example validates, from the positions of each label's examples."""
    validates = {}
    for of_one_label in positions:
        chosen = chosen_of(len(of_one_label))
        validates.update((position, number < chosen) for number, position in enumerate(of_one_label))
    return validates


def folds(corpus: LabelledCorpus, num_folds: int, seed: int = 0) -> Iterator[tuple[LabelledCorpus, LabelledCorpus]]:
    """Cuts a labelled corpus for cross-validation: every example is held out of the training in exactly one fold.

    The sizes of the folds differ by at most one example, and so do the numbers of a label's examples in them. A label
    with fewer examples than there are folds is missing from the held-out part of some folds. If a label has only one
    example, the fold that holds it out has none to train on.

    Args:
        corpus: is read once here, for its labels; each part reads it again whenever the part is iterated.
        num_folds: number of folds, from 2 to the number of examples.
        seed: an integer; for the same labels in the same order, the same seed makes the same folds.

    Returns:
        An iterator of `num_folds` pairs (train, held_out), each part in the order of the corpus.

    Raises:
        InputError: `num_folds` is less than 2 or more than there are examples.

    Example:
        >>> corpus = LabelledCorpus.from_examples(list("abcdef"), [0, 1, 0, 1, 0, 1])
        >>> [held_out.label_counts() for train, held_out in folds(corpus, 3)]
        [{'0': 1, '1': 1}, {'0': 1, '1': 1}, {'0': 1, '1': 1}]
    """
    # examples are dealt to the folds in turn, and a label begins where the one before it ended: if every label began
    # with the first fold, the first folds would get all that is left over
    positions, parts = _positions(corpus), max(1, num_folds)
    if _are_several(positions):
        fold_of = dict(enumerate(dealt(_all_labels(positions), lambda count: [count / parts] * parts, seed)))
    else:
        deal = cycle(range(parts))
        fold_of = {position: next(deal) for of_one in _shuffled(positions, seed) for position in of_one}
    if not 2 <= num_folds <= len(fold_of):
        raise InputError(f"num_folds: expected 2 to {len(fold_of)}, the number of examples, got {num_folds}")
    return (_cut(corpus, (fold_of[position] == fold for position in range(len(fold_of)))) for fold in range(num_folds))


def require_two_of_each_label(corpus: LabelledCorpus) -> None:
    """Raises InputError if a label has only one example, so that where it is held out there is none to learn from."""
    if lonely := [label for label, count in corpus.label_counts().items() if count < 2]:
        raise InputError(
            f"expected at least two examples of every label, got one of {', '.join(map(repr, lonely))}: where it is "
            "held out there is none to learn from; add examples or leave the label out"
        )


def _positions(corpus: LabelledCorpus) -> dict[Label, list[int]]:
    """For each label, or tuple of labels, the positions of its examples in the corpus, counted from 0."""
    positions = defaultdict(list)
    for position, (_, label) in enumerate(corpus):
        positions[label].append(position)
    return positions


def _are_several(labels: Iterable[Label]) -> bool:
    return any(isinstance(label, tuple) for label in labels)


def _all_labels(positions: Mapping[Label, list[int]]) -> list[tuple[str, ...]]:
    """All labels of each example, in the order of the corpus."""
    labels = {position: names_in(label) for label, of_one in positions.items() for position in of_one}
    return [labels[position] for position in range(len(labels))]


def _shuffled(positions: Mapping[Label, list[int]], seed: int) -> Iterator[list[int]]:
    """The positions of each label's examples in random order."""
    choose = random.Random(seed)
    for of_one_label in positions.values():
        choose.shuffle(of_one_label)
        yield of_one_label


def _cut(corpus: LabelledCorpus, held_out: Iterable[bool]) -> tuple[LabelledCorpus, LabelledCorpus]:
    """(train, held_out): the examples whose flag is false, and those whose flag is true."""
    held_out = bytes(held_out)
    trains = bytes(not flag for flag in held_out)
    return LabelledCorpus(partial(compress, corpus, trains)), LabelledCorpus(partial(compress, corpus, held_out))
