import dataclasses
import inspect

import pytest

from lmkeras.errors import InputError
from lmkeras.networks import registry
from lmkeras.networks.settings import LanguageNetworkSettings

SIZES = [field.name for field in dataclasses.fields(LanguageNetworkSettings) if field.name != "network"]
NETWORKS = ["transformer", "lstm", "gru", "simple_rnn"]


def taken(name, size):
    try:
        registry.check(name, [size])
    except InputError:
        return False
    return True


def test_only_sizes_that_were_given_count():
    assert LanguageNetworkSettings().sizes() == {}
    given = {"num_layers": 0, "dropout": 0.0, "tie_embeddings": False, "units": 7}
    assert LanguageNetworkSettings(network="lstm", **given).sizes() == given


@pytest.mark.parametrize("size", SIZES)
def test_every_size_belongs_to_a_network(size):
    assert any(taken(name, size) for name in NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_argument_of_a_network_can_be_set(name):
    arguments = inspect.signature(registry._builder(name)).parameters
    inner = {"vocabulary_size", "return_sequences", "cell"}  # follow from the corpus, the task and the name
    assert set(arguments) - inner <= set(SIZES)


def test_settings_build_their_network():
    settings = LanguageNetworkSettings("transformer", num_layers=1, d_model=8, num_heads=2, block="post_norm")
    config = registry.build(settings.network, vocabulary_size=9, **settings.sizes()).get_config()
    assert {name: config[name] for name in settings.sizes()} == settings.sizes()
