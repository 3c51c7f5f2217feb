import keras
import numpy as np
import pytest

from lmkeras.layers.blocks import DecoderBlock, TransformerBlock
from tests.layers.formulas import decoder_block, fill, transformer_block
from tests.layers.test_attention import copy_weights

WIDTH = 8
X = np.random.default_rng(0).normal(size=(3, 5, WIDTH)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 1, 1, 1, 1]], bool)


def built(block):
    block.build(X.shape)
    return fill(block)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("key_dim", [None, WIDTH])
@pytest.mark.parametrize("mask", [None, MASK])
def test_transformer_block_is_its_formula(causal, key_dim, mask):
    block = built(TransformerBlock(WIDTH, 2, 12, key_dim=key_dim, causal=causal))
    np.testing.assert_allclose(block(X, mask=mask), transformer_block(X.astype("float64"), block, mask), atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK])
def test_decoder_block_is_its_formula(mask):
    block = built(DecoderBlock(WIDTH, 2, 12))
    np.testing.assert_allclose(block(X, mask=mask), decoder_block(X.astype("float64"), block, mask), atol=1e-5)


@pytest.mark.parametrize("key_dim", [WIDTH // 2, WIDTH])  # the documents' example gives each head the whole width
def test_transformer_block_equals_one_of_keras_layers(key_dim):
    attention = keras.layers.MultiHeadAttention(num_heads=2, key_dim=key_dim)
    attention.build(X.shape, X.shape)
    feed_forward = keras.Sequential([keras.layers.Dense(12, activation="relu"), keras.layers.Dense(WIDTH)])
    feed_forward.build(X.shape)
    norms = [keras.layers.LayerNormalization(epsilon=1e-6) for _ in range(2)]
    for layer in (attention, feed_forward, *norms):
        if not layer.built:
            layer.build(X.shape)
        fill(layer, seed=3)
    x = norms[0](X + attention(X, X))
    expected = norms[1](x + feed_forward(x))

    block = built(TransformerBlock(WIDTH, 2, 12, key_dim=key_dim))
    copy_weights(attention, block._attention)
    block._attention_norm.set_weights(norms[0].get_weights())
    block._feed_forward_norm.set_weights(norms[1].get_weights())
    for ours, theirs in zip((block._expand, block._contract), feed_forward.layers, strict=True):
        ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(block(X), expected, atol=1e-5)


NEARLY_ALL = 1 - 1e-7  # a rate below 1 at which dropout drops everything


def test_a_decoder_block_that_drops_everything_hands_its_input_on():
    block = built(DecoderBlock(WIDTH, 2, 12, NEARLY_ALL))
    np.testing.assert_array_equal(block(X, training=True), X)
    np.testing.assert_allclose(block(X), decoder_block(X.astype("float64"), block), atol=1e-5)


def test_a_transformer_block_that_drops_everything_normalises_twice():
    block = built(TransformerBlock(WIDTH, 2, 12, NEARLY_ALL))
    expected = block._feed_forward_norm(block._attention_norm(X))
    np.testing.assert_allclose(block(X, training=True), expected, atol=1e-6)
