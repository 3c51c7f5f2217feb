"""The recurrent networks against the documents' recurrences, token by token in NumPy float64.

Letters as there: x input, h output, c cell state, W input matrix, U recurrent matrix, b bias.
"""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.layers import recurrent as recurrent_layers
from lmkeras.networks import recurrent
from lmkeras.networks.recurrent import lstm_classifier, lstm_language_model
from tests.layers.formulas import dense, fill, weights_of

IDS = np.random.default_rng(0).integers(0, 13, (3, 6))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, h, c, weights):
    W, U, b = (np.split(weight, 4, axis=-1) for weight in weights)
    i, f, g, o = (x @ W[gate] + h @ U[gate] + b[gate] for gate in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru(x, h, c, weights):
    W, U, b = (np.split(weight, 3, axis=-1) for weight in weights)  # each bias [2, units]: inputs' and outputs'
    z = sigmoid(x @ W[0] + b[0][0] + h @ U[0] + b[0][1])
    r = sigmoid(x @ W[1] + b[1][0] + h @ U[1] + b[1][1])
    # the reset acts after the recurrent matrix
    candidate = np.tanh(x @ W[2] + b[2][0] + r * (h @ U[2] + b[2][1]))
    return z * h + (1 - z) * candidate, c


def simple_rnn(x, h, c, weights):
    W, U, b = weights
    return np.tanh(x @ W + h @ U + b), c


CELLS = {"lstm": lstm, "gru": gru, "simple_rnn": simple_rnn}


def expected_logits(network, ids):
    (embeddings,) = weights_of(network.embedding)
    x = embeddings[ids]  # [B, T, width]
    for layer in network.recurrent_layers:
        h = c = np.zeros((len(ids), network.units))
        outputs = []
        for t in range(ids.shape[1]):
            h, c = CELLS[network.cell](x[:, t], h, c, weights_of(layer))
            outputs.append(h)
        x = np.stack(outputs, axis=1)
    return dense(x, network.resize) @ embeddings.T if network.tie_embeddings else dense(x, network.head)


def new(**sizes):
    return fill(lstm_language_model(13, **{"embedding_dim": 6, "units": 5, **sizes}))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_logits_are_the_formulas(cell, num_layers, tie_embeddings):
    network = new(cell=cell, num_layers=num_layers, tie_embeddings=tie_embeddings)
    np.testing.assert_allclose(network(IDS), expected_logits(network, IDS), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_without_sequences_the_last_position_of_the_same_distribution_remains(cell, tie_embeddings):
    every = new(cell=cell, num_layers=2, tie_embeddings=tie_embeddings)
    last = new(cell=cell, num_layers=2, tie_embeddings=tie_embeddings, return_sequences=False)
    logits = last(IDS)
    assert logits.dtype == "float32"
    np.testing.assert_allclose(logits, every(IDS)[:, -1], atol=1e-6)


def test_dropout_acts_in_training_alone():
    network = new(num_layers=2, dropout=1 - 1e-7)  # drops everything, the last layer's outputs too
    expected = np.broadcast_to(network.head.bias, (3, 6, 13))
    np.testing.assert_allclose(network(IDS, training=True), expected, atol=1e-6)
    np.testing.assert_allclose(network(IDS), expected_logits(network, IDS), atol=1e-5)


def test_dropout_acts_on_embeddings_and_on_outputs():
    network = new(cell="simple_rnn", units=13, dropout=0.5)
    network.head.set_weights([np.eye(13), np.zeros(13)])  # logits are the dropped outputs themselves
    logits = np.asarray(network(np.full((400, 1), 7), training=True))
    assert np.mean(logits == 0) == pytest.approx(0.5, abs=5 * 0.5 / logits.size**0.5)  # five standard errors
    for unit in range(13):
        outputs = np.abs(logits[..., unit][logits[..., unit] != 0])
        assert outputs.max() > 1.1 * outputs.min(), "with whole embeddings all outputs of a unit would be equal"


def test_unknown_cells():
    with pytest.raises(InputError, match="unknown cell 'lstn': expected one of lstm, gru, simple_rnn; did you mean"):
        lstm_language_model(13, cell="lstn")


TEXTS = [[3], [7, 2, 9, 9, 1, 11], [], [12, 4, 7]]
CLASSIFIED = np.array([text + [0] * (6 - len(text)) for text in TEXTS], "int32")
POOLED = {"max": lambda y: y.max(axis=0), "mean": lambda y: y.mean(axis=0), "last": lambda y: y[-1]}


def outputs(x, layer):
    """What an LSTM gives after each word of x [T, width] as it reads them: [T, units]."""
    weights = weights_of(layer)
    h = c = np.zeros(len(weights[1]))
    read = []
    for word in x:
        h, c = lstm(word, h, c, weights)
        read.append(h)
    return np.array(read)


def expected_class_logits(network, text):
    if not text:
        return np.asarray(network.head.bias)
    (embeddings,) = weights_of(network.embedding)
    x = embeddings[text]  # [T, width]
    for forward, *backward in network.recurrent_layers:
        there, back = outputs(x, forward), [outputs(x[::-1], layer) for layer in backward]  # as they are read
        x = np.concatenate([there, *(read[::-1] for read in back)], axis=-1)
    return dense(np.concatenate([POOLED[network.pooling](read) for read in (there, *back)]), network.head)


def new_classifier(**sizes):
    return fill(lstm_classifier(13, 3, **{"embedding_dim": 6, "units": 4, **sizes}))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("pooling", POOLED)
def test_class_logits_are_the_formulas(bidirectional, num_layers, pooling):
    network = new_classifier(bidirectional=bidirectional, num_layers=num_layers, pooling=pooling)
    expected = [expected_class_logits(network, text) for text in TEXTS]
    np.testing.assert_allclose(network(CLASSIFIED), expected, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_classifiers_dropout_acts_in_training_alone(num_layers):
    network = new_classifier(num_layers=num_layers, dropout=1 - 1e-7)
    np.testing.assert_allclose(network(CLASSIFIED, training=True), [network.head.bias] * len(TEXTS), atol=1e-6)
    expected = [expected_class_logits(network, text) for text in TEXTS]
    np.testing.assert_allclose(network(CLASSIFIED), expected, atol=1e-5)


def test_dropout_acts_between_the_layers_of_a_classifier():
    network = new_classifier(num_layers=2, bidirectional=False, pooling="last", dropout=1 - 1e-7)
    x, mask = network.embedding(np.array([[3, 5]])), np.array([[True, True]])
    nothing = outputs(np.zeros((2, 4)), network.recurrent_layers[1][0])[-1]
    np.testing.assert_allclose(network.features(x, mask, training=True), [nothing], atol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"pooling": "men"}, "unknown pooling 'men': expected one of last, max, mean; did you mean 'mean'"),
        ({"units": 0}, "units must be at least 1, got 0"),
        ({"num_layers": -1}, "num_layers must be at least 1, got -1"),
    ],
)
def test_sizes_of_a_classifier_that_are_none(sizes, message):
    with pytest.raises(InputError, match=message):
        new_classifier(**sizes)


