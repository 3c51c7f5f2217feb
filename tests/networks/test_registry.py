import keras
import pytest

from lmkeras.errors import InputError
from lmkeras.layers.recurrent import GRU, LSTM
from lmkeras.networks import registry
from lmkeras.networks.bodies.recurrent import RecurrentWriter
from lmkeras.networks.bodies.transformer import TransformerDecoder, TransformerEncoder

KINDS = {"lstm": LSTM, "gru": GRU, "simple_rnn": keras.layers.SimpleRNN}


@pytest.mark.parametrize("name", KINDS)
def test_recurrent_names_stand_for_their_cells(name):
    body = registry.new_body(name, "writers", vocabulary_size=9, embedding_dim=4, units=3, num_layers=2)
    assert not body.built, "a head that shares the embedding is made before the rest"
    body.build((None, None))
    assert type(body) is RecurrentWriter
    assert [type(layer) for layer in body.recurrent_layers] == [KINDS[name]] * 2
    assert body.get_config()["units"] == 3


def test_a_name_may_stand_for_a_body_of_each_kind():
    sizes = {"vocabulary_size": 9, "d_model": 4, "num_heads": 1, "num_layers": 1}
    writer, reader = (registry.new_body("transformer", kind, **sizes) for kind in ("writers", "readers"))
    assert (type(writer), type(reader)) == (TransformerDecoder, TransformerEncoder)
    for body in (writer, reader):
        assert body.get_config()["dff"] == 16, "4 times d_model where it is not given"


@pytest.fixture
def bodies(monkeypatch):
    """A registry that a test may change."""
    registry.import_families()
    monkeypatch.setattr(registry, "_bodies", {kind: dict(of) for kind, of in registry._bodies.items()})


def test_registered_bodies_are_found_by_name(bodies):
    known = list(registry._bodies["writers"])

    @registry.register_body("echo", "writers", tokenizer="words")
    def echo(vocabulary_size, units=1, **others):
        return vocabulary_size, units

    assert echo(2) == (2, 1), "a decorated function stays what it was"
    assert registry.new_body("echo", "writers", vocabulary_size=3, units=4) == (3, 4)
    registry.check("echo", ["units", "vocabulary_size"], "writers")
    with pytest.raises(InputError, match=r"the network 'echo' takes no unit; it takes vocabulary_size, units$"):
        registry.check("echo", ["unit"], "writers")
    with pytest.raises(InputError, match="unknown network 'echo'"):
        registry.new_body("echo", "readers", vocabulary_size=3)
    assert registry.family("echo", "writers") == (echo, "words", None, None)
    assert registry.registered_here("writers", known) == {"echo": echo}
    assert registry.registered_here("readers", registry._bodies["readers"]) == {}


def test_bodies_that_can_begin_from_pretrained_weights(bodies):
    assert registry.pretrained_names("readers") == ["bert"]
    assert registry.pretrained_names("writers") == []
    registry.register_body("echo", "writers", pretrained=len)(len)
    assert registry.pretrained_names("writers") == ["echo"]


@pytest.mark.parametrize("call", [registry.new_body, lambda name, kind: registry.check(name, [], kind)])
@pytest.mark.parametrize("kind", ["readers", "writers"])
def test_unknown_networks(call, kind):
    with pytest.raises(InputError, match=r"unknown network 'lstn': expected one of .*lstm.*; did you mean 'lstm'"):
        call("lstn", kind)


@pytest.mark.parametrize(("name", "size"), [("lstm", "d_model"), ("transformer", "units"), ("gru", "unitss")])
def test_sizes_that_a_network_has_not(name, size):
    with pytest.raises(InputError, match=rf"the network '{name}' takes no {size}; it takes .*num_layers"):
        registry.check(name, ["num_layers", size], "writers")


@pytest.mark.parametrize("size", ["cell", "return_sequences", "dtype"])
def test_what_a_name_stands_for_is_not_a_size(size):
    with pytest.raises(InputError, match=f"the network 'gru' takes no {size}"):
        registry.new_body("gru", "writers", vocabulary_size=5, **{size: "lstm"})


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
        registry.new_body(name, "writers", vocabulary_size=5, **{size: value})
