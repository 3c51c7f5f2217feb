import inspect

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
    for of_kinds in ("_bodies", "_options"):
        monkeypatch.setattr(registry, of_kinds, {kind: dict(of) for kind, of in getattr(registry, of_kinds).items()})


def test_registered_bodies_are_found_by_name(bodies):
    known = list(registry._bodies["writers"])

    @registry.register_body("echo", "writers", tokenizer="words")
    def echo(vocabulary_size, units=1, **others):
        return vocabulary_size, units

    assert echo(2) == (2, 1), "a decorated function stays what it was"
    assert registry.new_body("echo", "writers", vocabulary_size=3, units=4) == (3, 4)
    registry.check("echo", ["units", "vocabulary_size"], "writers")
    with pytest.raises(InputError, match=r"unknown size of echo 'unit': expected one of units; did you mean 'units'"):
        registry.check("echo", ["unit"], "writers")
    with pytest.raises(InputError, match="unknown network 'echo'"):
        registry.new_body("echo", "readers", vocabulary_size=3)
    assert registry.family("echo", "writers") == (echo, "words", None, None)
    assert registry.registered_here("writers", known) == {"echo": echo}
    assert registry.registered_here("readers", registry._bodies["readers"]) == {}


def test_a_size_may_be_called_name_or_kind(bodies):
    registry.register_body("echo", "readers")(lambda vocabulary_size, name="", kind="": (name, kind))
    assert registry.new_body("echo", "readers", vocabulary_size=3, name="a", kind="b") == ("a", "b")


def test_what_takes_any_number_of_arguments_is_no_size(bodies):
    registry.register_body("echo", "readers")(lambda vocabulary_size, /, units=1, *rest, **others: None)
    assert registry.sizes_of("echo", "readers") == ["units"]


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="echo: unknown kind of bodies 'reader', expected readers or writers"):
        registry.register_body("echo", "reader")


def echo():
    """A new class of the same qualified name, as a notebook's cell makes when it is run again."""

    class Echo:
        def __init__(self, vocabulary_size): ...

    return Echo


def test_a_name_is_of_one_body_of_a_kind(bodies):
    registry.register_body("echo", "readers")(echo())
    again = registry.register_body("echo", "readers")(echo())
    assert registry.family("echo", "readers").new is again
    registry.register_body("echo", "writers")(RecurrentWriter)
    with pytest.raises(ValueError, match="another of the readers has the name 'echo': give RecurrentWriter another"):
        registry.register_body("echo", "readers")(RecurrentWriter)
    assert registry.family("echo", "readers").new is again


@pytest.mark.parametrize("imported", [True, False])
def test_names_of_bodies_that_come_with_lmkeras_are_taken(imported, bodies, monkeypatch):
    if not imported:
        monkeypatch.setattr(registry, "_bodies", {"readers": {}, "writers": {}})
    with pytest.raises(ValueError, match="another of the readers has the name 'cnn'"):
        registry.register_body("cnn", "readers")(echo())
    registry.register_body("gru", "readers")(echo())  # this is a name of writers alone


@pytest.mark.parametrize(
    "size", ["patience", "window_length", "class_weights", "tokenizer", "text", "resume", "weights", "sizes", "help"]
)
def test_a_size_with_the_name_of_something_else_is_refused(size, bodies):
    parameter = inspect.Parameter(size, inspect.Parameter.KEYWORD_ONLY)
    body = type("Body", (), {"__signature__": inspect.Signature([parameter])})
    with pytest.raises(ValueError, match=f"the network 'echo': name the size {size} otherwise"):
        registry.register_body("echo", "writers")(body)
    assert "echo" not in registry._bodies["writers"]


def test_an_option_of_a_task_is_no_size_of_a_body_that_it_can_use(bodies):
    registry.keep_from_sizes("Made", "readers", ["cut", "max_length"])

    def body(vocabulary_size, max_length, cut=1): ...

    with pytest.raises(ValueError, match="the network 'echo': name the size cut otherwise, it is an option of Made"):
        registry.register_body("echo", "readers")(body)
    registry.register_body("echo", "writers")(body)
    with pytest.raises(ValueError, match="Other: name the option cut otherwise, it is a size of a network"):
        registry.keep_from_sizes("Other", "writers", ["cut"])
    registry.keep_from_sizes("Made", "readers", [])
    registry.register_body("echo", "readers")(body)


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


@pytest.mark.parametrize(
    ("name", "size", "says"),
    [
        ("lstm", "d_model", "d_model is a size of transformer; lstm has embedding_dim, units, num_layers"),
        ("transformer", "units", "units is a size of lstm, gru, simple_rnn; transformer has d_model, num_heads"),
        ("gru", "unitss", "unknown size of gru 'unitss': expected one of .*; did you mean 'units'"),
    ],
)
def test_sizes_that_a_network_has_not(name, size, says):
    with pytest.raises(InputError, match=says):
        registry.check(name, ["num_layers", size], "writers")


@pytest.mark.parametrize("size", ["cell", "return_sequences", "dtype"])
def test_what_a_name_stands_for_is_not_a_size(size):
    with pytest.raises(InputError, match=f"unknown size of gru '{size}'"):
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
