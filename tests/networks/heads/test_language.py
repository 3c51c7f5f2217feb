"""The head of a language model against its formula, on a writer of every kind."""

import numpy as np
import pytest

from lmkeras.networks import registry
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from tests.layers.formulas import dense, fill, weights_of

IDS = np.random.default_rng(0).integers(0, 11, (3, 5)).astype("int32")
SIZES = {
    "lstm": {"embedding_dim": 6, "units": 5},
    "transformer": {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 5},
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_the_formula_at_every_position_or_at_the_last(name, tied):
    body = registry.new_body(name, "writers", vocabulary_size=11, tie_embeddings=tied, **SIZES[name])
    every = fill(Network(body, LanguageHead(11, tied)))
    last = Network(body, LanguageHead(11, tied, every_position=False))
    last.head.set_weights(every.head.get_weights())
    states = np.asarray(body(IDS), "float64")
    expected = states @ weights_of(body.embedding)[0].T if tied else dense(states, every.head)
    np.testing.assert_allclose(every(IDS), expected, atol=1e-5)
    np.testing.assert_allclose(last(IDS), expected[:, -1], atol=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_a_tied_head_has_no_weights_of_its_own_and_the_embedding_counts_once(name):
    body = registry.new_body(name, "writers", vocabulary_size=11, tie_embeddings=True, **SIZES[name])
    network = Network(body, LanguageHead(11, tied=True))
    assert network.head.weights == []
    assert sum(weight is body.embedding.embeddings for weight in network.weights) == 1
    assert len(network.layer_groups()) == len(body.layer_groups())
