"""The names of a network's weights, and the shapes that they would have."""

from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.networks import registry
from lmkeras.networks.bodies.embedding import EmbeddingReader
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.weights import named_weights, shapes_of
from tests.networks.made import new_network
from tests.security.hostile import little_memory

registry.import_families()
BODIES = [
    (name, kind)
    for kind in ("readers", "writers", "encoder_decoders")
    for name in registry.registered_here(kind, known=())
]
SIZES = {"vocabulary_size": 11, "num_layers": 2, "d_model": 8, "num_heads": 2, "embedding_dim": 6, "units": 4}
TIED = [(name, kind, {"tie_embeddings": tied}) for name, kind in BODIES if kind != "readers" for tied in (False, True)]
BLOCKS = [
    ("transformer", kind, {"block": block})
    for kind in ("writers", "encoder_decoders")
    for block in ("pre_norm", "post_norm")
]
OTHERS = [("lstm", "readers", {"bidirectional": False}), ("lstm", "encoder_decoders", {"source_vocabulary_size": 5})]
NETWORKS = [*((name, kind, {}) for name, kind in BODIES), *TIED, *BLOCKS, *OTHERS]


def new(name, kind, others):
    taken = registry.sizes_of(name, kind)
    return new_network(name, kind, **{size: SIZES[size] for size in SIZES if size in taken}, **others)


def test_every_body_is_tried():
    assert {(name, kind) for name, kind, _ in NETWORKS} == set(BODIES)
    assert len(BODIES) >= 11


@pytest.mark.parametrize(("name", "kind", "others"), NETWORKS, ids=str)
def test_every_weight_has_one_name_that_every_process_gives_it(name, kind, others):
    network = new(name, kind, others)
    named = named_weights(network)
    assert len(named) == len(network.weights) == len({id(weight) for weight in named.values()})
    assert {id(weight) for weight in named.values()} == {id(weight) for weight in network.weights}
    assert all(name.startswith(("body.", "head.")) and name.isprintable() for name in named)
    [keras.layers.Dense(1).build((1, 1)) for _ in range(3)]  # the names of Keras' layers and weights count them all
    again = named_weights(new(name, kind, others))
    assert list(again) == list(named)
    assert [weight.shape for weight in again.values()] == [weight.shape for weight in named.values()]


@pytest.mark.parametrize(("name", "kind", "others"), NETWORKS, ids=str)
def test_shapes_are_those_of_the_network_that_its_config_makes(name, kind, others):
    network = new(name, kind, others)
    named = named_weights(network)
    assert shapes_of(network.get_config()) == {name: tuple(weight.shape) for name, weight in named.items()}
    made = Network.from_config(network.get_config())
    for weight, other in zip(named.values(), named_weights(made).values(), strict=True):
        other.assign(weight)
    ids = np.array([[1, 2, 3, 4, 0]])
    inputs = {"input_ids": ids, "target_ids": ids[:, :2]} if kind == "encoder_decoders" else ids
    np.testing.assert_array_equal(made(inputs), network(inputs))


def test_the_names_are_the_attributes_that_lead_there():
    names = list(named_weights(new("transformer", "writers", {"tie_embeddings": False})))
    assert names[:2] == ["body.embedding.embeddings", "body.norm.scale"]
    assert "body.blocks.1.attention.qkv.kernel" in names
    assert names[-2:] == ["head.dense.kernel", "head.dense.bias"]
    names = list(named_weights(new("lstm", "readers", {})))
    assert "body.recurrent_layers.1.0.cell.recurrent_kernel" in names  # of the second layer, in the first direction


def test_a_tied_embedding_is_there_once():
    names = {
        tied: set(named_weights(new("transformer", "writers", {"tie_embeddings": tied}))) for tied in (False, True)
    }
    assert names[False] - names[True] == {"head.dense.kernel", "head.dense.bias"}
    assert not names[True] - names[False]


GIANTS = [
    ("lstm", "writers", {"vocabulary_size": 2**31 - 1, "embedding_dim": 10**6, "units": 10**6}),
    ("transformer", "writers", {"vocabulary_size": 2**31 - 1, "d_model": 10**6, "num_heads": 1}),
    ("transformer", "writers", {"d_model": 2 * 10**5, "dff": 2**31 - 1, "block": "post_norm"}),
    ("transformer", "encoder_decoders", {"vocabulary_size": 2**31 - 1, "d_model": 2 * 10**6, "dff": 10**6}),
    ("lstm", "encoder_decoders", {"source_vocabulary_size": 2**31 - 1, "embedding_dim": 10**6, "units": 10**6}),
    ("transformer", "readers", {"d_model": 10**6, "dff": 10**6, "max_length": 10**9}),
    ("cnn", "readers", {"filters": 10**9, "widths": [10**9, 4, 5]}),
    ("dense", "readers", {"vocabulary_size": 2**31 - 1, "embedding_dim": 10**6}),
]


@pytest.mark.parametrize(("name", "kind", "giant"), GIANTS, ids=str)
def test_shapes_of_giants_take_no_memory(name, kind, giant):
    config = new(name, kind, {}).get_config()
    config["body"]["config"].update(giant)
    with little_memory():
        shapes = shapes_of(config)
    assert max(max(shape) for shape in shapes.values()) >= 10**6


