"""Layers that look at sources, and the blocks with them: against their formulas, and what every layer owes.

Shape letters: M sources, S tokens of a source, N rows, T tokens of a row, D and E widths.
"""

import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.layers.cross_attention import CrossAttention, LuongAttention
from lmkeras.layers.cross_blocks import CrossDecoderBlock, CrossTransformerBlock
from tests.layers import formulas
from tests.layers.formulas import fill

WIDTH, LENGTH = 8, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, LENGTH, WIDTH)).astype("float32")
MASK = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
MEMORIES = {width: RNG.normal(size=(3, 4, width)).astype("float32") for width in (6, WIDTH)}

LAYERS = {
    "attention": (lambda **kw: CrossAttention(2, **kw), 6, formulas.cross_attention),
    "normalised attention": (lambda **kw: CrossAttention(4, True, False, **kw), WIDTH, formulas.cross_attention),
    "Luong's attention": (lambda **kw: LuongAttention(7, **kw), 6, formulas.luong_attention),
    "post-norm block": (
        lambda **kw: CrossTransformerBlock(WIDTH, 2, 12, **kw),
        WIDTH,
        formulas.cross_transformer_block,
    ),
    "pre-norm block": (lambda **kw: CrossDecoderBlock(8, 2, 12, 0.1, **kw), WIDTH, formulas.cross_decoder_block),
}
BLOCKS = [name for name in LAYERS if "block" in name]


def new(name, **kwargs):
    """A layer with weights, and states of sources for it."""
    make, width, _ = LAYERS[name]
    layer = make(**kwargs)
    layer.build(X.shape, MEMORIES[width].shape)
    return fill(layer), MEMORIES[width]


def assert_close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(actual, "float64"), np.asarray(expected, "float64"), rtol=0, atol=tolerance)


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


@pytest.mark.parametrize("mask", [None, MASK])
def test_the_formula(name, mask):
    layer, memory = new(name)
    expected = LAYERS[name][2](X.astype("float64"), memory.astype("float64"), layer, mask)
    assert_close(layer(X, memory, memory_mask=mask), expected)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in BLOCKS])
def test_attention_weights(name, mask):
    layer, memory = new(name)
    weights = layer.attention_weights(X, memory, memory_mask=mask)
    assert weights.dtype == "float32"
    formula = formulas.luong_weights if "Luong" in name else formulas.cross_weights
    assert_close(weights, formula(X.astype("float64"), memory.astype("float64"), layer, mask))
    rough = new(name, dtype="mixed_bfloat16")[0].attention_weights(X, memory, memory_mask=mask)
    assert rough.dtype == "float32"
    assert_close(rough, weights, 0.03)


def test_what_is_masked_changes_nothing_and_all_else_does(name):
    layer, memory = new(name)
    before = np.asarray(layer(X, memory, memory_mask=MASK))
    assert_close(layer(X, np.where(MASK[..., None], memory, 100 * memory[:, ::-1]), memory_mask=MASK), before, 1e-6)
    for source, token in np.argwhere(MASK):
        changed = memory.copy()
        changed[source, token] += 1
        difference = np.abs(np.asarray(layer(X, changed, memory_mask=MASK)) - before).max(axis=2)
        assert difference[source].min() > 1e-5
        assert difference[[m for m in range(3) if m != source]].max() < 1e-6


@settings(max_examples=5, deadline=None)
@given(beams=st.integers(1, 3), tokens=st.integers(1, 2))
def test_rows_of_a_source_read_it_as_if_it_was_copied_for_each(beams, tokens):
    for name in ("attention", "normalised attention", "Luong's attention"):
        layer, memory = new(name)
        x = np.random.default_rng(1).normal(size=(3 * beams, tokens, WIDTH)).astype("float32")
        copied = layer(x, np.repeat(memory, beams, axis=0), memory_mask=np.repeat(MASK, beams, axis=0))
        assert_close(layer.step(x, layer.sources(memory), MASK), copied)


