"""Kim's convolutional classifier against his formulas, filter by filter and window by window in NumPy float64.

Letters as there: x a word's vector, w and b a filter and its bias, h the width of its window, c its feature map.
"""

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.bodies.convolutional import cnn_classifier
from tests.layers.formulas import dense, fill, weights_of

TEXTS = [[3], [7, 2, 9, 9, 1, 11], [], [12, 4, 7], [5, 5]]
IDS = np.array([text + [0] * (6 - len(text)) for text in TEXTS], "int32")


def largest(x, w, b):
    """max over i of relu(w · x[i : i + h] + b), of every window that holds a word; beyond the text x is 0."""
    h, feature_map = len(w), []
    for i in range(1 - h, len(x)):
        words = [j for j in range(h) if 0 <= i + j < len(x)]
        feature_map.append(max(0.0, sum(w[j] @ x[i + j] for j in words) + b))
    return max(feature_map) if len(x) else 0.0


def expected_logits(network, text):
    (embeddings,) = weights_of(network.body.embedding)
    features = []
    for convolution in network.body.convolutions:
        w, b = weights_of(convolution)  # [h, D, filters], [filters]
        features += [largest(embeddings[text], w[:, :, f], b[f]) for f in range(network.body.filters)]
    return dense(np.array(features), network.head)


def new(**sizes):
    return fill(cnn_classifier(13, 3, **{"embedding_dim": 6, "filters": 4, **sizes}))


@pytest.mark.parametrize("widths", [(3,), (1, 2, 9), (2, 2)])
@pytest.mark.parametrize("bias", [0.0, 5.0])  # with a large one, windows of padding alone would win
def test_logits_are_the_formulas(widths, bias):
    network = new(widths=widths)
    for convolution in network.body.convolutions:
        convolution.bias.assign_add([bias] * 4)
    expected = [expected_logits(network, np.array(text, int)) for text in TEXTS]
    np.testing.assert_allclose(network(IDS), expected, atol=1e-5, rtol=1e-5)


def test_dropout_acts_on_the_features_and_in_training_alone():
    network = new(dropout=1 - 1e-7)
    np.testing.assert_allclose(network(IDS, training=True), [network.head.dense.bias] * len(IDS), atol=1e-6)
    expected = [expected_logits(network, np.array(text, int)) for text in TEXTS]
    np.testing.assert_allclose(network(IDS), expected, atol=1e-5, rtol=1e-5)


def test_no_convolution_stands_above_another():
    network = new(widths=(2, 3, 3))
    assert network.layer_groups() == [[network.body.embedding], network.body.convolutions, [network.head.dense]]
    assert len({weight.path for weight in network.weights}) == len(network.weights)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"widths": ()}, r"widths must name the widths of filters, one at least, such as \(3, 4, 5\), got \(\)"),
        ({"widths": 3}, r"widths must name the widths of filters, .* got 3"),
        ({"widths": (3, 0)}, "widths must be at least 1, got 0"),
        ({"filters": 0}, "filters must be at least 1, got 0"),
    ],
)
def test_sizes_that_are_none(sizes, message):
    with pytest.raises(InputError, match=message):
        new(**sizes)
