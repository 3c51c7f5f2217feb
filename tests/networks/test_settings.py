"""The settings name every size of every body; their help and the public functions state the bodies' own defaults."""

import dataclasses
import inspect
import re

import pytest

import lmkeras
from lmkeras.errors import InputError
from lmkeras.networks import registry
from lmkeras.networks.bodies.bert import fresh_bert
from lmkeras.networks.settings import NETWORK_SETTINGS, ReaderSettings, WriterSettings

NETWORKS = {kind: registry.names_that_come_with_lmkeras(kind) for kind in NETWORK_SETTINGS}
NAMED = [(kind, name) for kind, names in NETWORKS.items() for name in names]
SIZES = [
    (kind, field.name)
    for kind, settings in NETWORK_SETTINGS.items()
    for field in dataclasses.fields(settings)
    if field.name not in ("network", "weights")
]
# what follows from the corpus or the texts' layout
INNER = {"vocabulary_size", "source_vocabulary_size", "max_length", "max_target_length", "num_labels"}
GROUPS = {"transformers": ["transformer"], "recurrent networks": ["lstm", "gru", "simple_rnn"]}
NO_NUMBER = {"4 times d_model": None, "no hidden layer": None, "num_layers": None}


def takers(kind, size):
    """The networks that have such a size."""
    return [name for name in NETWORKS[kind] if size in registry.sizes_of(name, kind)]


def help_of(kind, size):
    """What a field is, and what None stands for."""
    source = inspect.getsource(NETWORK_SETTINGS[kind])
    return re.search(rf'\n    {size}: .*\n    """(.*?);? None: (.*)\."""', source).groups()


def stated_default(kind, size, name):
    """From "0.5, and 0.1 for transformer and bert": what is stated of a network by name, else what is of all."""
    of_all = None
    for part in re.split(r", (?:and )?", help_of(kind, size)[1]):
        value, _, names = part.partition(" for ")
        if name in [name for group in names.split(" and ") for name in GROUPS.get(group, [group])]:
            return value
        of_all = of_all if names else value
    return of_all


def as_written(value):
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("kind", NETWORK_SETTINGS)
def test_the_networks_are_all_that_are_registered(kind):
    registry.import_families()
    assert sorted(NETWORKS[kind]) == sorted(registry._bodies[kind])


def test_only_sizes_that_were_given_count():
    assert WriterSettings().sizes() == ReaderSettings().sizes() == {}
    given = {"num_layers": 0, "dropout": 0.0, "tie_embeddings": False, "units": 7}
    assert WriterSettings(network="lstm", **given).sizes() == given
    given = {"bidirectional": False, "widths": (), "dropout": 0.0}
    assert ReaderSettings(network="cnn", weights="folder", **given).sizes() == given


@pytest.mark.parametrize(("kind", "size"), SIZES)
def test_every_size_belongs_to_a_network(kind, size):
    assert takers(kind, size)


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_every_argument_of_a_network_can_be_set(kind, name):
    assert set(registry.sizes_of(name, kind)) - INNER <= {size for of, size in SIZES if of == kind}


@pytest.mark.parametrize(("kind", "size"), SIZES)
def test_the_defaults_in_the_help_are_those_of_the_bodies(kind, size):
    for name in takers(kind, size):
        default = inspect.signature(registry.family(name, kind).new).parameters[size].default
        stated = stated_default(kind, size, name)
        assert NO_NUMBER.get(stated, stated) == (default if stated in NO_NUMBER else as_written(default)), name


@pytest.mark.parametrize("size", [size for kind, size in SIZES if kind == "readers"])
def test_help_that_names_networks_names_all_that_have_the_size(size):
    named = [name for name in NETWORKS["readers"] if re.search(rf"\b{name}\b", help_of("readers", size)[0])]
    assert not named or named == takers("readers", size)


@pytest.mark.parametrize(("size", "networks"), [("d_model", ["transformer", "bert"]), ("filters", ["cnn"])])
def test_sizes_of_other_networks_are_refused_by_name(size, networks):
    assert takers("readers", size) == networks
    with pytest.raises(InputError, match=rf"{size} is a size of .*; dense has .*embedding_dim, units"):
        registry.new_body("dense", "readers", vocabulary_size=5, **{size: 4})


def test_settings_build_their_network():
    settings = WriterSettings("transformer", num_layers=1, d_model=8, num_heads=2, block="post_norm")
    config = registry.new_body(settings.network, "writers", vocabulary_size=9, **settings.sizes()).get_config()
    assert {name: config[name] for name in settings.sizes()} == settings.sizes()