def test_shapes_of_a_giant_bert_take_no_memory():
    """Which is built as soon as it is made."""
    config = new_network("bert", "readers", vocabulary_size=11, d_model=8, num_heads=2, num_layers=1).get_config()
    config["body"]["config"].update(hidden_size=10**6, intermediate_size=10**6, vocab_size=2**31 - 1)
    with little_memory():
        shapes = shapes_of(config)
    assert shapes["body.word_embeddings.embeddings"] == (2**31 - 1, 10**6)


def test_shapes_leave_the_graph_and_the_seeds_as_they_are():
    keras.utils.set_random_seed(3)
    expected = new("lstm", "readers", {}).get_weights()
    config = new("lstm", "readers", {}).get_config()
    keras.utils.set_random_seed(3)
    shapes_of(config)
    assert tf.executing_eagerly()
    keras.utils.set_random_seed(3)
    for one, other in zip(new("lstm", "readers", {}).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(one, other)


# --- layers of users -----------------------------------------------------------------------------------------------


class Reader(EmbeddingReader):
    """A body to which a function adds layers."""

    SIZES: ClassVar = {"embedding_dim": 4, "dropout": 0.0}

    def __init__(self, *args, add, **kwargs):
        super().__init__(*args, **kwargs)
        self.add = add

    def build_layers(self, shape):
        self.add(self)


def reader(add):
    return Network(Reader(9, add=add), ClassesHead(2))


def names(add):
    """The names of the weights that a function adds to a body."""
    named = named_weights(reader(add))
    assert [name for name in named if "embedding" in name] == ["body.embedding.embeddings"]
    return [name.removeprefix("body.") for name in named if name.startswith("body.") and "embedding" not in name]


def dense(**kwargs):
    layer = keras.layers.Dense(4, use_bias=False, **kwargs)
    layer.build((None, 4))
    return layer


def sequential(built):
    layer = keras.Sequential([dense(), dense()])
    if built:
        layer.build((None, 4))
    return layer


@pytest.mark.parametrize(
    ("add", "expected"),
    [
        (lambda body: setattr(body, "one", dense()), ["one.kernel"]),
        (lambda body: setattr(body, "_hidden", dense()), ["hidden.kernel"]),
        (lambda body: setattr(body, "some", [dense(), dense()]), ["some.0.kernel", "some.1.kernel"]),
        (lambda body: setattr(body, "some", (dense(), [dense()])), ["some.0.kernel", "some.1.0.kernel"]),
        (lambda body: setattr(body, "some", {"a": dense(), "b": [dense()]}), ["some.a.kernel", "some.b.0.kernel"]),
        (lambda body: setattr(body, "same", [dense(name="same")] * 2), ["same.0.kernel"]),
        (lambda body: [setattr(body, name, dense(name="same")) for name in "ab"], ["a.kernel", "b.kernel"]),
        (lambda body: setattr(body, "all", sequential(built=False)), ["all.layers.0.kernel", "all.layers.1.kernel"]),
        (lambda body: setattr(body, "all", sequential(built=True)), ["all.layers.0.kernel", "all.layers.1.kernel"]),
    ],
    ids=[
        "attribute",
        "private",
        "list",
        "tuple",
        "dictionary",
        "twice in a list",
        "names of layers",
        "Sequential",
        "Sequential that is built",
    ],
)
def test_names_of_layers_that_users_add(add, expected):
    for _ in range(2):  # the second time, Keras has counted more layers
        assert names(add) == expected


def test_a_layer_that_is_shared_has_the_name_of_the_first():
    def add(body):
        body.first = dense()
        body.second = keras.layers.Layer()
        body.second.inner, body.second.other = body.first, dense()

    assert names(add) == ["first.kernel", "second.other.kernel"]


def test_a_weight_that_is_shared_has_the_name_of_the_first():
    def add(body):
        body.first = dense()
        body.last = keras.layers.Layer()
        body.last.matrix = body.first.kernel

    assert names(add) == ["first.kernel"]


def test_weights_without_names_are_named_by_their_attributes():
    """Keras calls them variable, variable_1 and so on, and counts all that the process has made."""

    def add(body):
        body.scale = body.add_weight(shape=(2,))
        body._some = [body.add_weight(shape=(3,)), body.add_weight(shape=(4,))]
        body.other = body.add_weight(shape=(5,), name="of_its_own")
        body.add_weight(shape=(6,), name="no_attribute")

    for _ in range(2):
        assert names(add) == ["scale", "some.0", "some.1", "other", "no_attribute"]


def hidden_in_a_set(body):
    body.some = {dense()}


def hidden_in_keras_list(body):
    body._layers.append(dense())


def of_one_name(body):
    for _ in range(2):
        body.add_weight(shape=(2,), name="scale")


def attributes_of_one_name(body):
    body.scale = [dense()]
    body._scale = [dense()]


@pytest.mark.parametrize("add", [hidden_in_a_set, hidden_in_keras_list, of_one_name, attributes_of_one_name])
def test_weights_that_would_be_lost_are_an_error(add):
    network = reader(add)
    assert len(network.weights) > len(named_weights(reader(lambda body: None)))
    with pytest.raises(ValueError, match="every layer must be an attribute of a layer"):
        named_weights(network)
