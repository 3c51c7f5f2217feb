"""What every encoder-decoder owes: a new one joins by its name in EncoderDecoderSettings.

Shape letters: M sources, S tokens of a source, N rows of targets, T tokens of a target, V vocabulary.
"""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.layers.precision import in_step
from lmkeras.networks import registry
from lmkeras.networks.network import Network
from lmkeras.training.devices import precision
from tests.layers.formulas import fill
from tests.networks.made import new_network

VOCABULARY, LENGTH = 11, 6
SIZES = {
    "vocabulary_size": VOCABULARY,
    "num_layers": 2,
    "d_model": 8,
    "num_heads": 2,
    "dff": 12,
    "max_length": 9,
    "max_target_length": LENGTH + 2,
    "embedding_dim": 6,
    "units": 8,
    "dropout": 0.1,
}
NAMES = registry.names_that_come_with_lmkeras("encoder_decoders")
OTHERS = {
    "transformer": [
        {"block": "pre_norm", "tie_embeddings": True},
        {"block": "pre_norm", "tie_embeddings": False, "source_vocabulary_size": 15, "decoder_layers": 1},
        {"block": "post_norm", "tie_embeddings": True},
    ],
    "lstm": [{"tie_embeddings": True}, {"tie_embeddings": False, "source_vocabulary_size": 15, "num_layers": 1}],
}
NETWORKS = {f"{name} {number}": (name, own) for name in NAMES for number, own in enumerate(OTHERS[name])}
TEXTS = [[3, 1, 4, 1], [7], [5, 9, 2, 6, 5, 3, 5]]  # the sources
RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, VOCABULARY, (3, LENGTH)).astype("int32")


def of_sources(texts, length=7):
    """The inputs of sources that are padded to one length."""
    ids = np.array([text + [0] * (length - len(text)) for text in texts], "int32")
    return {"input_ids": ids, "attention_mask": np.arange(length) < [[len(text)] for text in texts]}


INPUTS = {**of_sources(TEXTS), "target_ids": TARGETS}


def new(row, **others):
    name, own = NETWORKS[row]
    taken = registry.sizes_of(name, "encoder_decoders")
    sizes = {size: value for size, value in {**SIZES, **own, **others}.items() if size in taken}
    return fill(new_network(name, "encoder_decoders", **sizes))


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    """Shared by the tests of this file: none of them changes it."""
    return new(request.param)


def assert_close(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=0, atol=tolerance)


def begun(network, inputs=INPUTS, max_length=None):
    return network.body.begin_targets(network.body.inputs(inputs), max_length)


def stepped(network, ids, state):
    """The logits [N, T, V] of the next tokens, and the new state."""
    states, state = network.body.step(ids, state)
    return network.head(states), state


def test_logits_are_float32_and_near_in_bfloat16(network):
    logits = network(INPUTS)
    assert (logits.shape, logits.dtype) == ((3, LENGTH, VOCABULARY), "float32")
    with precision(network, "mixed_bfloat16"), in_step():
        rough = network(INPUTS)
    assert rough.dtype == "float32"
    assert 0 < np.linalg.norm(rough - logits) < 0.05 * np.linalg.norm(logits)  # bfloat16's 0.4 %, a few layers on


def test_states_are_as_wide_as_the_body_says(network):
    states = network.body.states(network.body.inputs(INPUTS))
    assert states.shape == (*TARGETS.shape, network.body.width)
    assert_close(network(INPUTS), network.head(states), 0)


def test_a_row_alone_and_any_padding_give_the_same(network):
    together = np.asarray(network(INPUTS))
    for row, text in enumerate(TEXTS):
        alone = {**of_sources([text], len(text)), "target_ids": TARGETS[row : row + 1, : row + 2]}
        assert_close(network(alone)[0], together[row, : row + 2])
    longer = of_sources(TEXTS, 9)
    longer["input_ids"][~longer["attention_mask"]] = 8  # whatever stands there
    assert_close(network({**longer, "target_ids": TARGETS}), together)
    without_mask = {"input_ids": INPUTS["input_ids"], "target_ids": TARGETS}
    assert_close(network(without_mask), together, 0)


def test_an_empty_source_is_the_same_with_any_padding(network):
    """Nothing is there to be looked at, so it counts as one token."""
    logits = [network({**of_sources([[]], length), "target_ids": TARGETS[:1]}) for length in (1, 2, 7)]
    for others in logits[1:]:
        assert_close(others, logits[0])


