"""What every body that reads whole texts owes, below a classifier's head: a new one joins by its name in the settings.

Shape letters: B batch, T tokens, D width.
"""

import collections
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.layers.precision import in_step
from lmkeras.networks import registry
from lmkeras.networks.network import Network
from lmkeras.training.devices import precision
from tests.layers.formulas import fill
from tests.networks.made import new_network

VOCABULARY, CLASSES, LENGTH = 11, 3, 12
SIZES = {
    "vocabulary_size": VOCABULARY,
    "num_layers": 2,
    "d_model": 8,
    "num_heads": 2,
    "dff": 12,
    "max_length": LENGTH,
    "embedding_dim": 6,
    "units": 5,
    "filters": 4,
    "widths": (2, 3),
    "buckets": 997,
    "num_labels": CLASSES,
}
NAMES = registry.names_that_come_with_lmkeras("readers")
NETWORKS = {
    **{name: (name, {}) for name in NAMES},
    "dense without a hidden layer": ("dense", {"units": None}),
    "lstm in one direction": ("lstm", {"bidirectional": False, "pooling": "mean"}),
    "lstm's last output": ("lstm", {"pooling": "last", "num_layers": 1}),
}
TEXTS = [[3, 1, 4], [], [7], [2, 7, 1, 8, 2, 8, 1]]


def padded(texts, length=7):
    return np.array([text + [0] * (length - len(text)) for text in texts], "int32")


IDS, TARGETS = padded(TEXTS), np.array([0, 2, 1, 1], "int32")


def new(row, **others):
    name, own = NETWORKS[row]
    taken = registry.sizes_of(name, "readers")
    sizes = {size: value for size, value in {**SIZES, **own, **others}.items() if size in taken}
    return fill(new_network(name, "readers", CLASSES, **sizes))


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """Shared by the tests of this file: none of them changes it."""
    return new(request.param)


def test_every_name_is_tried():
    assert {name for name, _ in NETWORKS.values()} == {"ngrams", "dense", "cnn", "lstm", "transformer", "bert"}


def test_logits_are_float32_and_near_in_bfloat16(network):
    logits = network(IDS)
    assert (logits.shape, logits.dtype) == ((len(IDS), CLASSES), "float32")
    with precision(network, "mixed_bfloat16"), in_step():
        rough = network(IDS)
    assert rough.dtype == "float32"
    assert 0 < np.linalg.norm(rough - logits) < 0.05 * np.linalg.norm(logits)  # bfloat16's 0.4 %, a few layers on
    np.testing.assert_array_equal(network(IDS), logits)


@st.composite
def padding_among_tokens(draw):
    """The texts in rows of one length with their padding anywhere."""
    length = draw(st.integers(7, LENGTH))
    rows = []
    for text in TEXTS:
        row = np.zeros(length, "int32")
        row[sorted(draw(st.permutations(range(length)))[: len(text)])] = text
        rows.append(row)
    return np.array(rows)


@settings(max_examples=5)
@given(ids=padding_among_tokens())
def test_padding_changes_nothing_wherever_it_stands(network, ids):
    np.testing.assert_allclose(network(ids), network(IDS), atol=1e-5)


def test_neighbours_in_the_batch_change_nothing(network):
    alone = [network(padded([text], max(1, len(text))))[0] for text in TEXTS]
    np.testing.assert_allclose(alone, network(IDS), atol=1e-5)


def states_of(network, inputs):
    return np.asarray(network.body.states(network.body.inputs(inputs)))


def test_neighbours_and_padding_change_no_state_of_a_token(network):
    together = states_of(network, IDS)
    for row, text in zip(together, TEXTS, strict=True):
        if text:
            np.testing.assert_allclose(states_of(network, np.array([text]))[0], row[: len(text)], atol=1e-5)


def test_states_and_summaries_are_as_wide_as_the_body_says(network):
    body = network.body
    assert states_of(network, IDS).shape == (*IDS.shape, body.width)
    assert body.summary(body.inputs(IDS)).shape == (len(IDS), body.summary_size)
    np.testing.assert_array_equal(network(IDS), network.head(body.summary(body.inputs(IDS))))


def test_a_mask_says_the_same_as_padding(network):
    mask = IDS != 0
    # whatever stands under the mask; an empty text's first place is looked at by some
    hidden = np.where(mask | ~mask.any(axis=1, keepdims=True), IDS, 5)
    for given_mask in (mask, mask.astype("int32"), mask.astype("float32")):
        np.testing.assert_array_equal(network({"input_ids": hidden, "attention_mask": given_mask}), network(IDS))
    np.testing.assert_array_equal(network({"input_ids": IDS}), network(IDS))


