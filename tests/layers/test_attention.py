import itertools
import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.layers.attention import SelfAttention, unprojected_self_attention
from tests.layers.formulas import attention_weights, fill, may_look, self_attention, softmax

X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)


def built(*args, **kwargs):
    layer = SelfAttention(*args, **kwargs)
    layer.build(X.shape)
    return fill(layer)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("rotary", [True, False])
@pytest.mark.parametrize("normalize_qk", [True, False])
@pytest.mark.parametrize("key_dim", [None, 6])
@pytest.mark.parametrize("mask", [None, MASK])
def test_attention_is_its_formula(use_bias, causal, rotary, normalize_qk, key_dim, mask):
    layer = built(2, key_dim, causal, rotary, normalize_qk, use_bias)
    actual, expected = np.asarray(layer(X, mask=mask)), self_attention(X.astype("float64"), layer, mask)
    useful = may_look(np.ones((3, 5), bool) if mask is None else mask, causal)
    np.testing.assert_allclose(actual[useful], expected[useful], atol=1e-5)


masks = st.sampled_from([(3, 5), (3, 5, 5)]).flatmap(
    lambda shape: st.lists(st.booleans(), min_size=math.prod(shape), max_size=math.prod(shape)).map(
        lambda bits: np.array(bits).reshape(shape)
    )
)


@settings(deadline=None, max_examples=25)
@given(masks, st.booleans())
def test_any_mask(mask, causal):
    layer = built(2, causal=causal, rotary=True)
    expected = self_attention(X.astype("float64"), layer, mask)
    useful = may_look(mask, causal)
    actual = np.asarray(layer(X, mask=mask))
    np.testing.assert_allclose(actual[useful], expected[useful], atol=1e-5)
    assert np.isfinite(actual).all()
    weights = np.asarray(layer.attention_weights(X, mask))
    useful = np.repeat(useful[:, None], 2, axis=1)
    np.testing.assert_allclose(weights[useful], attention_weights(X, layer, mask)[useful], atol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.none() | masks, st.booleans(), st.integers(0, 9))
def test_unprojected_attention_is_its_formula(mask, causal, seed):
    x = np.random.default_rng(seed).normal(size=(3, 5, 7))
    allowed = np.ones((3, 5, 5), bool) if mask is None else np.broadcast_to(mask.reshape(3, -1, 5), (3, 5, 5))
    if causal:
        allowed = allowed & np.tri(5, dtype=bool)
    useful = allowed.any(axis=2)
    scores = np.where(allowed | ~useful[..., None], x @ x.transpose(0, 2, 1) / np.sqrt(7), -np.inf)
    actual = np.asarray(unprojected_self_attention(x.astype("float32"), mask, causal))
    np.testing.assert_allclose(actual[useful], (softmax(scores) @ x)[useful], atol=1e-5)
    assert np.isfinite(actual).all()


def test_attention_weights_are_float32_in_every_precision():
    layer, rough = built(2), built(2, dtype="mixed_bfloat16")
    weights = rough.attention_weights(keras.ops.cast(X, "bfloat16"))
    assert weights.dtype == "float32"
    np.testing.assert_allclose(weights, layer.attention_weights(X), atol=0.03)


def test_a_mask_of_pairs_is_not_handed_on_as_a_mask_of_tokens():
    layer = built(2)
    assert layer.compute_mask(X, MASK) is MASK
    assert layer.compute_mask(X, MASK[:, None]) is None


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("key_dim", [4, 8])
def test_attention_equals_keras_multi_head_attention(causal, use_bias, key_dim):
    theirs = keras.layers.MultiHeadAttention(2, key_dim, use_bias=use_bias)
    theirs.build(X.shape, X.shape)
    fill(theirs)
    ours = built(2, key_dim, causal, use_bias=use_bias)
    copy_weights(theirs, ours)
    expected = theirs(X, X, attention_mask=MASK[:, None, :], use_causal_mask=causal)
    useful = may_look(MASK, causal)
    np.testing.assert_allclose(np.asarray(ours(X, mask=MASK))[useful], np.asarray(expected)[useful], atol=1e-5)


