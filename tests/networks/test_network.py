"""What training and evaluation mean for every network: closed forms, NumPy's weighted means and updates by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.datasets.prefetching import prefetched
from lmkeras.networks.bodies.recurrent import RecurrentWriter
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import HeadLoss, Network
from tests.layers.formulas import fill
from tests.networks.made import new_network

VOCABULARY, CLASSES = 13, 4
SIZES = {
    "lstm": {"embedding_dim": 6, "units": 5},
    "transformer": {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 6},
}
READERS = {
    "dense": {"embedding_dim": 6, "dropout": 0.0},
    "bert": {"d_model": 8, "num_heads": 2, "num_layers": 1, "max_length": 6, "dropout": 0.0},
}
RNG = np.random.default_rng(0)
IDS, TARGETS = RNG.integers(0, VOCABULARY, (2, 7, 6)).astype("int32")
LABELS = RNG.integers(0, CLASSES, 7).astype("int32")
# uneven: full rows, empty rows, and a batch (rows 3 and 4) with nothing in it
WEIGHTS = np.array([[1] * n + [0] * (6 - n) for n in (6, 6, 1, 0, 0, 2, 5)], "float32")
WEIGHTS[0, 2] = 2.5
ROW_WEIGHTS = np.array([1, 0.5, 0, 2, 1, 0, 3], "float32")
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
LOSSES = {"the harness'": HeadLoss(), "Keras'": CROSS_ENTROPY}


def compiled(network, loss=CROSS_ENTROPY, rate=1e-3, **options):
    network.compile(keras.optimizers.SGD(rate), loss, jit_compile=False, **options)
    return network


def new(name, loss=CROSS_ENTROPY, **sizes):
    sizes = {"vocabulary_size": VOCABULARY, **SIZES[name], **sizes}
    last_alone = "return_sequences" in sizes  # which no named body is
    network = lmkeras.lstm_language_model(**sizes) if last_alone else new_network(name, "writers", **sizes)
    return compiled(fill(network), loss)


def new_reader(name, loss=CROSS_ENTROPY, **options):
    network = new_network(name, "readers", CLASSES, vocabulary_size=VOCABULARY, **READERS[name])
    return compiled(fill(network), loss, **options)


def losses(network, targets=TARGETS):
    logits = np.asarray(network(IDS), "float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]


def accuracy(**options):
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy", **options)


def in_batches(*arrays, sizes=(1, 2, 2, 2)):
    """Batches of these sizes."""
    ends = np.cumsum(sizes)

    def batches():
        for size, end in zip(sizes, ends, strict=True):
            yield tuple(array[end - size : end] for array in arrays)

    signature = tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays)
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


def updated(network, plain, targets=TARGETS, **options):
    """The weights after an update by the network's own training step, or by Keras' with logits."""
    if plain:
        network.train_step = super(Network, network).train_step
    network.fit(IDS, targets, batch_size=7, verbose=0, shuffle=False, **options)
    return [np.asarray(weight) for weight in network.trainable_weights]


def assert_equal(weights, expected, tolerance=1e-7):
    for ours, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


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


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_loss_that_a_layer_adds_counts(loss):
    network, plain = new("lstm", loss), new("lstm")
    for one in (network, plain):
        one.head.dense.kernel.regularizer = keras.regularizers.L2(1.0)
    assert_equal(updated(network, False), updated(plain, True))


class Calmed(RecurrentWriter):
    """A user's body: large states cost."""

    def states(self, inputs, training=False):
        states = super().states(inputs, training)
        self.add_loss(tf.reduce_sum(states**2))
        return states


def calmed(loss):
    head = LanguageHead(VOCABULARY)
    return compiled(fill(Network(Calmed(VOCABULARY, **SIZES["lstm"]), head)), loss)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_loss_that_a_users_own_layer_adds_counts_once_in_every_step(loss):
    network, plain = calmed(loss), calmed(CROSS_ENTROPY)
    first = updated(network, False)
    assert_equal(first, updated(plain, True))
    assert max(np.abs(a - b).max() for a, b in zip(first, updated(new("lstm"), False), strict=True)) > 1e-3
    network.evaluate(IDS, TARGETS, verbose=0)
    for one in (network, plain):
        one.fit(IDS[:5], TARGETS[:5], verbose=0)  # traced anew: what was added before belongs to other graphs
    assert_equal(network.get_weights(), plain.get_weights())


class Told(keras.layers.Layer):
    """Adds the loss 1 in training and 0 otherwise."""

    def call(self, x, training=False):
        self.add_loss(tf.constant(float(training is True)))
        return x


class Untold(RecurrentWriter):
    """A user's body, which relies on Keras for telling its layers whether this is training."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.told = Told()

    def states(self, inputs, training=False):
        return self.told(super().states(inputs, training))


@pytest.mark.parametrize("metrics", [[], ["accuracy"]], ids=["loss alone", "metrics"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_layers_in_a_body_know_whether_this_is_training(loss, metrics):
    head = LanguageHead(VOCABULARY)
    network = fill(Network(Untold(VOCABULARY, **SIZES["lstm"]), head))
    for training in (True, False):
        network.features(IDS, training=training)
        assert float(network.losses[-1]) == training
    compiled(network, loss, rate=0.0, weighted_metrics=metrics)
    told = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            told.append([float(value) for value in self.model.losses])

    network.run_eagerly = True
    network.fit(IDS, TARGETS, batch_size=7, verbose=0, callbacks=[Spy()])
    assert told == [[1.0]]
