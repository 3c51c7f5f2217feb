"""What every body that writes owes, below a language model's head: a new one joins by its name in WriterSettings.

Shape letters: B batch, T tokens, D width, V vocabulary.
"""

import itertools
import json
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.layers.precision import in_step
from lmkeras.networks import registry
from lmkeras.networks.network import Network
from lmkeras.networks.settings import WriterSettings
from lmkeras.training.devices import precision
from tests.layers.formulas import fill
from tests.networks.made import new_network

VOCABULARY, LENGTH = 11, 7
SIZES = {
    "vocabulary_size": VOCABULARY,
    "num_layers": 2,
    "d_model": 8,
    "num_heads": 2,
    "dff": 12,
    "context_length": LENGTH + 2,
    "embedding_dim": 6,
    "units": 5,
}
IDS = np.random.default_rng(0).integers(0, VOCABULARY, (3, LENGTH)).astype("int32")


def choices(field):
    """The values that the settings offer for a field, None aside."""
    hint = typing.get_type_hints(WriterSettings)[field]
    return [v for v in typing.get_args(hint) + typing.get_args(typing.get_args(hint)[0]) if isinstance(v, str)]


NETWORKS = {
    " ".join(filter(None, [name, block, tied and "tied"])): (name, block, tied)
    for name in choices("network")
    if name != "auto"
    for block, tied in itertools.product(choices("block") if name == "transformer" else [None], [False, True])
}


def new(row, **others):
    name, block, tied = NETWORKS[row]
    sizes = {**SIZES, "block": block, "tie_embeddings": tied, **others}
    taken = [size for size in sizes if sizes[size] is not None and takes(name, size)]
    return fill(new_network(name, "writers", **{size: sizes[size] for size in taken}))


def takes(name, size):
    try:
        registry.check(name, [size], "writers")
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """Shared by the tests of this file: none of them changes it."""
    return new(request.param)


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=0, atol=tolerance)


def test_all_settings_are_tried():
    assert {row[0] for row in NETWORKS.values()} == {"transformer", "lstm", "gru", "simple_rnn"}
    assert {row[1] for row in NETWORKS.values()} == {"pre_norm", "post_norm", None}


def test_logits_are_float32_for_every_token(network):
    logits = network(IDS)
    assert (logits.shape, logits.dtype) == ((3, LENGTH, VOCABULARY), "float32")
    with precision(network, "mixed_bfloat16"), in_step():
        rough = network(IDS)
    assert rough.dtype == "float32"
    assert 0 < np.linalg.norm(rough - logits) < 0.05 * np.linalg.norm(logits)  # bfloat16's 0.4 %, a few layers on


def test_states_are_as_wide_as_the_body_says_and_the_last_is_the_summary(network):
    body = network.body
    states, summary = body.states(body.inputs(IDS)), body.summary(body.inputs(IDS))
    assert states.shape == (*IDS.shape, body.width)
    assert summary.shape == (len(IDS), body.summary_size)
    assert_close(summary, states[:, -1], 1e-6)
    assert_close(network(IDS), network.head(states), 0)
    stepped, _ = body.step(IDS, body.initial_state(len(IDS)))
    assert_close(stepped, states, 1e-5)


def test_inputs_by_name_are_the_same_as_ids_and_need_no_mask(network):
    ids = IDS * (np.arange(LENGTH) < [[LENGTH], [4], [1]])  # padding comes after tokens, which do not look at it
    mask = (np.arange(LENGTH) < [[LENGTH], [4], [1]]).astype("int32")
    for inputs in ({"input_ids": ids}, {"input_ids": ids, "attention_mask": mask}):
        assert_close(network(inputs), network(ids), 0)
    assert_close(np.asarray(network(ids))[mask == 1], np.asarray(network(IDS))[mask == 1], 1e-5)


def test_what_is_exported_gives_the_same(network):
    function, weights = network.exported()
    assert {id(weight) for weight in weights} == {id(weight.value) for weight in network.weights}
    assert_close(function({"input_ids": IDS}), network(IDS), 0)


def test_layer_groups_hold_every_weight_once_from_the_bottom_to_the_top(network):
    groups = network.layer_groups()
    grouped = [id(weight) for group in groups for layer in group for weight in layer.weights]
    assert sorted(grouped) == sorted(id(weight) for weight in network.trainable_weights)
    assert groups[0] == [network.body.embedding]
    assert len(groups) > 2
    assert all(group and all(layer.weights for layer in group) for group in groups)
    if not network.head.tied:
        assert groups[-1] == [network.head.dense]


