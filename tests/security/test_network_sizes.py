"""Sizes that lie, in the config of a network whose digests are all right."""

import json

import numpy as np
import pytest

import lmkeras
from tests.security.hostile import change_header, change_keras_file, change_network, little_memory, refused, sizes

GIANT = 2**31 - 1


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("lstm", {"vocabulary_size": 10**12}, "expected a size below"),
        ("lstm", {"vocabulary_size": GIANT}, r"asks for one of \[2147483647, 8\], the file has one of \[\d+, 8\]"),
        ("lstm", {"units": 10**6}, "config.json asks for one of"),
        ("lstm", {"units": 10**6, "embedding_dim": 10**6}, "config.json asks for one of"),
        ("lstm", {"num_layers": 10**7}, "num_layers is 10,000,000"),
        ("lstm", {"num_layers": 2}, "config.json asks for one of .*, the file has none"),
        ("lstm", {"vocabulary_size": -1}, "expected a size"),
        ("lstm", {"vocabulary_size": "5" * 10**6}, "expected a name"),
        ("rotary", {"d_model": 2 * 10**5, "dff": GIANT}, "config.json asks for one of"),
        ("rotary", {"num_layers": GIANT}, "num_layers"),
        ("cnn", {"widths": [3] * 10**5}, "widths has 100,000 entries"),
        ("cnn", {"widths": [10**9, 4, 5]}, "config.json asks for one of"),
        ("cnn", {"filters": 10**9}, "config.json asks for one of"),
        ("sinusoids", {"context_length": 1e9}, "context_length must be a whole num"),
        ("sinusoids", {"context_length": "9" * 100}, "config.json is damaged"),
        ("rotary", {"block": "post_norm", "context_length": 10**9}, "config.json asks for one of"),
        ("encoder", {"max_length": "9"}, "config.json is damaged"),
        ("encoder", {"d_model": 2 * 10**6}, "config.json asks for one of"),
        ("bert", {"hidden_size": 10**6, "vocab_size": 10**6}, "config.json asks for one of"),
        ("bert", {"num_hidden_layers": 10**6}, "num_hidden_layers is 1,000,000"),
        ("bert", {"max_position_embeddings": GIANT}, "config.json asks for one of"),
    ],
    ids=str,
)
def test_sizes_that_the_file_does_not_bear_out_are_refused_before_anything_is_allocated(take, name, changed, reason):
    folder = take(name)
    change_network(folder, sizes("body", **changed))
    refused(folder, reason)


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("lstm", {"vocabulary_size": GIANT}, r"asks for one of \[8, 2147483647\]"),
        ("lstm", {"vocabulary_size": 10**12}, "expected a size below"),
        ("lstm", {"vocabulary_size": -1}, "expected a size"),
        ("cnn", {"num_classes": GIANT}, r"asks for one of \[12, 2147483647\]"),
        ("cnn", {"num_classes": 3}, r"asks for one of \[12, 3\], the file has one of \[12, 2\]"),
        ("bert", {"num_classes": 10**9}, "config.json asks for one of"),
    ],
    ids=str,
)
def test_sizes_of_the_head_are_those_of_the_file_too(take, name, changed, reason):
    folder = take(name)
    change_network(folder, sizes("head", **changed))
    refused(folder, reason)


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("lm-lstm", {"vocabulary_size": GIANT}, r"none of shape \[2147483647, 6\] is left"),
        ("lm-lstm", {"vocabulary_size": 10**12}, "expected a size below"),
        ("lm-lstm", {"vocabulary_size": -1}, "expected a size"),
        ("lm-lstm", {"vocabulary_size": "5" * 10**6}, "expected a name"),
        ("lm-lstm", {"units": 10**6, "embedding_dim": 10**6}, "none of shape"),
        ("lm-lstm", {"num_layers": 10**7}, "num_layers is 10,000,000"),
        ("lm-lstm", {"units": {"class_name": "Lambda", "config": {}}}, "expected one of the dtypes"),
        ("lm-lstm", {"cell": "os.system"}, "unknown cell 'os.system'"),
        ("lm-transformer", {"d_model": 2 * 10**5, "dff": GIANT}, "none of shape"),
        ("lm-transformer", {"block": "post_norm", "context_length": 10**9}, "none of shape"),
        ("lm-post-norm", {"context_length": 1e9}, "context_length must be a whole num"),
        ("lm-post-norm", {"context_length": "9" * 100}, "network.keras is damaged"),
        ("classifier-cnn", {"widths": [3] * 10**5}, "widths has 100,000 entries"),
        ("classifier-cnn", {"widths": [10**9, 4, 5]}, "none of shape"),
        ("classifier-cnn", {"num_classes": 10**9}, "none of shape"),
        ("classifier-bert-pairs", {"num_classes": 10**9}, "none of shape"),
        ("classifier-bert-pairs", {"bert": {"hidden_size": 10**6}}, "network.keras is damaged"),
        ("classifier-bert-pairs", {"bert": 5}, "network.keras is damaged"),
    ],
    ids=str,
)
def test_sizes_in_a_folder_of_version_0_1_are_checked_as_well(take_old, name, changed, reason):
    folder = take_old(name)
    change_keras_file(folder)
    lmkeras.load(folder)
    change_keras_file(folder, both=sizes(**changed))
    refused(folder, reason)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"hidden_size": 10**6, "vocab_size": 10**6}, "none of shape"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1,000,000"),
        ({"max_position_embeddings": GIANT}, "none of shape"),
    ],
    ids=str,
)
def test_sizes_of_a_bert_of_version_0_1_are_checked_as_well(take_old, changed, reason):
    folder = take_old("classifier-bert-pairs")
    change_keras_file(folder, both=lambda network: network["bert"].update(changed))
    refused(folder, reason)