@pytest.mark.parametrize("name", BLOCKS)
@settings(max_examples=5, deadline=None)
@given(cuts=st.sets(st.integers(1, LENGTH - 1)), spare=st.integers(0, 2))
def test_stepping_equals_the_full_pass(name, cuts, spare):
    block, memory = new(name)
    cache, sources, pieces = block.initial_cache(3, LENGTH + spare), block.sources(memory), []
    for start, end in itertools.pairwise([0, *sorted(cuts), LENGTH]):
        piece, cache = block.step(X[:, start:end], cache, start=start, sources=sources, mask=MASK)
        pieces.append(piece)
    assert_close(np.concatenate(pieces, axis=1), block(X, memory, memory_mask=MASK))


def test_config_round_trip(name):
    layer, memory = new(name)
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(layer.get_config())
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build(X.shape, memory.shape)
    again.set_weights(layer.get_weights())
    assert_close(again(X, memory, memory_mask=MASK), layer(X, memory, memory_mask=MASK), 0)


def test_a_saved_model_gives_equal_outputs(name, tmp_path):
    layer, memory = new(name)
    inputs = keras.Input((None, WIDTH)), keras.Input((None, memory.shape[-1])), keras.Input((None,), dtype="bool")
    model = keras.Model(inputs, layer(*inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded((X, memory, MASK)), layer(X, memory, memory_mask=MASK), 1e-6)


def test_mixed_bfloat16(name):
    exact, memory = new(name)
    mixed, _ = new(name, dtype="mixed_bfloat16")
    actual, expected = mixed(X, memory, memory_mask=MASK), np.asarray(exact(X, memory, memory_mask=MASK))
    assert actual.dtype == ("float32" if "block" in name else "bfloat16")
    assert {weight.dtype for weight in mixed.weights} <= {"float32", "uint32"}
    assert np.linalg.norm(np.asarray(actual, "float32") - expected) < 0.02 * np.linalg.norm(expected)


def test_xla_changes_nothing_and_finite_gradients_reach_every_weight(name):
    layer, memory = new(name)
    direction = np.random.default_rng(2).normal(size=layer(X, memory).shape)

    def gradients(x, memory):
        with tf.GradientTape() as tape:
            tape.watch((x, memory))
            total = tf.reduce_sum(layer(x, memory, memory_mask=MASK) * direction)
        return [total, *tape.gradient(total, [x, memory, *layer.trainable_weights])]

    plain = gradients(tf.constant(X), tf.constant(memory))
    compiled = tf.function(gradients, jit_compile=True, autograph=False)(tf.constant(X), tf.constant(memory))
    for found, expected in zip(compiled, plain, strict=True):
        assert_close(found, expected, 1e-4)
    for gradient in plain[1:]:
        assert np.isfinite(gradient).all()
        assert np.mean(np.asarray(gradient) != 0) > 0.3


NEARLY_ALL = 1 - 1e-7  # a rate below 1 at which dropout drops everything


def test_a_pre_norm_block_that_drops_everything_hands_its_input_on():
    block = CrossDecoderBlock(WIDTH, 2, 12, NEARLY_ALL)
    np.testing.assert_array_equal(block(X, MEMORIES[WIDTH], training=True), X)


def test_a_post_norm_block_that_drops_everything_normalises_three_times():
    block = CrossTransformerBlock(WIDTH, 2, 12, NEARLY_ALL)
    block.build(X.shape, X.shape)
    fill(block)
    expected = block._feed_forward_norm(block._cross_norm(block._attention_norm(X)))
    assert_close(block(X, MEMORIES[WIDTH], training=True), expected, 1e-5)


def test_a_width_that_heads_do_not_divide():
    with pytest.raises(InputError, match="the width 8 must be a multiple of num_heads=3"):
        CrossAttention(3).build(X.shape, X.shape)
