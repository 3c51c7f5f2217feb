"""Chooses the probabilities from which on the labels of a multi-label classifier are predicted.

Shape letters: N texts, C labels.
"""

import numpy as np

#: Fewer texts than this with a label do not say where its own threshold should be.
FEWEST = 10


def best_thresholds(probabilities: np.ndarray, true: np.ndarray, fewest: int = FEWEST) -> np.ndarray:
    """The thresholds with the highest F1 on a validation part.

    A label that at least `fewest` texts have gets the threshold with the best F1 of this label. All others get the
    one with the best F1 of all decisions together, because the best of few texts is the best of others by chance.

    Args:
        probabilities: float [N, C], in [0, 1].
        true: 0 or 1, [N, C].
        fewest: number of texts with a label from which on it gets a threshold of its own.

    Returns:
        float64 [C], in (0, 1): a label is predicted where its probability is at least its threshold.

    Source: Yang 2001, "A Study of Thresholding Strategies for Text Categorization" (SCut), where rare labels overfit.
    """
    probabilities, true = np.asarray(probabilities, np.float64), np.asarray(true, bool)
    common = _best(probabilities.ravel(), true.ravel())
    counts = true.sum(axis=0)
    own = zip(probabilities.T, true.T, counts, strict=True)
    return np.array([_best(of_one, is_true) if count >= fewest else common for of_one, is_true, count in own])


def _best(probabilities: np.ndarray, true: np.ndarray) -> float:
    """The threshold with the highest F1; of equally good ones, the nearest to 0.5. 0.5 if nothing is true."""
    if not true.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    descending = probabilities[order]
    below = np.append(descending[1:], 0.0)
    f1 = 2 * np.cumsum(true[order]) / (np.arange(1, len(order) + 1) + true.sum())
    f1[descending == below] = -1  # no threshold lies between equal probabilities
    middles = (descending + below) / 2
    best = np.flatnonzero(f1 == f1.max())
    return float(middles[best[np.argmin(np.abs(middles[best] - 0.5))]])
