"""The recurrent writer against the documents' recurrences, token by token in NumPy float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.layers import recurrent as recurrent_layers
from lmkeras.networks.bodies import recurrent
from lmkeras.networks.bodies.recurrent import lstm_language_model
from tests.layers.formulas import dense, fill, weights_of
from tests.networks.bodies.recurrences import CELLS

IDS = np.random.default_rng(0).integers(0, 13, (3, 6))


def expected_logits(network, ids):
    (embeddings,) = weights_of(network.body.embedding)
    x = embeddings[ids]  # [B, T, width]
    for layer in network.body.recurrent_layers:
        h = c = np.zeros((len(ids), network.body.units))
        outputs = []
        for t in range(ids.shape[1]):
            h, c = CELLS[network.body.cell](x[:, t], h, c, weights_of(layer))
            outputs.append(h)
        x = np.stack(outputs, axis=1)
    return dense(x, network.body.resize) @ embeddings.T if network.body.tie_embeddings else dense(x, network.head)


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
    expected = np.broadcast_to(network.head.dense.bias, (3, 6, 13))
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


def test_files_written_with_keras_own_layers_load(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(recurrent, "LSTM", keras.layers.LSTM)
        patch.setitem(recurrent._CELLS, "lstm", keras.layers.LSTM)
        new(num_layers=2).save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(loaded(IDS), new(num_layers=2)(IDS), atol=1e-6)


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
