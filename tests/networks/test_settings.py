"""The settings name every size of every network, and their help states the builders' own defaults."""

import dataclasses
import inspect
import re
import typing

import pytest

from lmkeras.errors import InputError
from lmkeras.networks import registry
from lmkeras.networks.settings import ClassificationNetworkSettings, LanguageNetworkSettings

TASKS = {"language": LanguageNetworkSettings, "classification": ClassificationNetworkSettings}
NETWORKS = {task: list(typing.get_args(typing.get_type_hints(settings)["network"])) for task, settings in TASKS.items()}
NAMED = [(task, name) for task, names in NETWORKS.items() for name in names]
SIZES = [
    (task, field.name)
    for task, settings in TASKS.items()
    for field in dataclasses.fields(settings)
    if field.name != "network"
]
# what follows from the corpus or the texts' layout
INNER = {"vocabulary_size", "num_classes", "max_length"}
KINDS = {"transformers": ["transformer"], "recurrent networks": ["lstm", "gru", "simple_rnn"]}
NO_NUMBER = {"4 times d_model": None, "no hidden layer": None}


def takers(task, size):
    """The networks that have such a size."""
    return [name for name in NETWORKS[task] if size in registry.sizes_of(name, task)]


def help_of(task, size):
    """What a field is, and what None stands for."""
    source = inspect.getsource(TASKS[task])
    return re.search(rf'\n    {size}: .*\n    """(.*?);? None: (.*)\."""', source).groups()


def stated_default(task, size, name):
    """From "0.5, and 0.1 for transformer and bert": what is stated of a network by name, else what is of all."""
    of_all = None
    for part in re.split(r", (?:and )?", help_of(task, size)[1]):
        value, _, kinds = part.partition(" for ")
        if name in [name for kind in kinds.split(" and ") for name in KINDS.get(kind, [kind])]:
            return value
        of_all = of_all if kinds else value
    return of_all


def as_written(value):
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("task", TASKS)
def test_the_networks_are_all_that_are_registered(task):
    registry.import_families()
    assert sorted(NETWORKS[task]) == sorted(registry._builders[task])


def test_only_sizes_that_were_given_count():
    assert LanguageNetworkSettings().sizes() == ClassificationNetworkSettings().sizes() == {}
    given = {"num_layers": 0, "dropout": 0.0, "tie_embeddings": False, "units": 7}
    assert LanguageNetworkSettings(network="lstm", **given).sizes() == given
    given = {"bidirectional": False, "widths": (), "dropout": 0.0}
    assert ClassificationNetworkSettings(network="cnn", **given).sizes() == given


@pytest.mark.parametrize(("task", "size"), SIZES)
def test_every_size_belongs_to_a_network(task, size):
    assert takers(task, size)


@pytest.mark.parametrize(("task", "name"), NAMED)
def test_every_argument_of_a_network_can_be_set(task, name):
    assert set(registry.sizes_of(name, task)) - INNER <= {size for of, size in SIZES if of == task}


@pytest.mark.parametrize(("task", "size"), SIZES)
def test_the_defaults_in_the_help_are_those_of_the_builders(task, size):
    for name in takers(task, size):
        default = inspect.signature(registry._builder(name, task)).parameters[size].default
        stated = stated_default(task, size, name)
        assert NO_NUMBER.get(stated, stated) == (default if stated in NO_NUMBER else as_written(default)), name


@pytest.mark.parametrize("size", [size for task, size in SIZES if task == "classification"])
def test_help_that_names_networks_names_all_that_have_the_size(size):
    named = [
        name for name in NETWORKS["classification"] if re.search(rf"\b{name}\b", help_of("classification", size)[0])
    ]
    assert not named or named == takers("classification", size)


@pytest.mark.parametrize(("size", "networks"), [("d_model", ["transformer", "bert"]), ("filters", ["cnn"])])
def test_sizes_of_other_networks_are_refused_by_name(size, networks):
    assert takers("classification", size) == networks
    with pytest.raises(InputError, match=rf"the network 'dense' takes no {size}; it takes .*embedding_dim, units"):
        registry.build("dense", "classification", vocabulary_size=5, num_classes=2, **{size: 4})


def test_settings_build_their_network():
    settings = LanguageNetworkSettings("transformer", num_layers=1, d_model=8, num_heads=2, block="post_norm")
    config = registry.build(settings.network, vocabulary_size=9, **settings.sizes()).get_config()
    assert {name: config[name] for name in settings.sizes()} == settings.sizes()


@pytest.mark.parametrize(
    "settings",
    [
        ClassificationNetworkSettings("dense", dropout=0.25, embedding_dim=4, units=3),
        ClassificationNetworkSettings("cnn", dropout=0.0, embedding_dim=4, filters=2, widths=(2, 5)),
        ClassificationNetworkSettings("lstm", units=3, num_layers=2, bidirectional=False, pooling="mean"),
        ClassificationNetworkSettings("transformer", d_model=8, num_heads=2, dff=5, num_layers=3),
    ],
)
def test_settings_build_their_classification_network(settings):
    network = registry.build(settings.network, "classification", vocabulary_size=9, num_classes=4, **settings.sizes())
    config = {name: tuple(value) if name == "widths" else value for name, value in network.get_config().items()}
    assert {name: config[name] for name in settings.sizes()} == settings.sizes()
    assert config["num_classes"] == 4
