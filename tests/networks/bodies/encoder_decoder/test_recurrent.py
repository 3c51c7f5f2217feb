"""LSTMs with attention against their formulas in NumPy float64, one source and one token at a time."""

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.bodies.encoder_decoder import lstm_encoder_decoder
from tests.layers import formulas
from tests.layers.formulas import fill, weights_of
from tests.networks.bodies.recurrences import lstm

RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, 13, (3, 5)).astype("int32")
LENGTHS = [6, 2, 4]
INPUTS = {
    "input_ids": RNG.integers(0, 13, (3, 6)).astype("int32"),
    "attention_mask": np.arange(6) < np.array(LENGTHS)[:, None],
    "target_ids": TARGETS,
}


def outputs_of(x, layer, h, c):
    """The outputs [T, units] of an LSTM for the vectors x [T, …] of one text."""
    outputs = []
    for vector in x:
        h, c = lstm(vector, h, c, weights_of(layer))
        outputs.append(h)
    return np.array(outputs)


def expected_logits(network, source, target):
    """Of one source without padding and one target, [T, V]."""
    body = network.body
    embeddings = [weights_of(layer)[0] for layer in (body.embedding, body.source_embedding or body.embedding)]
    memory, x, zeros = embeddings[1][source], embeddings[0][target], np.zeros(body.units // 2)
    for (forward, backward), bridge, layer in zip(body.encoder_layers, body.bridges, body.decoder_layers, strict=True):
        there, back = outputs_of(memory, forward, zeros, zeros), outputs_of(memory[::-1], backward, zeros, zeros)
        cell = formulas.dense(np.concatenate([there[-1], back[-1]]), bridge)
        memory = np.concatenate([there, back[::-1]], axis=1)
        x = outputs_of(x, layer, np.tanh(cell), cell)
    states = formulas.luong_attention(x[None], memory[None], body.attention)[0]
    return states @ embeddings[0].T if body.tie_embeddings else formulas.dense(states, network.head)


def new(**sizes):
    return fill(lstm_encoder_decoder(13, **{"embedding_dim": 6, "units": 8, **sizes}))


def assert_formulas(network):
    logits = network(INPUTS)
    for row, length in enumerate(LENGTHS):
        expected = expected_logits(network, INPUTS["input_ids"][row, :length], TARGETS[row])
        np.testing.assert_allclose(logits[row], expected, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("others", [{}, {"tie_embeddings": False, "source_vocabulary_size": 14}], ids=str)
def test_logits_are_the_formulas(num_layers, others):
    assert_formulas(new(num_layers=num_layers, **others))


def test_dropout_acts_in_training_alone():
    network = new(dropout=1 - 1e-7, tie_embeddings=False)  # drops everything, the states too
    expected = np.broadcast_to(network.head.dense.bias, (3, 5, 13))
    np.testing.assert_allclose(network(INPUTS, training=True), expected, atol=1e-6)
    assert_formulas(network)


def test_units_that_two_directions_cannot_share():
    with pytest.raises(InputError, match=r"units must be even, as each direction .* has half of them: got 7"):
        new(units=7)