def test_a_classifier_takes_no_kernel_that_only_gpus_have(monkeypatch):
    """As on a host with a GPU, Keras is told that cuDNN may serve."""
    keras_rnn, traced = sys.modules["keras.src.backend.tensorflow.rnn"], []
    monkeypatch.setattr(keras_rnn, "cudnn_ok", lambda *args, **kwargs: True)
    monkeypatch.setattr(keras_rnn, "_cudnn_lstm", lambda *args, **kwargs: traced.append(1) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        keras.layers.LSTM(3)(np.zeros((1, 2, 4)))  # the fast kernel would be taken
    traced.clear()
    lstm_classifier(vocabulary_size=9, num_classes=2, embedding_dim=4, units=3)(np.array([[3, 5, 0]]))
    assert not traced


def test_files_written_with_keras_own_layers_load(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(recurrent, "LSTM", keras.layers.LSTM)
        patch.setitem(recurrent._CELLS, "lstm", keras.layers.LSTM)
        for name, network in {"language": new(num_layers=2), "classes": new_classifier(num_layers=2)}.items():
            network.save(tmp_path / f"{name}.keras")
    loaded = keras.saving.load_model(tmp_path / "language.keras")
    np.testing.assert_allclose(loaded(IDS), new(num_layers=2)(IDS), atol=1e-6)
    loaded = keras.saving.load_model(tmp_path / "classes.keras")
    np.testing.assert_allclose(loaded(CLASSIFIED), new_classifier(num_layers=2)(CLASSIFIED), atol=1e-6)


@pytest.mark.skipif(bool(tf.config.list_logical_devices("GPU")), reason="cuDNN's there")
def test_an_update_goes_through_the_recurrence_with_the_written_gradient(monkeypatch):
    lengths, plain = [], recurrent_layers._outputs

    def trained(inputs, *rest):
        lengths.append(inputs.shape[0])
        return plain(inputs, *rest)

    monkeypatch.setattr(recurrent_layers, "_trained_outputs", trained)
    network = lstm_language_model(13, embedding_dim=4, units=5, num_layers=2)
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    network.train_on_batch(IDS, IDS)
    assert lengths == [6, 6]