@settings(max_examples=5, deadline=None)
@given(changed=st.integers(1, LENGTH - 1), seed=st.integers(0, 99))
def test_later_tokens_of_a_target_do_not_change_earlier_logits(network, changed, seed):
    later = np.random.default_rng(seed).integers(1, VOCABULARY, LENGTH - changed)
    targets = np.concatenate([TARGETS[:, :changed], (TARGETS[:, changed:] + later) % VOCABULARY], axis=1)
    before, after = np.asarray(network(INPUTS)), np.asarray(network({**INPUTS, "target_ids": targets}))
    assert_close(after[:, :changed], before[:, :changed])
    assert np.abs(after[:, changed] - before[:, changed]).max(axis=-1).min() > 1e-4


def test_every_token_of_a_source_changes_every_logit_of_its_target_alone(network):
    before = np.asarray(network(INPUTS))
    for row, text in enumerate(TEXTS):
        for at in range(len(text)):
            ids = INPUTS["input_ids"].copy()
            ids[row, at] = 10
            difference = np.abs(np.asarray(network({**INPUTS, "input_ids": ids})) - before).max(axis=-1)
            assert difference[row].min() > 1e-5
            assert np.delete(difference, row, axis=0).max() < 1e-6


@settings(max_examples=5, deadline=None)
@given(cuts=st.sets(st.integers(1, LENGTH - 1)), max_length=st.sampled_from([LENGTH, LENGTH + 1, None]))
def test_stepping_equals_the_full_pass(network, cuts, max_length):
    state, pieces = begun(network, max_length=max_length), []
    assert state["positions"].numpy().tolist() == [0, 0, 0]
    for start, end in itertools.pairwise([0, *sorted(cuts), LENGTH]):
        logits, state = stepped(network, TARGETS[:, start:end], state)
        pieces.append(logits)
        assert state["positions"].numpy().tolist() == [end] * 3
    assert_close(np.concatenate(pieces, axis=1), network(INPUTS))


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_rows_that_go_on_equal_full_passes_over_their_own_sources_and_targets(network, data):
    """As in beam search: rows of a source multiply, change places and end; sources end; then a token for every row."""
    state, sources, targets = begun(network), [0, 1, 2], [[], [], []]
    for turn in range(3):
        beams = data.draw(st.integers(1, 3), "rows of a source")
        before = len(targets) // len(sources)
        kept = data.draw(st.permutations(range(len(sources))).map(lambda order: sorted(order[:2])), "sources that stay")
        kept = list(range(len(sources))) if turn == 0 or len(sources) == 1 else kept
        rows = [data.draw(st.integers(0, before - 1), "row") + before * source for source in kept for _ in range(beams)]
        chosen = None if len(kept) == len(sources) else tf.constant(kept)
        state = network.body.with_rows(state, tf.constant(rows), chosen)
        sources, targets = [sources[source] for source in kept], [targets[row] for row in rows]
        tokens = np.random.default_rng(turn).integers(0, VOCABULARY, (len(rows), 1)).astype("int32")
        targets = [[*target, int(token)] for target, (token,) in zip(targets, tokens, strict=True)]
        logits, state = stepped(network, tokens, state)
        assert state["positions"].numpy().tolist() == [turn + 1] * len(rows)
        inputs = {**of_sources([TEXTS[source] for source in sources for _ in range(beams)]), "target_ids": targets}
        assert_close(logits[:, 0], network({**inputs, "target_ids": np.array(targets)})[:, -1])


def test_what_belongs_to_a_source_is_held_once_and_not_copied(network):
    state = begun(network)
    more = network.body.with_rows(state, tf.repeat(tf.range(3), 4))
    _, after = network.body.step(tf.zeros((12, 1), "int32"), more)
    leaves = [tf.nest.flatten(one["sources"]) for one in (state, more, after)]
    for of_state, of_more, of_after in zip(*leaves, strict=True):
        assert of_state is of_more is of_after
        assert of_state.shape[0] == 3
    fewer = network.body.with_rows(more, tf.range(8), tf.constant([0, 2]))
    assert {leaf.shape[0] for leaf in tf.nest.flatten(fewer["sources"])} == {2}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_state_keeps_its_shapes_and_dtypes_from_step_to_step(network, policy):
    def kind(state):
        return [(leaf.shape, leaf.dtype) for leaf in tf.nest.flatten(state)]

    with precision(network, policy), in_step():
        state = begun(network)
        for tokens in (1, 2):
            _, after = network.body.step(TARGETS[:, :tokens], state)
            assert kind(after) == kind(state)
        assert kind(network.body.with_rows(state, tf.constant([2, 1, 0]))) == kind(state)