@settings(max_examples=5, deadline=None)
@given(changed=st.integers(1, LENGTH - 1), seed=st.integers(0, 99))
def test_later_tokens_do_not_change_earlier_logits(network, changed, seed):
    later = np.random.default_rng(seed).integers(1, VOCABULARY, LENGTH - changed)
    ids = np.concatenate([IDS[:, :changed], (IDS[:, changed:] + later) % VOCABULARY], axis=1)
    before, after = np.asarray(network(IDS)), np.asarray(network(ids))
    assert_close(after[:, :changed], before[:, :changed], 1e-5)
    assert np.abs(after[:, changed] - before[:, changed]).max() > 1e-3


@settings(max_examples=5, deadline=None)
@given(cuts=st.sets(st.integers(1, LENGTH - 1)), max_length=st.sampled_from([LENGTH, LENGTH + 1, None]))
def test_stepping_equals_the_full_pass(network, cuts, max_length):
    state, pieces = network.initial_state(len(IDS), max_length), []
    for start, end in itertools.pairwise([0, *sorted(cuts), LENGTH]):
        logits, state = network.step(IDS[:, start:end], state)
        assert logits.dtype == "float32"
        pieces.append(logits)
    assert_close(np.concatenate(pieces, axis=1), network(IDS), 1e-5)


@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(1, LENGTH), min_size=len(IDS), max_size=len(IDS)),
    cuts=st.sets(st.integers(1, LENGTH - 1)),
    filler=st.integers(0, VOCABULARY - 1),
)
def test_stepping_rows_of_different_lengths_equals_a_full_pass_over_each(network, lengths, cuts, filler):
    """Rows end in the same column, shorter ones stand behind filler; after them come two tokens of every row."""
    mask = np.arange(LENGTH) >= LENGTH - np.array(lengths)[:, None]
    ids, more = np.where(mask, IDS, filler), (IDS[:, :2] + 1) % VOCABULARY
    state, pieces = network.initial_state(len(IDS), LENGTH + 2), []
    for start, end in itertools.pairwise([0, *sorted(cuts), LENGTH]):
        logits, state = network.step(ids[:, start:end], state, mask[:, start:end])
        pieces.append(logits)
        assert state["positions"].numpy().tolist() == mask[:, :end].sum(axis=1).tolist()
    for column in range(2):
        logits, state = network.step(more[:, column : column + 1], state)
        pieces.append(logits)
    assert state["positions"].numpy().tolist() == [length + 2 for length in lengths]
    logits = np.concatenate(pieces, axis=1)
    assert np.isfinite(logits).all()
    for row, length in enumerate(lengths):
        own = np.concatenate([IDS[row : row + 1, LENGTH - length :], more[row : row + 1]], axis=1)
        assert_close(logits[row, LENGTH - length :], network(own)[0], 1e-5)


@settings(max_examples=8, deadline=None)
@given(before=st.integers(1, LENGTH), own=st.integers(1, LENGTH), seed=st.integers(0, 99))
def test_rows_replaced_by_those_of_another_state_go_on_as_there(network, before, own, seed):
    """Past the last slot of a cache too; the row between them goes on as it was while its tokens are in the cache."""
    if network.body.context_length is None:
        return  # none of its texts is ever read anew
    ids = np.random.default_rng(seed).integers(0, VOCABULARY, (3, 2 * LENGTH)).astype("int32")
    _, state = network.step(ids[:, :before], network.initial_state(3, LENGTH))
    _, other = network.step(IDS[:2, :own], network.initial_state(2, LENGTH))
    state = network.replace_rows(state, tf.constant([2, 0]), other)
    assert state["positions"].numpy().tolist() == [own, before, own]
    texts = [IDS[1, :own], ids[1, :before], IDS[0, :own]]
    for column in range(before, before + LENGTH - own):
        texts = [np.append(text, ids[row, column]) for row, text in enumerate(texts)]
        logits, state = network.step(ids[:, column : column + 1], state)
        for row, text in enumerate(texts):
            if len(text) <= LENGTH:
                assert_close(logits[row, -1], network(text[None])[0, -1], 1e-5)