@pytest.mark.parametrize("layers", [("num_layers", 1001), ("num_layers", 60_000)])
def test_layers_do_not_become_many_by_arrays_without_numbers(take, layers):
    """A file of few bytes may have very many arrays, and every layer takes time and memory before it has weights."""
    folder = take("lstm")
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    change_header(folder, lambda header: header.update({f"body.{number}": empty for number in range(60_000)}))
    change_network(folder, sizes("body", **dict([layers])))
    refused(folder, f"num_layers is {layers[1]:,}: expected at most 1,000")


@pytest.mark.parametrize("name", ["bert", "lstm", "cnn"])
def test_sizes_in_a_list_of_pairs_are_not_taken(take, name):
    """Python would make a dictionary of them."""
    folder = take(name)
    size, value = ("widths", [3] * 10**5) if name == "cnn" else ("num_layers", GIANT)
    size = "num_hidden_layers" if name == "bert" else size

    def as_pairs(network):
        network["body"]["config"] = list(map(list, {**network["body"]["config"], size: value}.items()))

    change_network(folder, as_pairs)
    refused(folder, "config.json is damaged")


@pytest.mark.parametrize(
    ("name", "size"), [("sinusoids", "context_length"), ("rotary", "context_length"), ("encoder", "max_length")]
)
def test_a_long_context_takes_no_memory(take, name, size):
    folder = take(name)
    expected = lmkeras.load(folder).network
    change_network(folder, sizes("body", **{size: 10**9}))
    with little_memory():
        network = lmkeras.load(folder).network
    assert getattr(network.body, size) == 10**9
    np.testing.assert_array_equal(network(np.array([[1, 2, 3]])), expected(np.array([[1, 2, 3]])))


@pytest.mark.parametrize(
    ("name", "size"), [("lm-post-norm", "context_length"), ("classifier-transformer", "max_length")]
)
def test_a_long_context_of_version_0_1_takes_no_memory(take_old, name, size):
    folder = take_old(name)
    expected = lmkeras.load(folder).network
    change_keras_file(folder, both=sizes(**{size: 10**9}))
    with little_memory():
        network = lmkeras.load(folder).network
    assert getattr(network.body, size) == 10**9
    np.testing.assert_array_equal(network(np.array([[1, 2, 3]])), expected(np.array([[1, 2, 3]])))


@pytest.mark.parametrize(
    ("name", "changed", "left_out"),
    [
        ("sinusoids", {"context_length": 10**7}, "d_model"),
        ("sinusoids", {"d_model": 2 * 10**6, "num_heads": 1}, "context_length"),
        ("rotary", {}, "num_layers"),
        ("lm-post-norm", {"context_length": 10**7}, "d_model"),
        ("lm-post-norm", {"d_model": 2 * 10**6, "num_heads": 1}, "context_length"),
    ],
    ids=str,
)
def test_sizes_that_are_left_out_count_as_what_they_are_by_default(take, take_old, name, changed, left_out):
    old = name == "lm-post-norm"
    folder = (take_old if old else take)(name)

    def lie(network):
        said = network if old else network["body"]["config"]
        said.update(changed)
        del said[left_out]

    if old:
        change_keras_file(folder, both=lie)
    else:
        change_network(folder, lie)
    refused(folder, "none of shape" if old else "config.json asks for one of")


@pytest.mark.parametrize("parameters", [0, 10**30, "many", None, [[]], {"class_name": "Lambda"}], ids=repr)
def test_how_many_parameters_there_are_is_no_size(take, parameters):
    """It is what `lmkeras info` prints."""
    folder = take("lstm")
    expected = lmkeras.load(folder).network.count_params()
    change_network(folder, lambda network: network.update(parameters=parameters, name=parameters))
    assert json.loads((folder / "config.json").read_text())["network"]["parameters"] == parameters
    assert lmkeras.load(folder).network.count_params() == expected
