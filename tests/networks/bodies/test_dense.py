"""The dense classifier against its formula, one text at a time in NumPy float64."""

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.bodies.dense import dense_classifier
from tests.layers.formulas import dense, fill, relu, weights_of

TEXTS = [[3], [7, 2, 9, 9, 1], [], [12, 4, 7]]
IDS = np.array([[0] * (5 - len(text)) + text for text in TEXTS], "int32")


def expected_logits(network, text):
    (embeddings,) = weights_of(network.body.embedding)
    mean = sum((embeddings[token] for token in text), np.zeros(network.body.embedding_dim)) / max(1, len(text))
    features = mean if network.body.hidden is None else relu(dense(mean, network.body.hidden))
    return dense(features, network.head)


def new(**sizes):
    return fill(dense_classifier(13, 3, **{"embedding_dim": 6, **sizes}))


@pytest.mark.parametrize("units", [None, 4])
def test_logits_are_the_formula(units):
    network = new(units=units)
    expected = [expected_logits(network, text) for text in TEXTS]
    np.testing.assert_allclose(network(IDS), expected, atol=1e-5)


@pytest.mark.parametrize("units", [None, 4])
def test_dropout_acts_on_what_enters_the_last_layer_and_in_training_alone(units):
    network = new(units=units, dropout=1 - 1e-7)
    np.testing.assert_allclose(network(IDS, training=True), [network.head.dense.bias] * len(IDS), atol=1e-6)
    np.testing.assert_allclose(network(IDS), [expected_logits(network, text) for text in TEXTS], atol=1e-5)


@pytest.mark.parametrize("units", [0, -2])
def test_a_hidden_layer_has_units(units):
    with pytest.raises(InputError, match=f"units must be at least 1, got {units}"):
        new(units=units)
