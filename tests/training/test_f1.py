import keras
import numpy as np
import pytest
from sklearn import metrics

from lmkeras.reports import ClassificationReport
from lmkeras.training.f1 import LabelsF1, MacroF1

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_it_is_the_reports_value_however_examples_are_cut_into_batches(classes):
    true, logits = RNG.integers(0, max(2, classes - 2), 40), RNG.normal(size=(40, classes))
    metric = MacroF1(classes)
    for batch in np.split(np.arange(40), [1, 5, 20]):
        metric.update_state(true[batch, None], logits[batch])
    report = ClassificationReport.from_predictions(true, logits.argmax(axis=1), [str(i) for i in range(classes)])
    assert float(metric.result()) == pytest.approx(report.macro_f1, rel=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_an_example_of_weight_0_does_not_count_and_one_of_weight_2_counts_twice():
    logits = np.eye(3)[[0, 1, 1, 2]]
    weighted, plain = MacroF1(3), MacroF1(3)
    weighted.update_state([0, 1, 2, 0], logits, sample_weight=[1, 2, 1, 0])
    plain.update_state([0, 1, 1, 2], logits[[0, 1, 1, 1]][[0, 1, 2, 3]])
    assert float(weighted.result()) == pytest.approx(float(plain.result()))


def test_it_is_saved_with_a_compiled_network():
    again = keras.metrics.deserialize(keras.metrics.serialize(MacroF1(4)))
    assert (type(again), again.num_classes) == (MacroF1, 4)


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("labels", [1, 3, 8])
def test_that_of_labels_is_scikit_learns_however_texts_are_cut_into_batches(average, labels):
    true, logits = RNG.integers(0, 2, (40, labels)), RNG.normal(size=(40, labels))
    true[:, -1], logits[:, -1] = 0, -1  # a label that never is, and is never predicted
    metric = LabelsF1(labels, average)
    for batch in np.split(np.arange(40), [1, 5, 20]):
        metric.update_state(true[batch], logits[batch], sample_weight=np.ones((len(batch), labels)))
    ours, theirs = true, (logits > 0).astype(int)
    if labels == 1:  # one column would mean two classes to scikit-learn
        ours, theirs = np.pad(ours, [[0, 0], [0, 1]]), np.pad(theirs, [[0, 0], [0, 1]])
    expected = metrics.f1_score(ours, theirs, average=average, zero_division=0.0)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
    assert metric.name == f"{average}_f1"


def test_a_decision_of_weight_0_does_not_count():
    metric, plain = LabelsF1(2, "macro"), LabelsF1(2, "macro")
    metric.update_state([[1, 0], [1, 1]], [[1.0, 1.0], [-1.0, 1.0]], sample_weight=[[1, 0], [1, 1]])
    plain.update_state([[1, 0], [1, 1]], [[1.0, -1.0], [-1.0, 1.0]])
    assert float(metric.result()) == pytest.approx(float(plain.result())) == pytest.approx((2 / 3 + 1) / 2)


def test_that_of_labels_is_saved_with_a_compiled_network():
    again = keras.metrics.deserialize(keras.metrics.serialize(LabelsF1(4, "micro")))
    assert (type(again), again.num_labels, again.average, again.name) == (LabelsF1, 4, "micro", "micro_f1")
