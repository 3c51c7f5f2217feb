import numpy as np
import pytest
import tensorflow as tf

from lmkeras.layers import vocabulary_loss as module
from lmkeras.layers.vocabulary_loss import vocabulary_loss

TOKENS, WIDTH, VOCABULARY = 300, 8, 50
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(size=(TOKENS, WIDTH)).astype("float32")
KERNEL = RANDOM.normal(size=(WIDTH, VOCABULARY)).astype("float32")
BIAS = RANDOM.normal(size=VOCABULARY).astype("float32")
TARGETS = RANDOM.integers(0, VOCABULARY, TOKENS).astype("int32")
WEIGHTS = RANDOM.random(TOKENS).astype("float32")


def plain(hidden, kernel, bias):
    """What TensorFlow gives for all logits at once."""
    logits = hidden @ kernel + (0 if bias is None else bias)
    return tf.reduce_sum(WEIGHTS * tf.nn.sparse_softmax_cross_entropy_with_logits(TARGETS, logits))


def value_and_gradients(loss, *tensors):
    tensors = [None if tensor is None else tf.constant(tensor) for tensor in tensors]
    real = [tensor for tensor in tensors if tensor is not None]
    with tf.GradientTape() as tape:
        tape.watch(real)
        value = 3.0 * loss(*tensors)  # the gradient that comes from above need not be 1
    return [value, *tape.gradient(value, real)]


@pytest.fixture(params=[128, 1024], ids=["three chunks", "one chunk"])
def chunk(request, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_LOGITS", request.param * VOCABULARY)


@pytest.mark.parametrize("bias", [BIAS, None], ids=["bias", "no bias"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 2**-6)])
def test_loss_and_gradients_are_those_of_all_logits_at_once(chunk, bias, dtype, tolerance):
    def ours(hidden, kernel, bias):
        return vocabulary_loss(hidden, kernel, bias, TARGETS, WEIGHTS, dtype)

    expected, actual = value_and_gradients(plain, HIDDEN, KERNEL, bias), value_and_gradients(ours, HIDDEN, KERNEL, bias)
    for right, left in zip(expected, actual, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance * np.abs(right).max())


def test_a_tied_matrix(chunk):
    def ours(hidden, table):
        return vocabulary_loss(hidden, table, None, TARGETS, WEIGHTS, "float32", transposed=True)

    expected = value_and_gradients(lambda hidden, kernel: plain(hidden, kernel, None), HIDDEN, KERNEL)
    value, d_hidden, d_table = value_and_gradients(ours, HIDDEN, KERNEL.T)
    for right, left in zip(expected, (value, d_hidden, tf.transpose(d_table)), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5 * np.abs(right).max())


def test_large_logits_stay_finite():
    value, *gradients = value_and_gradients(
        lambda hidden, kernel: vocabulary_loss(hidden, kernel, None, TARGETS, WEIGHTS, "float32"), 1e3 * HIDDEN, KERNEL
    )
    expected, *_ = value_and_gradients(lambda hidden, kernel: plain(hidden, kernel, None), 1e3 * HIDDEN, KERNEL)
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