@pytest.mark.parametrize(
    "settings",
    [
        ReaderSettings("dense", dropout=0.25, embedding_dim=4, units=3),
        ReaderSettings("cnn", dropout=0.0, embedding_dim=4, filters=2, widths=(2, 5)),
        ReaderSettings("lstm", units=3, num_layers=2, bidirectional=False, pooling="mean"),
        ReaderSettings("transformer", d_model=8, num_heads=2, dff=5, num_layers=3),
    ],
)
def test_settings_build_the_reader(settings):
    body = registry.new_body(settings.network, "readers", vocabulary_size=9, **settings.sizes())
    config = {name: tuple(value) if name == "widths" else value for name, value in body.get_config().items()}
    assert {name: config[name] for name in settings.sizes()} == settings.sizes()


def test_the_help_of_weights_names_the_networks_that_have_them():
    assert re.search(r'\n    """For (.*), a folder or hub name', inspect.getsource(ReaderSettings))[1].split(
        " and "
    ) == registry.pretrained_names("readers")


BUILDERS = {
    lmkeras.lstm_language_model: ("lstm", "writers"),
    lmkeras.transformer_language_model: ("transformer", "writers"),
    lmkeras.transformer_encoder_decoder: ("transformer", "encoder_decoders"),
    lmkeras.lstm_encoder_decoder: ("lstm", "encoder_decoders"),
    lmkeras.dense_classifier: ("dense", "readers"),
    lmkeras.cnn_classifier: ("cnn", "readers"),
    lmkeras.lstm_classifier: ("lstm", "readers"),
    lmkeras.transformer_classifier: ("transformer", "readers"),
}
OF_THE_HEAD = ("num_classes", "return_sequences")
OTHERS = {  # than the defaults, each of its own value
    "vocabulary_size": 19,
    "embedding_dim": 12,
    "units": 6,
    "num_layers": 2,
    "decoder_layers": 5,
    "source_vocabulary_size": 17,
    "filters": 7,
    "widths": [2, 6],
    "dropout": 0.25,
    "cell": "gru",
    "d_model": 16,
    "num_heads": 8,
    "dff": 9,
    "context_length": 11,
    "max_length": 13,
    "max_target_length": 14,
    "block": "post_norm",
    "bidirectional": False,
    "pooling": "mean",
}
BERTS = {
    "vocab_size": "vocabulary_size",
    "hidden_size": "d_model",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "dff",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "dropout",
    "max_position_embeddings": "max_length",
}


def parameters_of(builder):
    parameters = inspect.signature(builder).parameters.values()
    return {parameter.name: parameter for parameter in parameters if parameter.name not in OF_THE_HEAD}


@pytest.mark.parametrize("builder", BUILDERS)
def test_public_functions_have_the_defaults_of_their_bodies(builder):
    new = registry.family(*BUILDERS[builder]).new
    own = inspect.signature(getattr(new, "func", new)).parameters  # a cell is settled by a body's name
    assert list(parameters_of(builder)) == [name for name in own if name != "kwargs"]
    for name, parameter in parameters_of(builder).items():
        assert parameter.default == own[name].default, name
        # a body says the type, and the function which values of it there are
        types = (parameter.annotation, type(parameter.default), inspect.Parameter.empty)
        assert own[name].annotation in types, name


@pytest.mark.parametrize("builder", BUILDERS)
def test_public_functions_hand_every_size_to_the_body(builder):
    others = {**OTHERS, "tie_embeddings": BUILDERS[builder][1] == "writers"}
    sizes = {name: others[name] for name in parameters_of(builder)}
    of_head = {"num_classes": 6, "return_sequences": False}
    of_head = {name: of_head[name] for name in inspect.signature(builder).parameters if name in of_head}
    network = builder(**sizes, **of_head)
    config = network.body.get_config()
    assert {name: config[name] for name in sizes} == sizes
    head = network.head.get_config()
    if "num_classes" in of_head:
        assert (head["num_classes"], head["dropout"]) == (6, 0.25)
    else:
        tied = (head["vocabulary_size"], head["tied"], head["every_position"])
        assert tied == (19, others["tie_embeddings"], "return_sequences" not in of_head)


def test_a_fresh_bert_gets_every_size():
    sizes = {name: OTHERS[name] for name in registry.sizes_of("bert", "readers")}
    config = fresh_bert(**sizes).get_config()
    assert {name: config[name] for name in BERTS} == {name: sizes[ours] for name, ours in BERTS.items()}
