"""What bodies and heads share: pooling against a loop over one text at a time, and what a new body gets unasked.

Shape letters: B batch, T tokens, D width.
"""

from typing import ClassVar

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lmkeras.errors import InputError
from lmkeras.networks.bodies.dense import dense_classifier
from lmkeras.networks.bodies.embedding import EmbeddingReader
from lmkeras.networks.contract import Body
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.pooling import masked_max, masked_mean, padding_last
from tests.layers.formulas import dense, fill, weights_of

shapes = st.tuples(st.integers(1, 4), st.integers(1, 6))
ids_with_padding = shapes.flatmap(lambda shape: arrays.arrays("int32", shape, elements=st.integers(0, 3)))
RNG = np.random.default_rng(0)


@settings(max_examples=30)
@given(ids_with_padding)
def test_padding_goes_last_and_tokens_keep_their_order(ids):
    expected = np.zeros_like(ids)
    for row, text in enumerate(ids.tolist()):
        tokens = [token for token in text if token]
        expected[row, : len(tokens)] = tokens
    np.testing.assert_array_equal(padding_last(ids), expected)


@pytest.mark.parametrize(("pool", "of_tokens"), [(masked_mean, np.mean), (masked_max, np.max)])
@settings(max_examples=30)
@given(mask=shapes.flatmap(lambda shape: arrays.arrays(bool, shape)))
def test_pooling_is_over_tokens_alone_and_zero_without_any(pool, of_tokens, mask):
    x = RNG.normal(size=(*mask.shape, 3)).astype("float32") - 1  # mostly below 0, which padding must not win with
    for row, pooled in enumerate(np.asarray(pool(x, mask))):
        tokens = x[row][mask[row]].astype("float64")
        np.testing.assert_allclose(pooled, of_tokens(tokens, axis=0) if len(tokens) else np.zeros(3), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "value"), [("vocabulary_size", 0), ("embedding_dim", -3), ("dropout", 1.0), ("dropout", -0.1)]
)
def test_what_all_with_an_embedding_refuse(size, value):
    with pytest.raises(InputError, match=rf"{size} must be .*, got {value}"):
        dense_classifier(**{"vocabulary_size": 5, "num_classes": 2, size: value})


def test_sizes_that_no_array_has():
    with pytest.raises(InputError, match="vocabulary_size must be less than 2147483648, got 2147483648"):
        dense_classifier(2**31, 2)


@keras.saving.register_keras_serializable("tests")
class Squared(EmbeddingReader):
    """A body of a user's own, which leaves all to the contract but its states."""

    SIZES: ClassVar = {"embedding_dim": 4, "dropout": 0.0}

    def build_layers(self, shape):
        self.first, self.second = keras.layers.Dense(4, name="first"), keras.layers.Dense(4, name="second")
        for layer in (self.first, self.second):
            layer.build(shape)

    def states(self, inputs, training=False):
        return self.second(self.first(super().states(inputs)) ** 2)


def test_a_body_of_the_users_own_needs_no_more_than_states(tmp_path):
    network = fill(Network(Squared(9), ClassesHead(3)))
    texts = [[3, 8], [7], []]
    (embeddings,), body = weights_of(network.body.embedding), network.body
    expected = []
    for text in texts:
        states = dense(dense(embeddings[text], body.first) ** 2, body.second)
        expected.append(dense(states.mean(axis=0) if text else np.zeros(4), network.head))
    ids = np.array([[0, 3, 8], [7, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(network(ids), expected, atol=1e-5)
    assert network.layer_groups() == [[body.embedding], [body.first], [body.second], [network.head.dense]]
    network.save(tmp_path / "network.keras")
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "network.keras")(ids), network(ids))


def test_a_body_has_states():
    with pytest.raises(NotImplementedError):
        Body().summary({"attention_mask": np.ones((1, 1))})