def test_a_graph_of_sources_of_any_length_is_of_plain_operations(network):
    """Which every server of TensorFlow has: nothing that only XLA can run."""

    @tf.function(autograph=False)
    def written(inputs, targets):
        state = network.body.begin_targets(network.body.inputs(inputs), tf.shape(targets)[1])
        state = network.body.with_rows(state, tf.repeat(tf.range(tf.shape(targets)[0]), 2))
        rows, parts = tf.repeat(targets, 2, axis=0), tf.TensorArray("float32", LENGTH, element_shape=(None, VOCABULARY))

        def step(at, state, parts):
            logits, state = stepped(network, rows[:, at, None], state)
            return at + 1, state, parts.write(at, logits[:, 0])

        loop = tf.while_loop(lambda at, *_: at < tf.shape(targets)[1], step, (0, state, parts))
        return tf.transpose(loop[-1].stack(), (1, 0, 2))

    specs = {"input_ids": tf.TensorSpec((None, None), "int32"), "attention_mask": tf.TensorSpec((None, None), "bool")}
    graph = written.get_concrete_function(specs, tf.TensorSpec((None, None), "int32")).graph
    functions = graph.as_graph_def().library.function
    nodes = [node for nodes in (graph.as_graph_def().node, *(f.node_def for f in functions)) for node in nodes]
    assert not [node.op for node in nodes if node.op.startswith("Xla")]
    assert not [f.signature.name for f in functions if f.attr["_XlaMustCompile"].b]
    found = written(of_sources(TEXTS), TARGETS)
    assert_close(found[::2], network(INPUTS))
    assert_close(found[1::2], network(INPUTS))


def test_what_is_exported_gives_the_same(network):
    function, weights = network.exported()
    assert {id(weight) for weight in weights} == {id(weight.value) for weight in network.weights}
    assert_close(function(INPUTS), network(INPUTS), 0)


def test_layer_groups_hold_every_weight_once_from_the_bottom_to_the_top(network):
    groups = network.layer_groups()
    grouped = [id(weight) for group in groups for layer in group for weight in layer.weights]
    assert sorted(grouped) == sorted(id(weight) for weight in network.trainable_weights)
    body = network.body
    assert groups[0] == [body.embedding, *([body.source_embedding] if body.source_embedding else [])]
    assert all(group and all(layer.weights for layer in group) for group in groups)
    if not network.head.tied:
        assert groups[-1] == [network.head.dense]


def test_config_round_trip(network):
    again = Network.from_config(json.loads(json.dumps(network.get_config())))
    assert again.get_config() == network.get_config()
    again.set_weights(network.get_weights())
    assert_close(again(INPUTS), network(INPUTS), 0)


def test_a_saved_network_gives_equal_logits(network, tmp_path):
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert loaded.get_config() == network.get_config()
    assert_close(loaded(INPUTS), network(INPUTS), 0)


def loss_and_gradients(network):
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(TARGETS, network(INPUTS), from_logits=True)
        loss = tf.reduce_mean(losses)
    return [loss, *map(tf.convert_to_tensor, tape.gradient(loss, network.trainable_weights))]


@pytest.mark.parametrize("row", NETWORKS)
def test_xla_changes_neither_loss_nor_gradients_and_every_weight_has_one(row):
    network = new(row)
    plain = loss_and_gradients(network)
    compiled = tf.function(lambda: loss_and_gradients(network), autograph=False, jit_compile=True)()
    for expected, value in zip(plain, compiled, strict=True):
        assert np.isfinite(expected).all()
        assert np.abs(expected).max() > 0
        assert_close(value, expected)


def test_an_update_in_bfloat16_is_near_that_in_float32(network):
    exact = loss_and_gradients(network)
    with precision(network, "mixed_bfloat16"), in_step():
        rough = loss_and_gradients(network)
    exact, rough = (np.concatenate([np.ravel(part) for part in parts]) for parts in (exact, rough))
    assert 0 < np.linalg.norm(rough - exact) < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_refused_by_name(name):
    sizes = [size for size in registry.sizes_of(name, "encoder_decoders") if isinstance(SIZES.get(size), int)]
    assert len(sizes) >= 4
    for size in (*sizes, "source_vocabulary_size"):
        with pytest.raises(ValueError, match=rf"{size} must be at least [12], got -1"):
            new(f"{name} 0", **{size: -1})
