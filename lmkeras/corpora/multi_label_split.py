"""Deals examples that have several labels each to parts, so that every part has its share of every label."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence


def dealt(labels: Iterable[Sequence[str]], wanted: Callable[[int], Sequence[float]], seed: int) -> list[int]:
    """The part to which each example is dealt, at random.

    An example is dealt for its rarest label, the rarest labels first, to the part that lacks most examples of this
    label. No part gets all examples of a label that has two or more, unless other labels leave no choice; of two
    parts the first one is always left as a choice. Examples without labels are dealt as if they had one in common.

    Args:
        labels: all labels of each example.
        wanted: gives, for a number of examples, how many of them each part should have.
        seed: the same seed deals in the same way.

    Source: Sechidis et al. 2011, "On the Stratification of Multi-Label Data", iterative stratification; here the order
        of the labels is that of their counts in all examples.

    Example:
        >>> dealt([["a", "b"], ["a"], ["b"], ["b"], []], lambda count: [count - count // 2, count // 2], seed=0)
        [0, 1, 0, 1, 0]
    """
    labels = [tuple(of_one) or (None,) for of_one in labels]
    counts = Counter(label for of_one in labels for label in of_one)
    lacking = {label: list(wanted(count)) for label, count in counts.items()}
    in_all = list(wanted(len(labels)))
    placed = {label: [0] * len(in_all) for label in counts}
    having = defaultdict(list)
    for position, of_one in enumerate(labels):
        having[min(of_one, key=lambda label: (counts[label], str(label)))].append(position)
    choose, parts = random.Random(seed), [0] * len(labels)

    def leaves_some(position: int, part: int) -> bool:
        return all(counts[label] < 2 or placed[label][part] + 1 < counts[label] for label in labels[position])

    for rarest in sorted(having, key=lambda label: (counts[label], str(label))):
        choose.shuffle(having[rarest])
        for position in having[rarest]:
            allowed = [part for part in range(len(in_all)) if leaves_some(position, part)] or [0]
            part = max(allowed, key=lambda part: (lacking[rarest][part], in_all[part]))
            parts[position] = part
            in_all[part] -= 1
            for label in labels[position]:
                lacking[label][part] -= 1
                placed[label][part] += 1
    return parts
