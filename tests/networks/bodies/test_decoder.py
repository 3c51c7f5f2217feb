"""The decoder of published models: stepping, filler, grouped heads, windows, rotary scalings, precision.

Formulas are written anew here, in NumPy and float64.
"""

import functools
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.layers.cache import compiled_steps
from lmkeras.layers.rotary import Rotary
from lmkeras.models.network_file import read_network, write_network
from lmkeras.networks.bodies.decoder.publishing import new_decoder
from lmkeras.training.fit import evaluate, fit
from lmkeras.training.run import Batches
from lmkeras.training.settings import FitSettings
from tests.layers.formulas import fill

VOCABULARY, LENGTH = 13, 11
IDS = np.random.default_rng(0).integers(0, VOCABULARY, (3, LENGTH)).astype("int32")
SIZES = {
    "vocabulary_size": VOCABULARY,
    "d_model": 12,
    "num_layers": 3,
    "num_heads": 6,
    "num_key_value_heads": 2,
    "key_dim": 4,
    "dff": 10,
    "context_length": 64,
    "rotary": {"base": 50.0},
}
SHAPES = {
    "llama": {},
    "untied": {"tie_embeddings": False},
    "windows": {"windows": [3, 0, 5], "window_rotary": {"base": 7.0}},
    "dynamic, within the trained length": {
        "rotary": {"base": 50.0, "kind": "dynamic", "factor": 2.0, "trained_length": 32}
    },
    "without rotation in one block": {"rotated": [True, False, True]},
    "gpt2": {
        "norm": "layer",
        "gated": False,
        "activation": "gelu_new",
        "learned_positions": True,
        "rotary": None,
        **dict.fromkeys(("qkv_bias", "output_bias", "feed_forward_bias"), True),
    },
    "gemma": {
        "norm_shift": 1.0,
        "norms_after": True,
        "normalize_qk": True,
        "scaled_embeddings": True,
        "attention_scalar": 9.0,
        "windows": [4, 4, 0],
    },
}


def new(**sizes):
    return fill(new_decoder({**SIZES, **sizes}))


def logits(network, ids):
    return np.asarray(network(tf.constant(ids)))


@pytest.fixture(params=SHAPES)
def network(request):
    return new(**SHAPES[request.param])


def stepped(network, step):
    """Logits of IDS: of the first four tokens in one pass, and then one after the other."""
    y, state = network.step(tf.constant(IDS[:, :4]), network.initial_state(3, LENGTH))
    found = [y]
    for column in range(4, LENGTH):
        y, state = step(tf.constant(IDS[:, column : column + 1]), state)
        found.append(y)
    return np.concatenate(found, axis=1)


def test_stepping_equals_a_full_pass(network):
    np.testing.assert_allclose(stepped(network, network.step), logits(network, IDS), rtol=1e-4, atol=1e-5)


def test_steps_that_xla_compiles_equal_a_full_pass(network):
    @functools.partial(tf.function, jit_compile=True)
    def step(ids, state):
        with compiled_steps():
            return network.step(ids, state)

    np.testing.assert_allclose(stepped(network, step), logits(network, IDS), rtol=1e-4, atol=1e-5)


def test_filler_changes_nothing(network):
    """Texts of 11, 7 and 1 tokens that are read in one pass, and then step by step, give what each gives alone."""
    lengths, more = np.array([11, 7, 1]), 3
    columns = np.arange(LENGTH)
    mask = columns >= (LENGTH - lengths)[:, None]
    padded = np.where(mask, np.take_along_axis(IDS, (columns - (LENGTH - lengths)[:, None]) % LENGTH, axis=1), 1)
    first, state = network.step(tf.constant(padded), network.initial_state(3, LENGTH + more), tf.constant(mask))
    found = [np.asarray(first)[:, -1:]]
    for column in range(more):
        y, state = network.step(tf.constant(IDS[:, column : column + 1]), state)
        found.append(y)
    for row, (length, y) in enumerate(zip(lengths, np.concatenate(found, axis=1), strict=True)):
        alone = logits(network, np.concatenate([IDS[row, :length], IDS[row, :more]])[None])[0]
        np.testing.assert_allclose(y, alone[length - 1 :], rtol=1e-4, atol=1e-5)


def test_a_full_cache_keeps_the_last_tokens():
    """What a ring of slots holds after it is full is what windows of that many tokens see."""
    network, slots = new(windows=[4, 4, 4]), 4
    state, found = network.initial_state(3, slots), []
    for column in range(LENGTH):
        y, state = network.step(tf.constant(IDS[:, column : column + 1]), state)
        found.append(y)
    np.testing.assert_allclose(np.concatenate(found, axis=1), logits(network, IDS), rtol=1e-4, atol=1e-5)


