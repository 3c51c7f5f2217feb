"""What every layer of this package owes: a new layer joins by a row of LAYERS."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.layers.attention import SelfAttention
from lmkeras.layers.blocks import DecoderBlock, TransformerBlock
from lmkeras.layers.position import SinusoidalPositionEncoding
from tests.layers.formulas import fill

LENGTH, WIDTH = 6, 8

LAYERS = {
    "attention": lambda **kw: SelfAttention(2, **kw),
    "attention with wide heads": lambda **kw: SelfAttention(3, key_dim=8, normalize_qk=True, dropout=0.1, **kw),
    "causal attention": lambda **kw: SelfAttention(2, causal=True, **kw),
    "causal rotary attention": lambda **kw: SelfAttention(2, None, True, True, True, False, 0.1, **kw),
    "sinusoidal positions": lambda **kw: SinusoidalPositionEncoding(LENGTH, **kw),
    "transformer block": lambda **kw: TransformerBlock(WIDTH, 2, 20, **kw),
    "causal transformer block": lambda **kw: TransformerBlock(WIDTH, 2, 20, 0.2, WIDTH, True, **kw),
    "bert's block": lambda **kw: TransformerBlock(
        WIDTH, 2, 20, 0.1, None, False, "gelu", 1e-12, 0.1, keras.initializers.TruncatedNormal(stddev=0.02), **kw
    ),
    "decoder block": lambda **kw: DecoderBlock(WIDTH, 2, 20, 0.1, **kw),
}
STEPPING = [name for name in LAYERS if name.startswith(("causal", "decoder"))]

X = np.random.default_rng(1).normal(size=(4, LENGTH, WIDTH)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [1, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0]], bool)
PADDED = np.where(MASK[..., None], X, 0)


def new(name, **kwargs):
    layer = LAYERS[name](**kwargs)
    layer.build(X.shape)
    return fill(layer)


def outputs(layer, x, training=False):
    arguments = inspect.signature(layer.call).parameters
    values = {"mask": MASK, "training": training}
    return layer(x, **{name: value for name, value in values.items() if name in arguments})


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(np.asarray(actual, "float64"), np.asarray(expected, "float64"), rtol=0, atol=tolerance)


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


def test_what_is_masked_changes_nothing_at_real_positions(name):
    layer = new(name)
    before = np.asarray(outputs(layer, X))
    after = np.asarray(outputs(layer, np.where(MASK[..., None], X, 100 * X[:, ::-1])))
    assert_close(after[MASK], before[MASK], 1e-6)
    assert np.isfinite(after).all()
    assert not np.allclose(outputs(layer, 2 * X), before, atol=1e-2)


def test_shape_and_dtype_are_known_beforehand(name):
    layer = new(name)
    symbolic = layer(keras.Input((None, WIDTH)))
    assert (symbolic.shape, symbolic.dtype) == ((None, None, WIDTH), "float32")
    actual = outputs(layer, X)
    assert (actual.shape, actual.dtype) == (X.shape, "float32")


def test_config_round_trip(name):
    layer = new(name)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build(X.shape)
    again.set_weights(layer.get_weights())
    assert_close(outputs(again, X), outputs(layer, X), 0)


def test_config_holds_every_argument(name):
    layer = new(name)
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(layer.get_config())


@pytest.mark.filterwarnings("error::UserWarning")  # such as a mask that got lost
def test_a_saved_model_gives_equal_outputs_and_carries_the_mask(name, tmp_path):
    layer = new(name)
    inputs = keras.Input((None, WIDTH))
    model = keras.Model(inputs, layer(keras.layers.Masking()(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(PADDED), model(PADDED), 0)
    assert_close(np.asarray(loaded(PADDED))[MASK], np.asarray(outputs(layer, PADDED))[MASK], 1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_mixed_bfloat16(name, training):
    exact, mixed = new(name), new(name, dtype="mixed_bfloat16")
    actual = outputs(mixed, X, training)
    # what runs past a block's sublayers is of full precision
    assert mixed.compute_dtype == "bfloat16"
    assert actual.dtype == ("float32" if "block" in name else "bfloat16")
    assert {weight.dtype for weight in mixed.weights} <= {"float32"}
    if not training:  # dropout aside; bfloat16 has 8 bits, so that each value carries errors of up to 0.4 %
        expected = np.asarray(outputs(exact, X))
        error = np.asarray(actual, "float32") - expected
        assert np.linalg.norm(error) < 0.02 * np.linalg.norm(expected)


def test_xla_changes_nothing(name):
    layer = new(name)
    compiled = tf.function(lambda x: outputs(layer, x), jit_compile=True)
    assert_close(compiled(X), outputs(layer, X), 1e-5)


def test_finite_gradients_reach_every_weight(name):
    layer = new(name)
    x, direction = tf.Variable(PADDED), np.random.default_rng(2).normal(size=X.shape)  # PADDED: norms meet zeros
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(outputs(layer, x) * direction)
    for weight, gradient in zip([x, *layer.weights], tape.gradient(total, [x, *layer.weights]), strict=True):
        assert np.isfinite(gradient).all()
        # the bias of keys has none: it shifts all scores of a query alike
        assert np.mean(np.asarray(gradient) != 0) > (0.3 if len(weight.shape) == 1 else 0.7)


@pytest.mark.parametrize("name", STEPPING)
@settings(max_examples=6, deadline=None)
@given(cuts=st.sets(st.integers(1, LENGTH - 1)), spare=st.integers(0, 3))
def test_stepping_with_a_cache_equals_the_full_pass(name, cuts, spare):
    layer = new(name)
    cache, pieces = layer.initial_cache(len(X), LENGTH + spare), []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), LENGTH], strict=True):
        piece, cache = layer.step(X[:, start:end], cache, start)
        pieces.append(piece)
    assert_close(np.concatenate(pieces, axis=1), layer(X), 1e-5)
