"""The order in which a network gives its layers, by which seeds are dealt out, and parts that networks share."""

import itertools

import numpy as np
import pytest

from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from tests.networks.judging import IDS, new, new_reader

PARTS = {
    "lstm": (lambda: new("lstm"), ["embedding", "logits", "lstm_0", "dropout"]),
    "lstm, tied": (lambda: new("lstm", tie_embeddings=True), ["embedding", "lstm_0", "dropout", "resize"]),
    "dense": (lambda: new_reader("dense"), ["embedding", "dropout", "logits"]),
}


@pytest.mark.parametrize("row", PARTS)
def test_layers_in_the_order_in_which_they_were_made(row):
    make, expected = PARTS[row]
    network = make()
    first, *others = network.layers_as_made()
    assert first is network
    outer = {id(layer) for part in (network.body, network.head) for layer in part._layers}
    names = [layer.name.rstrip("_0123456789") for layer in others if id(layer) in outer]
    assert names == [name.rstrip("_0123456789") for name in expected]
    assert holds_every_weight_once(network)


def test_a_body_that_is_built_was_made_before_the_head():
    network = new_reader("bert")
    parts = list(network.layers_as_made())
    assert parts[:2] == [network, network.body]
    assert parts[-2:] == network.head._layers
    assert holds_every_weight_once(network)


def holds_every_weight_once(network):
    """Whether no layer comes twice and all that have weights of their own come."""
    layers = list(network.layers_as_made())
    own = itertools.chain.from_iterable(layer._trainable_variables for layer in layers)
    return len({*map(id, layers)}) == len(layers) and {*map(id, own)} == {*map(id, network.trainable_weights)}


def test_parts_of_another_network_are_taken_as_they_are():
    first = new_reader("dense")
    again = Network(first.body, first.head)
    np.testing.assert_array_equal(again(IDS), first(IDS))
    other = Network(first.body, ClassesHead(2))
    assert other.body is first.body
    assert other(IDS).shape == (7, 2)
