"""What evaluation and training mean for every language network: closed forms and NumPy's weighted means."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.networks import registry
from lmkeras.networks.language import LanguageNetwork
from tests.layers.formulas import fill

VOCABULARY = 13
SIZES = {
    "lstm": {"embedding_dim": 6, "units": 5},
    "transformer": {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 6},
}
RNG = np.random.default_rng(0)
IDS, TARGETS = RNG.integers(0, VOCABULARY, (2, 7, 6)).astype("int32")
# uneven: full rows, empty rows, and a batch (rows 3 and 4) with nothing in it
WEIGHTS = np.array([[1] * n + [0] * (6 - n) for n in (6, 6, 1, 0, 0, 2, 5)], "float32")
WEIGHTS[0, 2] = 2.5


def new(name, **sizes):
    sizes = {"vocabulary_size": VOCABULARY, **SIZES[name], **sizes}
    last_alone = "return_sequences" in sizes  # which no named network is
    network = fill(lmkeras.lstm_language_model(**sizes) if last_alone else registry.build(name, **sizes))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(1e-3), loss, jit_compile=False)
    return network


def losses(network):
    logits = np.asarray(network(IDS), "float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_p, TARGETS[..., None], axis=-1)[..., 0]


def in_batches(*arrays, sizes=(1, 2, 2, 2)):
    """Batches of these sizes."""
    ends = np.cumsum(sizes)

    def batches():
        for size, end in zip(sizes, ends, strict=True):
            yield tuple(array[end - size : end] for array in arrays)

    signature = tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays)
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(sizes)))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("sizes", [(7,), (1, 2, 2, 2), (3, 2, 1, 1)])
def test_the_loss_is_the_mean_over_tokens_however_texts_are_cut_into_batches(name, sizes):
    network = new(name, dropout=0.5)  # which is for training alone
    weighted = network.evaluate(in_batches(IDS, TARGETS, WEIGHTS, sizes=sizes), verbose=0)
    assert weighted == pytest.approx(np.average(losses(network), weights=WEIGHTS), abs=1e-5)
    plain = network.evaluate(in_batches(IDS, TARGETS, sizes=sizes), verbose=0)
    assert plain == pytest.approx(losses(network).mean(), abs=1e-5)


def test_the_loss_of_a_network_without_sequences_is_the_mean_over_rows():
    network, every = new("lstm", return_sequences=False), new("lstm")
    weights = np.array([1, 0.5, 0, 2, 1, 0, 3], "float32")
    loss = network.evaluate(in_batches(IDS, TARGETS[:, -1], weights), verbose=0)
    assert loss == pytest.approx(np.average(losses(every)[:, -1], weights=weights), abs=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_metrics_are_weighted_by_tokens_too(name):
    network = new(name)
    network.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    found = network.evaluate(in_batches(IDS, TARGETS, WEIGHTS), verbose=0, return_dict=True)
    hits = np.argmax(network(IDS), axis=-1) == TARGETS
    assert found["accuracy"] == pytest.approx(np.average(hits, weights=WEIGHTS), abs=1e-6)
    assert found["loss"] == pytest.approx(np.average(losses(network), weights=WEIGHTS), abs=1e-5)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_a_uniform_network_has_loss_log_v_and_perplexity_v(name, tie_embeddings):
    network = new(name, tie_embeddings=tie_embeddings)
    last = network.embedding if tie_embeddings else network.head
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


def updated(network, plain, **options):
    """The weights after an update by the network's own training step, or by Keras' with logits."""
    if plain:
        network.train_step = super(LanguageNetwork, network).train_step
    network.fit(IDS, TARGETS, batch_size=7, verbose=0, shuffle=False, **options)
    return [np.asarray(weight) for weight in network.trainable_weights]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", SIZES)
def test_an_update_without_logits_is_keras_update(name, tied):
    for ours, keras_own in zip(
        updated(new(name, tie_embeddings=tied), False), updated(new(name, tie_embeddings=tied), True), strict=True
    ):
        np.testing.assert_allclose(ours, keras_own, atol=1e-7)


@pytest.mark.parametrize("weights", [WEIGHTS, WEIGHTS.astype("float64")])
def test_weighted_updates_are_keras(weights):
    for ours, keras_own in zip(
        updated(new("lstm"), False, sample_weight=weights),
        updated(new("lstm"), True, sample_weight=weights),
        strict=True,
    ):
        np.testing.assert_allclose(ours, keras_own, atol=1e-7)


def test_a_loss_that_a_layer_adds_counts():
    network, plain = new("lstm"), new("lstm")
    for one in (network, plain):
        one.head.kernel.regularizer = keras.regularizers.L2(1.0)
    for ours, keras_own in zip(updated(network, False), updated(plain, True), strict=True):
        np.testing.assert_allclose(ours, keras_own, atol=1e-7)