def test_rows_are_replaced():
    network = new()
    _, state = network.step(tf.constant(IDS[:, :6]), network.initial_state(3, LENGTH))
    _, other = network.step(tf.constant(IDS[:1, 6:9]), network.initial_state(1, LENGTH))
    state = network.replace_rows(state, tf.constant([1]), other)
    y, _ = network.step(tf.constant(IDS[:, :1]), state)
    for row, read in ((0, IDS[0, :6]), (1, IDS[0, 6:9]), (2, IDS[2, :6])):
        alone = logits(network, np.concatenate([read, IDS[row, :1]])[None])
        np.testing.assert_allclose(np.asarray(y)[row, 0], alone[0, -1], rtol=1e-4, atol=1e-5)


def test_rows_go_on_several_times_or_not_at_all():
    network, rows = new(), [2, 0, 2, 2]
    _, state = network.step(tf.constant(IDS[:, :6]), network.initial_state(3, LENGTH))
    y, _ = network.step(tf.constant(IDS[:1, 6:7].repeat(4, axis=0)), network.body.with_rows(state, tf.constant(rows)))
    for row, logits_of_row in zip(rows, np.asarray(y), strict=True):
        alone = logits(network, np.append(IDS[row, :6], IDS[0, 6])[None])
        np.testing.assert_allclose(logits_of_row[0], alone[0, -1], rtol=1e-4, atol=1e-5)


def test_grouped_heads_equal_repeated_ones():
    """A network with as many heads of keys and values, each a copy of the one that its group shares."""
    grouped, whole = new(), new(num_key_value_heads=6)
    for mine, other in zip(grouped.weights, whole.weights, strict=True):
        value = np.asarray(mine.value)
        if value.shape != other.shape:  # queries, keys and values side by side
            queries, shared = value[:, :24], value[:, 24:].reshape(12, 2, 2, 1, 4)
            value = np.concatenate([queries, np.repeat(shared, 3, axis=3).reshape(12, 48)], axis=1)
        other.assign(value)
    np.testing.assert_allclose(logits(grouped, IDS), logits(whole, IDS), rtol=1e-4, atol=1e-5)


def test_a_window_looks_at_so_many_tokens():
    """In a network of one block, logits depend on the tokens of the window, and on no others."""
    network = new(num_layers=1, windows=[4])
    expected = logits(network, IDS[:1])[0]
    for column in range(LENGTH):
        changed = IDS[:1].copy()
        changed[0, column] += 1
        differs = np.abs(logits(network, changed % VOCABULARY)[0] - expected).max(axis=-1) > 1e-6
        assert differs.tolist() == [column <= at < column + 4 for at in range(LENGTH)]


@pytest.mark.parametrize("window", [0, 30, 300])
def test_long_texts_are_read_in_blocks(window):
    """The same whether attention's blocks of queries are known when the graph is made, counted in it, or are not."""
    network = new(context_length=1024, windows=[window, 0, window])
    ids = np.random.default_rng(1).integers(0, VOCABULARY, (2, 600)).astype("int32")
    dynamic = tf.function(network.__call__, input_signature=[tf.TensorSpec([None, None], tf.int32)])
    state, found = network.initial_state(2, 600), []
    for piece in np.split(ids, [200, 400], axis=1):  # a cache is looked at as a whole
        y, state = network.step(tf.constant(piece), state)
        found.append(y)
    for other in (dynamic(tf.constant(ids)), np.concatenate(found, axis=1)):
        np.testing.assert_allclose(other, logits(network, ids), rtol=1e-3, atol=1e-4)


