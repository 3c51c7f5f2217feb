import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.layers import fused
from lmkeras.layers.position import rotation_angles

RANDOM = np.random.default_rng(0)


def floats(*shape):
    return RANDOM.normal(size=shape).astype("float32")


MASK = np.tril(np.ones((6, 6), bool))
GAPS = np.where(np.arange(6)[:, None] == 2, False, MASK)  # the third query may look nowhere
ANGLES = rotation_angles(6, 8, start=3)
CASES = {
    "rms_norm": (fused.rms_norm, [floats(3, 6, 8), floats(8)], [], {"epsilon": 1e-6}),
    "layer_norm": (fused.layer_norm, [floats(3, 6, 8), floats(8), floats(8)], [], {"epsilon": 1e-6}),
    "rotation": (fused.rotation, [floats(3, 2, 6, 8)], ANGLES, {"normalize": False}),
    "normalized rotation": (fused.rotation, [floats(3, 2, 6, 8)], ANGLES, {"normalize": True}),
    "softmax": (fused.scaled_softmax, [floats(3, 2, 6, 6)], [MASK], {"scale": 0.3}),
    "softmax with a row of nothing": (fused.scaled_softmax, [floats(3, 2, 6, 6)], [GAPS], {"scale": 0.3}),
    "bounded softmax": (fused.scaled_softmax, [floats(3, 2, 6, 6)], [MASK], {"scale": 0.3, "bounded": True}),
    "relu_squared": (fused.relu_squared, [floats(40, 8)], [], {}),
    "gelu": (fused.gelu, [floats(40, 8), floats(8)], [], {}),
    "bias": (fused.add_bias, [floats(40, 8), floats(8)], [], {}),
    "residual and norm": (
        fused.add_norm,
        [floats(3, 6, 8), floats(3, 6, 8), floats(8), floats(8)],
        [],
        {"epsilon": 1e-6},
    ),
}


def value_and_gradients(function, tensors, constants, options, dtype):
    # rounded before, so that both precisions start from the same numbers
    tensors = [tf.cast(tf.cast(tensor, "bfloat16"), "float32") for tensor in tensors]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = tf.cast(function(*tensors, *constants, dtype=dtype, **options), "float32")
        direction = tf.constant(np.random.default_rng(1).normal(size=y.shape), "float32")
        total = tf.reduce_sum(y * tf.cast(tf.cast(direction, "bfloat16"), "float32"))
    return [y, *tape.gradient(total, tensors)]


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param


def test_clusters_give_what_the_formula_gives_to_the_rounding_of_bfloat16(case):
    exact, fast = value_and_gradients(*case, "float32"), value_and_gradients(*case, "bfloat16")
    for expected, actual in zip(exact, fast, strict=True):
        # a value in bfloat16 has 8 significant bits
        np.testing.assert_allclose(actual, expected, rtol=2**-7, atol=2**-7 * np.abs(expected).max())


def test_written_gradients_are_the_formulas_own(case, monkeypatch):
    """In float32 the clusters, if they are asked for, differ from TensorFlow's own gradients by rounding alone."""
    expected = value_and_gradients(*case, "float32")
    monkeypatch.setattr(fused, "fuses", lambda dtype: True)
    for right, left in zip(expected, value_and_gradients(*case, "float32"), strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5 * np.abs(right).max())


def test_bounded_softmax_is_softmax():
    scores = 100 * floats(2, 2, 6, 6).clip(-1, 1)
    plain, bounded = (
        fused.scaled_softmax(scores, MASK, scale=0.35, dtype="float32", bounded=bounded) for bounded in (False, True)
    )
    np.testing.assert_allclose(bounded, plain, atol=1e-6)


@pytest.mark.parametrize("transpose", [False, True])
def test_products(transpose):
    x, kernel, bias = floats(2, 5, 8), floats(8, 7), floats(7)
    actual = fused.product(x, kernel.T if transpose else kernel, "float32", bias, transpose=transpose)
    np.testing.assert_allclose(actual, x @ kernel + bias, atol=1e-5)
    rounded = fused.product(x, kernel.T if transpose else kernel, "bfloat16", transpose=transpose)
    assert rounded.dtype == "bfloat16"
    np.testing.assert_allclose(tf.cast(rounded, "float32"), x @ kernel, atol=0.1)


def test_gelu_is_kerass():
    x, bias = floats(40, 8), floats(8)
    np.testing.assert_allclose(fused.gelu(x, bias, dtype="float32"), keras.ops.gelu(x + bias, False), atol=1e-6)


def test_quantized_layers_are_refused():
    layer = keras.layers.Dense(4)
    layer.build((None, 8))
    layer.quantize("int8")
    with pytest.raises(InputError, match="quantized"):
        fused.dense(layer, floats(2, 8))
