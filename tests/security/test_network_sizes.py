"""Sizes that lie, in the config of a network whose digests are all right."""

import shutil
from pathlib import Path

import pytest

import lmkeras
from tests.security.hostile import body_of, change_network, refused, sizes

GIANT = 2**31 - 1
VERSION_0_1 = Path(__file__).parents[1] / "models" / "version_0_1"


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("lstm", {"vocabulary_size": 10**12}, "expected a size below"),
        ("lstm", {"vocabulary_size": GIANT}, r"none of shape \[2147483647, 8\] is left"),
        ("lstm", {"units": 10**6}, "none of shape"),
        ("lstm", {"units": 10**6, "embedding_dim": 10**6}, "none of shape"),
        ("lstm", {"num_layers": 10**7}, "num_layers is 10,000,000"),
        ("lstm", {"vocabulary_size": -1}, "expected a size"),
        ("lstm", {"vocabulary_size": "5" * 10**6}, "expected a name"),
        ("rotary", {"d_model": 2 * 10**5, "dff": GIANT}, "none of shape"),
        ("rotary", {"num_layers": GIANT}, "num_layers"),
        ("sinusoids", {"context_length": 10**9}, "its table of positions"),
        ("cnn", {"widths": [3] * 10**5}, "widths has 100,000 entries"),
        ("cnn", {"widths": [10**9, 4, 5]}, "none of shape"),
        ("cnn", {"filters": 10**9}, "none of shape"),
        ("sinusoids", {"context_length": 1e9}, "context_length must be a whole num"),
        ("sinusoids", {"context_length": "9" * 100}, "network.keras is damaged"),
        ("rotary", {"block": "post_norm", "context_length": 10**9}, "its table of positions"),
        ("bert", {"hidden_size": 10**6, "vocab_size": 10**6}, "none of shape"),
        ("bert", {"num_hidden_layers": 10**6}, "num_hidden_layers is 1,000,000"),
        ("bert", {"max_position_embeddings": GIANT}, "none of shape"),
    ],
    ids=str,
)
def test_sizes_that_the_file_does_not_bear_out_are_refused_before_anything_is_allocated(take, name, changed, reason):
    folder = take(name)
    change_network(folder, both=sizes("body", **changed))
    refused(folder, reason)


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("lstm", {"vocabulary_size": GIANT}, r"none of shape \[8, 2147483647\] is left"),
        ("lstm", {"vocabulary_size": 10**12}, "expected a size below"),
        ("lstm", {"vocabulary_size": -1}, "expected a size"),
        ("cnn", {"num_classes": GIANT}, r"none of shape \[12, 2147483647\] is left"),
        ("cnn", {"num_classes": 3}, r"none of shape \[12, 3\] is left"),
        ("bert", {"num_classes": 10**9}, "none of shape"),
    ],
    ids=str,
)
def test_sizes_of_the_head_are_those_of_the_file_too(take, name, changed, reason):
    folder = take(name)
    change_network(folder, both=sizes("head", **changed))
    refused(folder, reason)


def test_a_reader_has_no_larger_table_than_a_writer(take):
    folder = take("sinusoids")
    body = {**body_of(folder), "max_length": 10**9}
    reader = {name: body[name] for name in ("vocabulary_size", "d_model", "num_heads", "num_layers", "max_length")}
    for config in (reader, {**reader, "block": "pre_norm"}):
        part = {"registered_name": "lmkeras>TransformerEncoder", "config": config}
        change_network(folder, both=lambda network, part=part: network.update(body=part))
        refused(folder, "its table of positions" if config is reader else "damaged")


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("lm-lstm", {"vocabulary_size": GIANT}, r"none of shape \[2147483647, 6\] is left"),
        ("lm-lstm", {"units": 10**6, "embedding_dim": 10**6}, "none of shape"),
        ("lm-lstm", {"num_layers": 10**7}, "num_layers is 10,000,000"),
        ("lm-lstm", {"units": {"class_name": "Lambda", "config": {}}}, "expected one of the dtypes"),
        ("lm-lstm", {"cell": "os.system"}, "unknown cell 'os.system'"),
        ("lm-post-norm", {"context_length": 10**9}, "its table of positions"),
        ("classifier-cnn", {"widths": [3] * 10**5}, "widths has 100,000 entries"),
        ("classifier-cnn", {"num_classes": 10**9}, "none of shape"),
        ("classifier-bert-pairs", {"bert": {"hidden_size": 10**6}}, "network.keras is damaged"),
        ("classifier-bert-pairs", {"bert": 5}, "network.keras is damaged"),
    ],
    ids=str,
)
def test_sizes_in_a_folder_of_version_0_1_are_checked_as_well(tmp_path, name, changed, reason):
    folder = shutil.copytree(VERSION_0_1 / name, tmp_path / name)
    change_network(folder)
    lmkeras.load(folder)
    change_network(folder, both=sizes(**changed))
    refused(folder, reason)


@pytest.mark.parametrize(
    ("name", "changed", "left_out"),
    [
        ("sinusoids", {"context_length": 10**7}, "d_model"),
        ("sinusoids", {"d_model": 2 * 10**6, "num_heads": 1}, "context_length"),
        ("lm-post-norm", {"context_length": 10**7}, "d_model"),
        ("lm-post-norm", {"d_model": 2 * 10**6, "num_heads": 1}, "context_length"),
    ],
    ids=str,
)
def test_sizes_that_are_left_out_count_as_what_they_are_by_default(take, tmp_path, name, changed, left_out):
    old = name == "lm-post-norm"
    folder = shutil.copytree(VERSION_0_1 / name, tmp_path / name) if old else take(name)

    def lie(network):
        said = network if old else network["body"]["config"]
        said.update(changed)
        del said[left_out]

    change_network(folder, both=lie)
    refused(folder, "its table of positions")