def copy_weights(theirs, ours):
    """Three projections [D, H, K] side by side are our one matrix [D, 3·H·K]."""
    inner = ours.num_heads * theirs.key_dim
    weights = theirs.get_weights()
    step = 2 if ours.use_bias else 1
    qkv, out = weights[: 3 * step], weights[3 * step :]
    ours._qkv.kernel.assign(np.concatenate([kernel.reshape(-1, inner) for kernel in qkv[::step]], axis=1))
    ours._output.kernel.assign(out[0].reshape(inner, -1))
    if ours.use_bias:
        ours._qkv.bias.assign(np.concatenate([bias.reshape(inner) for bias in qkv[1::2]]))
        ours._output.bias.assign(out[1])


@settings(deadline=None, max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    cuts=st.sets(st.integers(1, 4)),
    spare=st.integers(0, 3),
    options=st.sampled_from([{}, {"rotary": True}, {"rotary": True, "normalize_qk": True}]),
)
def test_steps_of_rows_of_different_lengths_are_passes_over_each_row(lengths, cuts, spare, options):
    layer = built(2, causal=True, **options)
    first = [5 - length for length in lengths]
    cache, pieces = layer.initial_cache(3, 5 + spare), []
    for start, end in itertools.pairwise([0, *sorted(cuts), 5]):
        so_far = np.maximum(end - np.array(first, "int32"), 0)
        piece, cache = layer.step(X[:, start:end], cache, start, so_far)
        pieces.append(piece)
    together = np.concatenate(pieces, axis=1)
    assert np.isfinite(together).all()  # filler too: its keys and values stand in the cache
    for row in range(3):
        own = X[row : row + 1, first[row] :]
        np.testing.assert_allclose(together[row : row + 1, first[row] :], layer(own), atol=1e-5)


def test_fresh_projections_have_the_variance_of_square_matrices():
    keras.utils.set_random_seed(0)
    layer = SelfAttention(4, key_dim=32)
    layer.build((None, None, 64))
    variance = 2 / (64 + 4 * 32)  # Glorot and Bengio 2010, for each of three matrices [64, 128]
    kernel = layer._qkv.kernel.numpy()
    # the mean of n squares of uniform numbers spreads by sqrt(0.8 / n): five times that is 3 %
    assert np.mean(kernel**2) == pytest.approx(variance, rel=5 * (0.8 / kernel.size) ** 0.5)


def test_matrices_begin_as_they_are_told_each_with_values_of_its_own():
    layer = SelfAttention(4, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.5))
    layer.build((None, None, 64))
    first, last = layer._qkv.kernel.numpy(), layer._output.kernel.numpy()
    spread = 0.5 * 0.8796  # the standard deviation of a normal variable that is cut off at two of its deviations
    for kernel in (first, last):
        assert kernel.std() == pytest.approx(spread, rel=5 * (0.5 / kernel.size) ** 0.5)
        assert np.abs(kernel).max() <= 1
    assert np.intersect1d(first, last).size < 0.01 * last.size


def test_dropout_drops_weights_and_keeps_their_mean():
    layer = built(2, dropout=0.5)
    many = np.repeat(X[:1], 4000, axis=0)
    texts = np.asarray(layer(many, training=True))
    spread = texts.std(axis=0)
    assert (spread > 0.01).all()
    assert (np.abs(texts.mean(axis=0) - layer(X[:1])[0]) < 5 * spread / 4000**0.5).all()


def test_dropping_everything_leaves_the_bias():
    layer = built(2, dropout=1 - 1e-7)
    expected = np.broadcast_to(layer._output.bias, X.shape)
    np.testing.assert_allclose(layer(X, training=True), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "width", "message"),
    [
        ({"num_heads": 3}, 8, "width 8 must be a multiple of num_heads=3"),
        ({"num_heads": 0}, 8, "num_heads must be at least 1, got 0"),
        ({"num_heads": 2, "rotary": True}, 6, "even key size, got 3; choose fewer heads"),
    ],
)
def test_sizes_that_do_not_fit(arguments, width, message):
    with pytest.raises(InputError, match=message):
        SelfAttention(**arguments).build((None, None, width))
