"""What training and evaluation mean for every network: closed forms, NumPy's weighted means and updates by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.datasets.prefetching import prefetched
from lmkeras.errors import InputError
from lmkeras.networks.bodies.recurrent import RecurrentWriter
from lmkeras.networks.contract import Head
from lmkeras.networks.judged import HeadLoss
from lmkeras.networks.network import Network
from tests.layers.formulas import fill
from tests.networks.judging import (
    CLASSES,
    CROSS_ENTROPY,
    IDS,
    LABELS,
    LOSSES,
    READERS,
    ROW_WEIGHTS,
    SIZES,
    TARGETS,
    VOCABULARY,
    WEIGHTS,
    accuracy,
    assert_equal,
    compiled,
    losses,
    new,
    new_reader,
    updated,
)


def in_batches(*arrays, sizes=(1, 2, 2, 2)):
    """Batches of these sizes."""
    ends = np.cumsum(sizes)

    def batches():
        for size, end in zip(sizes, ends, strict=True):
            yield tf.nest.map_structure(lambda array: array[end - size : end], arrays)  # noqa: B023 - used at once

    signature = tf.nest.map_structure(lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), arrays)
    return prefetched(batches, signature).apply(tf.data.experimental.assert_cardinality(len(sizes)))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("sizes", [(7,), (1, 2, 2, 2), (3, 2, 1, 1)])
def test_the_loss_is_the_mean_over_tokens_however_texts_are_cut_into_batches(name, sizes, loss):
    network = new(name, loss, dropout=0.5)  # which is for training alone
    weighted = network.evaluate(in_batches(IDS, TARGETS, WEIGHTS, sizes=sizes), verbose=0)
    assert weighted == pytest.approx(np.average(losses(network), weights=WEIGHTS), abs=1e-5)
    plain = network.evaluate(in_batches(IDS, TARGETS, sizes=sizes), verbose=0)
    assert plain == pytest.approx(losses(network).mean(), abs=1e-5)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("sizes", [(7,), (1, 2, 2, 2), (3, 2, 1, 1)])
def test_the_loss_of_texts_is_their_mean_however_they_are_cut_into_batches(name, sizes):
    network = new_reader(name, HeadLoss(), weighted_metrics=[accuracy()])
    found = network.evaluate(in_batches(IDS, LABELS, ROW_WEIGHTS, sizes=sizes), verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(np.average(losses(network, LABELS), weights=ROW_WEIGHTS), abs=1e-5)
    # the harness weighs a loss, such as by class, but counts what has any weight
    hits = np.argmax(network(IDS), axis=-1) == LABELS
    assert found["accuracy"] == pytest.approx(np.average(hits, weights=ROW_WEIGHTS != 0), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_loss_of_a_network_without_sequences_is_the_mean_over_rows(loss):
    network, every = new("lstm", loss, return_sequences=False), new("lstm")
    found = network.evaluate(in_batches(IDS, TARGETS[:, -1], ROW_WEIGHTS), verbose=0)
    assert found == pytest.approx(np.average(losses(every)[:, -1], weights=ROW_WEIGHTS), abs=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_metrics_are_weighted_by_tokens_too(name):
    network = new(name)
    network.compile(loss=CROSS_ENTROPY, weighted_metrics=[accuracy()], jit_compile=False)
    found = network.evaluate(in_batches(IDS, TARGETS, WEIGHTS), verbose=0, return_dict=True)
    hits = np.argmax(network(IDS), axis=-1) == TARGETS
    assert found["accuracy"] == pytest.approx(np.average(hits, weights=WEIGHTS), abs=1e-6)
    assert found["loss"] == pytest.approx(np.average(losses(network), weights=WEIGHTS), abs=1e-5)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_a_uniform_network_has_loss_log_v_and_perplexity_v(name, tie_embeddings):
    network = new(name, tie_embeddings=tie_embeddings)
    last = network.body.embedding if tie_embeddings else network.head
    last.set_weights([np.zeros_like(weight) for weight in last.get_weights()])
    loss = network.evaluate(in_batches(IDS, TARGETS, WEIGHTS), verbose=0)
    assert loss == pytest.approx(np.log(VOCABULARY), rel=1e-6)
    assert lmkeras.perplexity(loss) == pytest.approx(VOCABULARY, rel=1e-5)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_a_small_step_lowers_the_loss_by_the_squared_gradient(name, tie_embeddings):
    network = new(name, tie_embeddings=tie_embeddings)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(TARGETS, network(IDS)))
    squares = float(tf.linalg.global_norm(tape.gradient(loss, network.trainable_weights))) ** 2
    before = losses(network).mean()
    network.train_on_batch(IDS, TARGETS)
    # Taylor: loss(w - r·g) = loss(w) - r·|g|² + O(r²), at the learning rate r = 0.001
    assert before - losses(network).mean() == pytest.approx(1e-3 * squares, rel=0.1)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", SIZES)
def test_an_update_without_logits_is_keras_update(name, tied, loss):
    ours = updated(new(name, loss, tie_embeddings=tied), False)
    assert_equal(ours, updated(new(name, tie_embeddings=tied), True))


@pytest.mark.parametrize("weights", [WEIGHTS, WEIGHTS.astype("float64")])
def test_weighted_updates_are_keras(weights):
    ours = updated(new("lstm"), False, sample_weight=weights)
    assert_equal(ours, updated(new("lstm"), True, sample_weight=weights))


def by_hand(network, targets, weights, rate):
    """The weights after a step down the gradient of sum(loss · weight) / sum(weight), and that mean loss."""
    with tf.GradientTape() as tape:
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, network(IDS))
        loss = tf.reduce_sum(each * weights) / tf.maximum(tf.reduce_sum(weights), 1e-9)
    gradients = tape.gradient(loss, network.trainable_weights)
    pairs = zip(network.trainable_weights, gradients, strict=True)
    return [np.asarray(weight) - rate * np.asarray(tf.convert_to_tensor(g)) for weight, g in pairs], float(loss)


RATE = 0.5
UPDATED = {
    "lstm": (lambda: new("lstm"), TARGETS, WEIGHTS),
    "lstm, tied": (lambda: new("lstm", tie_embeddings=True), TARGETS, WEIGHTS),
    "lstm, last alone": (lambda: new("lstm", return_sequences=False), LABELS, ROW_WEIGHTS),
    "transformer": (lambda: new("transformer"), TARGETS, WEIGHTS),
    **{name: (lambda name=name: new_reader(name), LABELS, ROW_WEIGHTS) for name in READERS},
}


@pytest.mark.parametrize("metrics", [False, True], ids=["loss alone", "with a metric"])
@pytest.mark.parametrize("row", UPDATED)
def test_an_update_by_the_heads_loss_is_the_weighted_mean_by_hand(row, metrics):
    make, targets, weights = UPDATED[row]
    expected, loss = by_hand(make(), targets, weights, RATE)
    network = compiled(make(), HeadLoss(), RATE, weighted_metrics=[accuracy()] if metrics else None)
    found = network.train_on_batch(IDS, targets, weights, return_dict=True)
    assert_equal([np.asarray(weight) for weight in network.trainable_weights], expected, 1e-6)
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    if metrics:
        hits = np.argmax(make()(IDS), axis=-1) == targets
        assert found["accuracy"] == pytest.approx(np.average(hits, weights=weights != 0), abs=1e-6)


@pytest.mark.parametrize("row", ["lstm", "dense"])
def test_a_batch_in_which_nothing_counts_changes_nothing(row):
    make, targets, weights = UPDATED[row]
    network, before = compiled(make(), HeadLoss(), RATE), make().get_weights()
    assert network.train_on_batch(IDS, targets, np.zeros_like(weights)) == 0
    assert_equal(network.get_weights(), before, 0)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_an_update_from_batches_whose_sizes_no_graph_knows(loss):
    network, expected = compiled(new("lstm"), loss, RATE), by_hand(new("lstm"), TARGETS, np.ones_like(WEIGHTS), RATE)
    batch = in_batches(IDS, TARGETS, sizes=(7,))
    network.fit(batch, verbose=0)
    assert_equal([np.asarray(weight) for weight in network.trainable_weights], expected[0], 1e-6)


OWN = {
    "sums": keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
    "leaves a class out": keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3),
}


@pytest.mark.parametrize("metrics", [False, True], ids=["loss alone", "with a metric"])
@pytest.mark.parametrize("loss", OWN.values(), ids=OWN)
def test_a_loss_of_the_users_own_goes_keras_way(loss, metrics):
    ours, plain = compiled(new("lstm"), loss), compiled(new("lstm"), loss)
    if metrics:
        compiled(ours, loss, weighted_metrics=[accuracy()])
    weights = {"sample_weight": WEIGHTS}
    evaluated = ours.evaluate(IDS, TARGETS, **weights, verbose=0, return_dict=True)
    assert evaluated["loss"] == pytest.approx(float(loss(TARGETS, ours(IDS), sample_weight=WEIGHTS)), rel=1e-5)
    assert evaluated["loss"] != pytest.approx(np.average(losses(ours), weights=WEIGHTS), rel=0.01)
    assert_equal(updated(ours, False, **weights), updated(plain, True, **weights))


def test_a_classifier_with_a_loss_of_keras_goes_keras_way():
    ours, weights = new_reader("dense"), {"sample_weight": ROW_WEIGHTS}
    expected = float(CROSS_ENTROPY(LABELS, ours(IDS), sample_weight=ROW_WEIGHTS))  # over the number of rows
    assert ours.evaluate(IDS, LABELS, **weights, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert_equal(updated(ours, False, LABELS, **weights), updated(new_reader("dense"), True, LABELS, **weights))


def test_the_harness_loss_is_of_networks_alone():
    assert isinstance(keras.losses.deserialize(keras.losses.serialize(HeadLoss())), HeadLoss)
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile("sgd", HeadLoss(), run_eagerly=True)
    with pytest.raises(TypeError, match="computed by a Network's own head: compile another model with a Keras loss"):
        model.train_on_batch(np.ones((1, 3)), np.zeros(1))


class WordAndText(Head):
    """A class for each token and one for the whole text, as for masked words and the next sentence."""

    reads = "states"
    targets = ("text", "words")

    def build(self, shape):
        self.dense = keras.layers.Dense(CLASSES, name="dense")
        self.dense.build(shape)

    def call(self, states, training=False):
        return {"words": self.dense(states), "text": self.dense(states[:, -1])}

    def loss(self, outputs, targets, shares):
        return {
            name: tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(targets[name], outputs[name]) * shares[name]
            )
            for name in self.targets
        }


@pytest.mark.parametrize("sizes", [(7,), (1, 2, 2, 2), (1,) * 7])
def test_the_loss_of_several_kinds_of_targets_is_the_sum_of_their_means_however_they_are_cut(sizes):
    network = compiled(fill(Network(RecurrentWriter(VOCABULARY, **SIZES["lstm"]), WordAndText())), HeadLoss())
    targets = {"words": TARGETS % CLASSES, "text": LABELS}
    weights = {"words": WEIGHTS, "text": ROW_WEIGHTS}
    outputs, expected = network(IDS), 0.0
    for name, target in targets.items():
        logits = np.asarray(outputs[name], "float64")
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        loss = -np.take_along_axis(log_p, target[..., None], axis=-1)[..., 0]
        expected += np.average(loss, weights=weights[name])
    assert network.evaluate(in_batches(IDS, targets, weights, sizes=sizes), verbose=0) == pytest.approx(expected)


def test_a_single_loss_for_several_kinds_of_targets_is_refused():
    class Mixed(WordAndText):
        def loss(self, outputs, targets, shares):
            return sum(super().loss(outputs, targets, shares).values())

    network = compiled(Network(RecurrentWriter(VOCABULARY, **SIZES["lstm"]), Mixed()), HeadLoss())
    with pytest.raises(InputError, match="Mixed has 2 targets: its loss must be one for each"):
        network.train_on_batch(IDS, {"words": TARGETS % CLASSES, "text": LABELS})


def test_loss_weights_are_left_to_keras():
    plain, weighted = new("lstm"), new("lstm")
    weighted.compile(keras.optimizers.SGD(1e-3), CROSS_ENTROPY, loss_weights=[10.0], jit_compile=False)
    expected = 10 * plain.evaluate(IDS, TARGETS, verbose=0)
    assert weighted.evaluate(IDS, TARGETS, verbose=0) == pytest.approx(expected, rel=1e-5)
