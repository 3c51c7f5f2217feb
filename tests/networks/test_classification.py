"""What classification networks share, each against a loop over one text at a time.

Shape letters: B batch, T tokens, D width.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lmkeras.errors import InputError
from lmkeras.networks.classification import ClassificationNetwork, masked_max, masked_mean, padding_last
from lmkeras.networks.dense import dense_classifier

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


@pytest.mark.parametrize("num_classes", [-1, 0, 1])
def test_one_class_alone_is_nothing_to_tell_apart(num_classes):
    with pytest.raises(InputError, match=f"num_classes must be at least 2, got {num_classes}"):
        ClassificationNetwork(num_classes)


@pytest.mark.parametrize(
    ("size", "value"), [("vocabulary_size", 0), ("embedding_dim", -3), ("dropout", 1.0), ("dropout", -0.1)]
)
def test_what_all_with_an_embedding_refuse(size, value):
    with pytest.raises(InputError, match=rf"{size} must be .*, got {value}"):
        dense_classifier(**{"vocabulary_size": 5, "num_classes": 2, size: value})