@pytest.mark.parametrize("row", [row for row in NETWORKS if row != "ngrams"])  # its vectors are not those of ids
def test_with_a_mask_id_0_is_a_token_like_others(row):
    network = new(row)
    expected = network(np.array([[3, 5, 5, 4]]))
    embeddings = network.layer_groups()[0][0].embeddings
    embeddings.assign(np.take(embeddings, [5, *range(1, VOCABULARY)], axis=0))  # 0 means what 5 does
    found = network({"input_ids": np.array([[3, 0, 5, 4, 0]]), "attention_mask": np.array([[1, 1, 1, 1, 0]])})
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_token_counts(network):
    ids = padded([[3, 1, 4], [3, 1, 5], [3, 2, 4], [6, 1, 4]])
    logits = np.asarray(network(ids))
    # an output before the last token, or less than the largest, may go unheard, but not on all of the way
    assert np.abs(logits[1:] - logits[0]).max(axis=1).min() > 1e-4


def test_config_round_trip(network):
    again = Network.from_config(json.loads(json.dumps(network.get_config())))
    assert again.get_config() == network.get_config()
    assert (type(again.body), type(again.head)) == (type(network.body), type(network.head))
    again.set_weights(network.get_weights())
    np.testing.assert_array_equal(again(IDS), network(IDS))


def test_a_saved_network_gives_equal_logits(network, tmp_path):
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert loaded.get_config() == network.get_config()
    np.testing.assert_array_equal(loaded(IDS), network(IDS))


def loss_and_gradients(network):
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(TARGETS, network(IDS), from_logits=True)
        loss = tf.reduce_mean(losses)
    return [loss, *map(tf.convert_to_tensor, tape.gradient(loss, network.trainable_weights))]


@pytest.mark.parametrize("name", NAMES)
def test_xla_changes_neither_loss_nor_gradients_and_every_weight_has_one(name):
    network = new(name, num_layers=1)
    plain = loss_and_gradients(network)
    compiled = tf.function(lambda: loss_and_gradients(network), autograph=False, jit_compile=True)()
    assert len(plain) == 1 + len(network.trainable_weights)
    for expected, value in zip(plain, compiled, strict=True):
        assert np.isfinite(expected).all()
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(value, expected, atol=1e-5)


def test_layer_groups_hold_every_weight_once_from_the_bottom_to_the_top(network):
    groups = network.layer_groups()
    grouped = [id(weight) for group in groups for layer in group for weight in layer.weights]
    assert collections.Counter(grouped) == collections.Counter(id(weight) for weight in network.trainable_weights)
    assert all(group and all(layer.weights for layer in group) for group in groups)
    assert any("embedding" in weight.path for layer in groups[0] for weight in layer.weights)
    assert groups[-1] == [*network.body.summary_layers(), network.head.dense]


def test_weights_have_names_of_their_own(network):
    assert len({weight.path for weight in network.weights}) == len(network.weights)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bert"])  # whose sizes have names of their own
def test_sizes_are_refused_by_name(name):
    own = [size for size in registry.sizes_of(name, "readers") if isinstance(SIZES.get(size), int)]
    assert len(own) >= 3
    for size in own:
        with pytest.raises(ValueError, match=rf"{size} must be at least [12], got -1"):
            new(name, **{size: -1})
    for dropout in (-0.5, 1.0):
        with pytest.raises(ValueError, match=f"dropout must be from 0 to below 1, got {dropout}"):
            new(name, dropout=dropout)


def test_what_is_exported_gives_the_same(network):
    function, weights = network.exported()
    assert {id(weight) for weight in weights} == {id(weight.value) for weight in network.weights}
    for inputs in (IDS, {"input_ids": IDS, "attention_mask": IDS != 0}):
        np.testing.assert_allclose(tf.function(function, autograph=False)(inputs), network(IDS), atol=1e-5)
    if not hasattr(network.body, "packed"):
        with pytest.raises(InputError, match=r"is exported in its own precision: leave out dtype 'bfloat16'"):
            network.exported("bfloat16")
        with pytest.raises(InputError, match="has no form in transformers: use save instead"):
            network.save_pretrained("nowhere")
