"""The head of a classifier."""

import keras
import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.heads.classes import ClassesHead
from tests.layers.formulas import dense, fill

SUMMARY = np.random.default_rng(0).normal(size=(200, 50)).astype("float32")


def built(*arguments):
    head = ClassesHead(*arguments)
    head.build((None, 50))
    return head


@pytest.mark.parametrize("num_classes", [-1, 0, 1])
def test_one_class_alone_is_nothing_to_tell_apart(num_classes):
    with pytest.raises(InputError, match=f"num_classes must be at least 2, got {num_classes}"):
        ClassesHead(num_classes)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_is_a_share(dropout):
    with pytest.raises(InputError, match=f"dropout must be from 0 to below 1, got {dropout}"):
        ClassesHead(2, dropout)


def test_logits_are_the_formula_and_dropout_acts_on_the_summary_in_training_alone():
    head = fill(built(3, 0.5))
    np.testing.assert_allclose(head(SUMMARY), dense(SUMMARY, head), atol=1e-5)
    head.dense.set_weights([np.ones((50, 3)), np.zeros(3)])
    kept = np.asarray(head(np.ones_like(SUMMARY), training=True)) / 2  # what is kept makes up for what is not
    assert kept.mean() == pytest.approx(25, abs=5 * (50 / 4 / 200) ** 0.5)  # five standard errors
    assert kept.std() > 1


def test_fresh_matrices():
    keras.utils.set_random_seed(0)
    uniform, normal = (built(40, 0.0, spread).dense.kernel.numpy() for spread in (None, 0.1))
    limit = (6 / (50 + 40)) ** 0.5  # Glorot and Bengio 2010, formula 16
    assert 0.99 * limit < np.abs(uniform).max() <= limit
    # cut off at two standard deviations, of which 0.8796 are left
    assert normal.std() == pytest.approx(0.1 * 0.8796, rel=5 * (0.5 / 2000) ** 0.5)
    assert np.abs(normal).max() <= 0.2
