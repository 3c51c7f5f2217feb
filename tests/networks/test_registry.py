import keras
import pytest

from lmkeras.errors import InputError
from lmkeras.layers.recurrent import LSTM
from lmkeras.networks import registry
from lmkeras.networks.recurrent import RecurrentLanguageNetwork
from lmkeras.networks.transformer import TransformerLanguageNetwork

KINDS = {
    "lstm": (RecurrentLanguageNetwork, LSTM),
    "gru": (RecurrentLanguageNetwork, keras.layers.GRU),
    "simple_rnn": (RecurrentLanguageNetwork, keras.layers.SimpleRNN),
}


@pytest.mark.parametrize("name", KINDS)
def test_recurrent_names_stand_for_their_cells(name):
    network = registry.build(name, vocabulary_size=9, embedding_dim=4, units=3, num_layers=2)
    kind, cell = KINDS[name]
    assert type(network) is kind
    assert [type(layer) for layer in network.recurrent_layers] == [cell, cell]
    assert network.get_config()["units"] == 3


def test_transformer():
    network = registry.build("transformer", vocabulary_size=9, d_model=4, num_heads=1, num_layers=1)
    assert type(network) is TransformerLanguageNetwork
    assert network.get_config()["dff"] == 16, "4 times d_model where it is not given"


def test_registered_builders_are_found_by_name(monkeypatch):
    monkeypatch.setattr(registry, "_builders", {task: dict(of) for task, of in registry._builders.items()})

    @registry.register("echo")
    def echo(vocabulary_size, units=1):
        return vocabulary_size, units

    assert echo(2) == (2, 1), "a decorated builder stays what it was"
    assert registry.build("echo", vocabulary_size=3, units=4) == (3, 4)
    registry.check("echo", ["units", "vocabulary_size"])
    with pytest.raises(InputError, match="the network 'echo' takes no unit; it takes vocabulary_size, units"):
        registry.check("echo", ["unit"])


@pytest.mark.parametrize("call", [registry.build, lambda name: registry.check(name, [])])
def test_unknown_networks(call):
    with pytest.raises(InputError, match=r"unknown network 'lstn': expected one of .*lstm.*; did you mean 'lstm'"):
        call("lstn")


@pytest.mark.parametrize(("name", "size"), [("lstm", "d_model"), ("transformer", "units"), ("gru", "unitss")])
def test_sizes_that_a_network_has_not(name, size):
    with pytest.raises(InputError, match=rf"the network '{name}' takes no {size}; it takes .*num_layers"):
        registry.check(name, ["num_layers", size])


@pytest.mark.parametrize("size", ["cell", "return_sequences"])
def test_what_a_name_stands_for_is_not_a_size(size):
    with pytest.raises(InputError, match=f"the network 'gru' takes no {size}"):
        registry.build("gru", vocabulary_size=5, **{size: "lstm"})


@pytest.mark.parametrize(
    ("name", "size", "value"),
    [
        ("lstm", "units", 0),
        ("lstm", "num_layers", 0),
        ("gru", "embedding_dim", -1),
        ("transformer", "context_length", 0),
        ("transformer", "num_layers", 0),
        ("transformer", "dropout", 1.0),
        ("simple_rnn", "dropout", -0.1),
    ],
)
def test_impossible_sizes_are_refused_by_name(name, size, value):
    with pytest.raises(InputError, match=f"{size} must be"):
        registry.build(name, vocabulary_size=5, **{size: value})
