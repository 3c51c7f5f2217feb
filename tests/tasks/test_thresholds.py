import itertools

import numpy as np
import pytest
from sklearn import metrics

from lmkeras.tasks.thresholds import best_thresholds

RNG = np.random.default_rng(0)


def f1(true, probabilities, threshold):
    return metrics.f1_score(true, probabilities >= threshold, zero_division=0.0)


@pytest.mark.parametrize("rounded", [1, 2, 8])
def test_no_other_threshold_of_a_label_is_better(rounded):
    true = RNG.random((60, 3)) < [0.2, 0.5, 0.8]
    probabilities = np.clip(0.3 * true + 0.6 * RNG.random((60, 3)), 0, 1).round(rounded)  # some are equal
    thresholds = best_thresholds(probabilities, true, fewest=1)
    for label in range(3):
        of_label = true[:, label], probabilities[:, label]
        best = max(f1(*of_label, threshold) for threshold in np.unique(of_label[1]))
        assert f1(*of_label, thresholds[label]) == pytest.approx(best)
    assert ((thresholds > 0) & (thresholds < 1)).all()


def test_rare_labels_have_the_threshold_that_is_best_for_all_decisions():
    true = np.zeros((50, 3), bool)
    true[:20, 0], true[:3, 1], true[:2, 2] = True, True, True
    probabilities = np.clip(0.4 * true + 0.5 * RNG.random((50, 3)), 0, 1)
    own, common, again = best_thresholds(probabilities, true, fewest=10)
    assert common == again != own
    best = max(f1(true.ravel(), probabilities.ravel(), one) for one in np.unique(probabilities))
    assert f1(true.ravel(), probabilities.ravel(), common) == pytest.approx(best)


def test_of_equally_good_thresholds_the_nearest_to_one_half():
    true = np.array([[1], [1], [0], [0]])
    for upper, lower in itertools.product([0.9, 0.55], [0.45, 0.1]):
        probabilities = np.array([[0.95], [upper], [lower], [0.05]])
        assert best_thresholds(probabilities, true, fewest=1) == pytest.approx([(upper + lower) / 2])


def test_a_part_without_any_label_leaves_one_half():
    assert best_thresholds(RNG.random((5, 2)), np.zeros((5, 2))).tolist() == [0.5, 0.5]