@settings(max_examples=8, deadline=None)
@given(rows=st.lists(st.integers(0, 2), min_size=1, max_size=5), lengths=st.permutations([LENGTH, 4, 1]))
def test_rows_go_on_several_times_or_not_at_all(network, rows, lengths):
    mask = np.arange(LENGTH) >= LENGTH - np.array(lengths)[:, None]
    _, state = network.step(IDS, network.initial_state(3, LENGTH + 2), mask)
    state = network.body.with_rows(state, tf.constant(rows))
    assert state["positions"].numpy().tolist() == [lengths[row] for row in rows]
    following = np.arange(len(rows))[:, None]
    logits, _ = network.step(following, state)
    for row, token, found in zip(rows, following, logits, strict=True):
        text = np.append(IDS[row, LENGTH - lengths[row] :], token)
        assert_close(found[0], network(text[None])[0, -1], 1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_state_keeps_its_shapes_and_dtypes_from_step_to_step(network, policy):
    """A loop over steps needs that, whether rows have filler or not."""

    def kind(state):
        return [(leaf.shape, leaf.dtype) for leaf in tf.nest.flatten(state)]

    with precision(network, policy), in_step():
        state = network.initial_state(len(IDS), LENGTH)
        for mask in (np.ones((3, 2), bool), np.array([[False, True], [True, True], [True, True]]), None):
            _, after = network.step(IDS[:, :2], state, mask)
            assert kind(after) == kind(state)


def test_only_steps_with_a_mask_are_built_to_leave_filler_out(network):
    """Where no mask is given, a recurrent network need not even look whether there is filler."""

    def branches(mask):
        step = tf.function(lambda ids: network.step(ids, network.initial_state(3, LENGTH), mask)[0])
        graph = step.get_concrete_function(tf.TensorSpec((3, 1), tf.int32)).graph.as_graph_def()
        return any(node.op in ("If", "StatelessIf") for node in graph.node)

    assert not branches(None)
    assert branches(tf.constant([[True], [False], [True]])) == network.body.recurrent


def test_config_round_trip(network):
    again = Network.from_config(json.loads(json.dumps(network.get_config())))
    assert again.get_config() == network.get_config()
    assert (type(again.body), type(again.head)) == (type(network.body), type(network.head))
    again.set_weights(network.get_weights())
    assert_close(again(IDS), network(IDS), 0)


def test_a_saved_network_gives_equal_logits(network, tmp_path):
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert loaded.get_config() == network.get_config()
    assert_close(loaded(IDS), network(IDS), 0)


def test_xla_changes_nothing(network):
    compiled = tf.function(lambda ids: network(ids), jit_compile=True)
    assert_close(compiled(IDS), network(IDS), 1e-5)


@pytest.mark.parametrize("row", NETWORKS)
def test_finite_gradients_reach_every_weight(row):
    network = new(row)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(IDS, network(IDS), from_logits=True))
    for gradient in tape.gradient(loss, network.trainable_weights):
        gradient = tf.convert_to_tensor(gradient)
        assert np.isfinite(gradient).all()
        assert np.mean(np.asarray(gradient) != 0) > 0.3


@pytest.mark.parametrize("row", NETWORKS)
def test_tied_networks_have_one_matrix_for_ids_and_logits(row):
    shapes = [weight.shape for weight in new(row).weights]
    matrices = [shape for shape in shapes if len(shape) == 2 and VOCABULARY in shape]
    assert len(matrices) == (1 if NETWORKS[row][2] else 2)


def mean_loss_over_all_targets(logits):
    """The loss where every id is as likely to come: mean of log sum exp minus mean logit."""
    return float(np.mean(tf.reduce_logsumexp(logits, -1) - tf.reduce_mean(logits, -1)))


@pytest.mark.parametrize("row", NETWORKS)
def test_a_fresh_network_is_nearly_uniform(row):
    keras.utils.set_random_seed(1)
    name, block, tied = NETWORKS[row]
    size, width = 300, 16
    sizes = {"d_model": width, "embedding_dim": width, "units": width, "block": block}
    sizes = {key: value for key, value in sizes.items() if value is not None and takes(name, key)}
    network = new_network(name, "writers", vocabulary_size=size, tie_embeddings=tied, **sizes)
    ids = np.arange(size).reshape(-1, 10)
    loss = mean_loss_over_all_targets(network(ids))
    # No distribution has a lower cross-entropy to the uniform one than log V. From above: hidden states have unit
    # size or less, so each logit is a sum of `width` products of variance s²/width at most, and log E exp is s²/2:
    # s² is 2·width / (width + V) for Glorot's matrix, 1 for the embedding. Only the current id's own embedding, of
    # about unit length, can be in the hidden state: a logit of sqrt(width) times that length at most.
    variance, own = 2 * width / (width + size), 0.0
    if tied:
        lengths = np.linalg.norm(np.random.default_rng(0).normal(size=(size, width)), axis=1) / width**0.5
        variance, own = 1.0, np.exp(width**0.5 * lengths).mean()
    assert np.log(size) - 1e-5 <= loss <= np.log(size * np.exp(variance / 2) + own) + 0.05
