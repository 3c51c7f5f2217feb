"""The recurrent reader against the documents' LSTM, token by token in NumPy float64, and against Keras' layers."""

import sys

import keras
import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.bodies import bidirectional
from lmkeras.networks.bodies.bidirectional import lstm_classifier
from tests.layers.formulas import dense, fill, weights_of
from tests.networks.bodies.recurrences import lstm

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
        return np.asarray(network.head.dense.bias)
    (embeddings,) = weights_of(network.body.embedding)
    x = embeddings[text]  # [T, width]
    for forward, *backward in network.body.recurrent_layers:
        there, back = outputs(x, forward), [outputs(x[::-1], layer) for layer in backward]  # as they are read
        x = np.concatenate([there, *(read[::-1] for read in back)], axis=-1)
    return dense(np.concatenate([POOLED[network.body.pooling](read) for read in (there, *back)]), network.head)


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
    np.testing.assert_allclose(network(CLASSIFIED, training=True), [network.head.dense.bias] * len(TEXTS), atol=1e-6)
    expected = [expected_class_logits(network, text) for text in TEXTS]
    np.testing.assert_allclose(network(CLASSIFIED), expected, atol=1e-5)


def test_dropout_acts_between_the_layers_of_a_classifier():
    network = new_classifier(num_layers=2, bidirectional=False, pooling="last", dropout=1 - 1e-7)
    nothing = outputs(np.zeros((2, 4)), network.body.recurrent_layers[1][0])[-1]
    np.testing.assert_allclose(network.features(np.array([[3, 5]]), training=True), [nothing], atol=1e-6)


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
        patch.setattr(bidirectional, "LSTM", keras.layers.LSTM)
        new_classifier(num_layers=2).save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(loaded(CLASSIFIED), new_classifier(num_layers=2)(CLASSIFIED), atol=1e-6)


def keras_own(layers):
    """Keras' layer with the weights of one layer's directions."""
    like = keras.layers.LSTM(layers[0].units, return_sequences=True)
    like = keras.layers.Bidirectional(like) if len(layers) == 2 else like
    like.build((None, None, layers[0].get_weights()[0].shape[0]))
    like.set_weights([weight for layer in layers for weight in layer.get_weights()])
    return like


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_are_in_the_texts_order_as_those_of_keras(bidirectional):
    body = new_classifier(num_layers=2, bidirectional=bidirectional).body
    states, likes = np.asarray(body(CLASSIFIED)), [keras_own(layers) for layers in body.recurrent_layers]
    assert states.shape == (len(TEXTS), 6, 8 if bidirectional else 4)
    for row, text in zip(states, TEXTS, strict=True):
        if text:
            x = body.embedding(np.array([text]))
            for like in likes:
                x = like(x)
            np.testing.assert_allclose(row[: len(text)], x[0], atol=1e-6)
