"""Compiled networks and batches for tests of how networks are judged."""

import keras
import numpy as np

import lmkeras
from lmkeras.networks.judged import HeadLoss
from lmkeras.networks.network import Network
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


def updated(network, plain, targets=TARGETS, **options):
    """The weights after an update by the network's own training step, or by Keras' with logits."""
    if plain:
        network.train_step = super(Network, network).train_step
    network.fit(IDS, targets, batch_size=7, verbose=0, shuffle=False, **options)
    return [np.asarray(weight) for weight in network.trainable_weights]


def assert_equal(weights, expected, tolerance=1e-7):
    for ours, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)