def rates(kind, dim, base, factor=1.0, length=0, low=1.0, high=1.0, text=0):
    """The rates of the papers, pair by pair."""
    found = []
    if kind == "dynamic":
        base = base * (factor * max(text, length) / length - (factor - 1)) ** (dim / (dim - 2))
    for pair in range(dim // 2):
        rate = base ** (-2 * pair / dim)
        turns = length * rate / (2 * math.pi)
        if kind == "linear":
            rate /= factor
        if kind == "llama3" and turns < high:
            smooth = (turns - low) / (high - low)
            rate = rate / factor if turns < low else (1 - smooth) * rate / factor + smooth * rate
        if kind == "yarn":
            first, last = (dim * math.log(length / (2 * math.pi * one)) / (2 * math.log(base)) for one in (high, low))
            first, last = max(math.floor(first), 0), min(math.ceil(last), dim - 1)
            slowed = min(max((pair - first) / (last - first), 0), 1)
            rate = rate * (1 - slowed) + rate / factor * slowed
        found.append(rate)
    return np.array(found)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {"kind": "default"}),
        ({"kind": "linear", "factor": 4.0}, {"kind": "linear", "factor": 4.0}),
        (
            {"kind": "llama3", "factor": 8.0, "trained_length": 300, "few_turns": 1.0, "many_turns": 4.0},
            {"kind": "llama3", "factor": 8.0, "length": 300, "low": 1.0, "high": 4.0},
        ),
        (
            {"kind": "yarn", "factor": 4.0, "trained_length": 3000, "few_turns": 1.0, "many_turns": 32.0},
            {"kind": "yarn", "factor": 4.0, "length": 3000, "low": 1.0, "high": 32.0},
        ),
        (
            {"kind": "dynamic", "factor": 4.0, "trained_length": 20},
            {"kind": "dynamic", "factor": 4.0, "length": 20, "text": 50},
        ),
    ],
    ids=lambda fields: fields.get("kind", "default"),
)
def test_rotary_scalings(fields, told):
    positions = np.arange(50, dtype="int32")[None]
    cos, sin = Rotary(16, 10_000.0, **fields, magnitude=1.25).angles(tf.constant(positions), tf.constant([50]))
    angles = positions[0, :, None] * rates(dim=16, base=10_000.0, **told)
    np.testing.assert_allclose(np.asarray(cos)[:, 0], 1.25 * np.concatenate([np.cos(angles)] * 2, axis=1), atol=2e-5)
    np.testing.assert_allclose(
        np.asarray(sin)[:, 0], 1.25 * np.concatenate([-np.sin(angles), np.sin(angles)], axis=1), atol=2e-5
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_of_half_the_memory_give_the_logits_of_their_float32_copy(dtype):
    for tied in (True, False):
        half, copy = new(weights_dtype=dtype, tie_embeddings=tied), new(tie_embeddings=tied)
        assert {str(weight.dtype) for weight in half.weights} == {dtype}
        for mine, other in zip(half.weights, copy.weights, strict=True):
            mine.assign(other.value)
            other.assign(tf.cast(mine.value, "float32"))
        assert np.isfinite(logits(half, IDS)).all()
        np.testing.assert_array_equal(logits(half, IDS), logits(copy, IDS))


def test_a_saved_network_is_the_same_when_it_is_loaded(network, tmp_path):
    write_network(network, tmp_path / "weights.safetensors")
    again = read_network(tmp_path / "weights.safetensors", network.get_config())
    np.testing.assert_array_equal(logits(again, IDS), logits(network, IDS))


def test_all_settings_matter():
    """Each setting changes the logits: none is ignored."""
    settings = {
        "norm_shift": 1.0,
        "norm_epsilon": 0.5,
        "activation": "gelu",
        "attention_scalar": 99.0,
        "scaled_embeddings": True,
        "windows": [2, 2, 2],
        "rotated": [False, True, True],
        "rotary": {"base": 9.0},
    }
    found = [logits(new(), IDS), *(logits(new(**{name: value}), IDS) for name, value in settings.items())]
    for one, other in itertools.combinations(found, 2):
        assert np.abs(one - other).max() > 1e-4


def test_training_is_refused():
    windows = tf.data.Dataset.from_tensors((IDS[:, :-1], IDS[:, 1:], np.ones((3, LENGTH - 1), "float32"))).repeat()
    settings = FitSettings(steps=1, batch_size=3)
    with pytest.raises(InputError, match="cannot train it yet"):
        fit(new(), Batches(lambda done: windows, 1), settings, verbose=0)


@pytest.mark.parametrize("sizes", [{}, {"tie_embeddings": False}, {"weights_dtype": "bfloat16"}], ids=str)
def test_evaluation_gives_the_mean_loss_of_the_logits(sizes, monkeypatch):
    network = new_decoder({**SIZES, **sizes})
    for weight, filled in zip(network.weights, new(tie_embeddings=network.head.tied).weights, strict=True):
        weight.assign(filled.value)
    rows = (IDS[:, :-1], IDS[:, 1:], np.ones((3, LENGTH - 1), "float32"))
    shares = tf.nn.log_softmax(logits(network, rows[0]))
    monkeypatch.setattr(network.head, "call", None)  # it would make the logits of all tokens at once
    found = evaluate(network, tf.data.Dataset.from_tensors(rows))["loss"]
    assert float(found) == pytest.approx(-np.take_along_axis(shares.numpy(), rows[1][..., None], -1).mean(), rel=1e-5)
