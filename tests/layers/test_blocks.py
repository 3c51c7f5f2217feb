import keras
import numpy as np
import pytest

from lmkeras.layers.blocks import DecoderBlock, TransformerBlock
from tests.layers.formulas import attention_weights, decoder_block, fill, gelu, relu, transformer_block
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


@pytest.mark.parametrize(("name", "activation"), [("gelu", gelu), ("relu", relu)])
@pytest.mark.parametrize("epsilon", [1e-12, 0.1])
@pytest.mark.parametrize("mask", [MASK, np.tri(5, dtype=bool)[None].repeat(3, axis=0)])
def test_transformer_block_with_another_activation_and_epsilon(name, activation, epsilon, mask):
    block = built(TransformerBlock(WIDTH, 2, 12, activation=name, epsilon=epsilon, attention_dropout=0.5))
    expected = transformer_block(X.astype("float64"), block, mask, activation, epsilon)
    np.testing.assert_allclose(block(X, mask=mask), expected, atol=1e-5)
    np.testing.assert_allclose(
        block.attention_weights(X, mask), attention_weights(X, block._attention, mask), atol=1e-6
    )


def test_attention_dropout_that_drops_everything_leaves_the_biases():
    block = built(TransformerBlock(WIDTH, 2, 12, rate=0.0, attention_dropout=NEARLY_ALL))
    x = block._attention_norm(X + block._attention._output.bias)
    expected = block._feed_forward_norm(x + block._contract(block._expand(x)))
    np.testing.assert_allclose(block(X, training=True), expected, atol=1e-6)


def test_matrices_begin_as_they_are_told_each_with_values_of_its_own():
    block = TransformerBlock(64, 2, 64, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02))
    block.build((None, None, 64))
    kernels = [weight.numpy() for weight in block.weights if len(weight.shape) == 2]
    assert len(kernels) == 4
    for kernel in kernels:
        assert kernel.std() == pytest.approx(0.02 * 0.8796, rel=5 * (0.5 / kernel.size) ** 0.5)
    assert len(np.unique(np.concatenate(kernels, axis=1))) > 0.99 * sum(kernel.size for kernel in kernels)


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


@pytest.mark.parametrize("kind", [DecoderBlock, lambda *sizes: TransformerBlock(*sizes, causal=True)])
def test_steps_of_rows_of_different_lengths_are_passes_over_each_row(kind):
    block, first = built(kind(WIDTH, 2, 12)), np.array([2, 0, 4], "int32")
    cache, pieces = block.initial_cache(3, 6), []
    for start, end in ((0, 3), (3, 5)):
        piece, cache = block.step(X[:, start:end], cache, start, np.maximum(end - first, 0))
        pieces.append(piece)
    together = np.concatenate(pieces, axis=1)
    for row in range(3):
        own = X[row : row + 1, first[row] :]
        np.testing.assert_allclose(together[row : row + 1, first[row] :], block(own), atol=1e-5)


NEARLY_ALL = 1 - 1e-7  # a rate below 1 at which dropout drops everything


def test_a_decoder_block_that_drops_everything_hands_its_input_on():
    block = built(DecoderBlock(WIDTH, 2, 12, NEARLY_ALL))
    np.testing.assert_array_equal(block(X, training=True), X)
    np.testing.assert_allclose(block(X), decoder_block(X.astype("float64"), block), atol=1e-5)


def test_a_transformer_block_that_drops_everything_normalises_twice():
    block = built(TransformerBlock(WIDTH, 2, 12, NEARLY_ALL))
    expected = block._feed_forward_norm(block._attention_norm(X))
    np.testing.assert_allclose(block(X, training=True), expected, atol=1e-6)
