"""Hugging Face folders from strangers: their weights, their configs and their tokenizers."""

import json
import os
import pickle
import struct

import h5py
import numpy as np
import pytest
import safetensors.numpy

from lmkeras import Bert, InputError, WordPieceTokenizer
from lmkeras.pretrained.checkpoint import read_checkpoint
from lmkeras.tokenizers.special_tokens import SpecialTokens
from tests.security.hostile import little_memory, pickled
from tests.security.test_keras_files import HARMS, weights

SIZES = {
    "vocab_size": 10,
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 8,
}
VOCABULARY = [*SpecialTokens().names(), "a", "b"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    Bert(**SIZES).save_pretrained(folder)
    return {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")}


@pytest.fixture
def folder(published, tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    for name, content in published.items():
        (folder / name).write_bytes(content)
    return folder


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def refused(folder, reason):
    with little_memory(), pytest.raises(InputError, match=reason) as caught:
        Bert.from_pretrained(folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tf_model.h5", "pytorch_model.bin"])
def test_a_pickle_is_not_unpickled(folder, marker, name):
    if name != "config.json":
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickled(marker))
    with pytest.raises(InputError, match=name):
        Bert.from_pretrained(folder)


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 10**9},
        {"hidden_size": 10**9, "vocab_size": 1, "num_hidden_layers": 1},
        {"hidden_size": 1e9},
        {"vocab_size": 10**9},
        {"vocab_size": 10**4000},
        {"intermediate_size": 10**10},
        {"max_position_embeddings": 10**10},
        {"type_vocab_size": 10**10},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 10**5, "hidden_size": 2, "intermediate_size": 1},
    ],
    ids=range(10),
)
def test_sizes_beyond_the_weights_are_refused_before_anything_is_allocated(folder, sizes):
    change_config(folder, **sizes)
    refused(folder, "has sizes of a larger BERT than the weights beside it")


def test_sizes_that_are_left_out_count_as_those_of_bert_base(folder):
    (folder / "config.json").write_text(json.dumps({"hidden_size": 4000}))
    refused(folder, "has sizes of a larger BERT")
    (folder / "config.json").write_text("{}")
    refused(folder, "has sizes of a larger BERT")


@pytest.mark.parametrize(
    "content", [b"[" * 10**5, b'{"a":' * 10**5, b'{"vocab_size": Infinity}', b"9" * 5000], ids=range(4)
)
def test_configs_that_are_too_much_are_refused(folder, content):
    (folder / "config.json").write_bytes(content)
    refused(folder, r"config.json is damaged")


def test_a_giant_config_is_not_read(folder):
    os.truncate(folder / "config.json", 10 * 2**30)
    refused(folder, "it is not read")


def safetensors_file(header: dict, content: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


@pytest.mark.parametrize(
    "content",
    [
        safetensors_file({"x": {"dtype": "F32", "shape": [10**6, 10**5], "data_offsets": [0, 4 * 10**11]}}),
        safetensors_file({"x": {"dtype": "F32", "shape": [10**6, 10**5], "data_offsets": [0, 4]}}, b"1234"),
        safetensors_file({"x": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 0]}}),
        struct.pack("<Q", 2**40) + b"{}",
    ],
    ids=["beyond its end", "of another size", "that overflows", "a giant header"],
)
def test_tensors_that_are_not_in_the_file_are_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    refused(folder, r"model.safetensors is damaged or in another format")


@pytest.mark.parametrize("harm", HARMS)
def test_weights_that_are_not_in_the_h5_file_are_refused(folder, tmp_path, harm):
    change, reason = HARMS[harm]
    secret = tmp_path / "secret"
    secret.write_bytes(weights(lambda file: file.create_dataset("data", data=np.arange(8, dtype="uint8"))))
    (folder / "model.safetensors").unlink()
    (folder / "tf_model.h5").write_bytes(weights(lambda file: change(file, secret)))
    refused(folder, rf"tf_model.h5 is damaged or in another format: .*{reason}")


def test_an_h5_file_without_harm_is_read(folder):
    (folder / "model.safetensors").unlink()
    with h5py.File(folder / "tf_model.h5", "w") as file:
        file["a/b/kernel:0"] = np.arange(6, dtype="float32").reshape(2, 3)
        file["a"].attrs["weight_names"] = [b"kernel:0"]
    np.testing.assert_array_equal(read_checkpoint(folder).tensors["a.b.weight"], [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize("shard", ["../secret", "/etc/passwd", "..", "", "a\0b", 5, None, ["x"]], ids=repr)
def test_an_index_names_files_of_its_folder_alone(folder, shard, tmp_path):
    (tmp_path / "secret").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"x": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, r"model.safetensors.index.json")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "shard.safetensors"])
def test_links_that_lead_out_of_the_folder_are_refused(folder, tmp_path, name):
    if name == "shard.safetensors":
        (folder / "model.safetensors").rename(folder / name)
        tensors = safetensors.numpy.load_file(folder / name)
        index = {"weight_map": dict.fromkeys(tensors, name)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        assert read_checkpoint(folder).tensors
    (folder / name).rename(tmp_path / "secret")
    (folder / name).symlink_to(tmp_path / "secret")
    refused(folder, f"{name} is a link that leads out of its folder")


def test_a_file_of_pytorch_is_read_without_code_or_not_at_all(folder, marker, monkeypatch):
    """PyTorch is asked for weights alone."""
    asked = {}

    class Torch:
        @staticmethod
        def load(path, **arguments):
            asked.update(arguments)
            raise pickle.UnpicklingError("Weights only load failed")

    monkeypatch.setitem(__import__("sys").modules, "torch", Torch)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickled(marker))
    refused(folder, "Weights only load failed")
    assert asked["weights_only"] is True


@pytest.fixture
def tokenizer_folder(tmp_path):
    folder = tmp_path / "tokenizer"
    WordPieceTokenizer(VOCABULARY).save_vocabulary(folder)
    return folder


def tokenizer_refused(folder, reason):
    with little_memory(), pytest.raises(InputError, match=reason) as caught:
        WordPieceTokenizer.from_pretrained(folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json"])
def test_tokenizer_files_from_elsewhere_are_refused(tokenizer_folder, tmp_path, marker, name):
    path = tokenizer_folder / name
    path.write_bytes(pickled(marker))
    tokenizer_refused(tokenizer_folder, f"{name} is damaged")
    path.write_bytes(b"")
    os.truncate(path, 10 * 2**30)
    tokenizer_refused(tokenizer_folder, "it is not read")
    path.rename(tmp_path / "secret")
    path.symlink_to(tmp_path / "secret")
    tokenizer_refused(tokenizer_folder, f"{name} is a link that leads out of its folder")


def wordpiece(**model):
    return json.dumps({"model": {"type": "WordPiece", **model}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 10**5,
        b'{"model":' * 10**5,
        b'{"model": null, "a": 1}',
        b'{"model": [], "a": 1}',
        b'{"model": 5}',
        b'{"added_tokens": [5]}',
        b'{"added_tokens": 5}',
        b'{"normalizer": "x"}',
        wordpiece(vocab={"a": []}),
        wordpiece(vocab={"a": 10**9}),
        wordpiece(vocab={"a": 0.0}),
        wordpiece(vocab=[["a", 0]]),
        wordpiece(vocab="a" * 10**6),
    ],
    ids=range(13),
)
def test_a_damaged_tokenizer_is_refused(tokenizer_folder, content):
    (tokenizer_folder / "vocab.txt").unlink()
    (tokenizer_folder / "tokenizer.json").write_bytes(content)
    tokenizer_refused(tokenizer_folder, "")


def test_a_regular_expression_in_a_tokenizer_is_not_compiled(tokenizer_folder):
    """It would take the age of the universe to match; what is not BERT's is refused by its name."""
    hostile = {"type": "Replace", "pattern": {"Regex": "(a|a)*$"}, "content": ""}
    (tokenizer_folder / "tokenizer.json").write_text(json.dumps({"normalizer": hostile}))
    tokenizer_refused(tokenizer_folder, "is not BERT's")
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    (tokenizer_folder / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": split, "post_processor": split}))
    assert WordPieceTokenizer.from_pretrained(tokenizer_folder).encode("a" * 90 + "!") == [1, 1]


def test_a_giant_line_is_a_word_like_another(tokenizer_folder):
    (tokenizer_folder / "vocab.txt").write_text("\n".join([*VOCABULARY, "c" * 10**7]) + "\n")
    with little_memory():
        assert WordPieceTokenizer.from_pretrained(tokenizer_folder).encode("a b c") == [5, 6, 1]


def test_lines_may_end_as_on_windows(tokenizer_folder):
    (tokenizer_folder / "vocab.txt").write_bytes("\r\n".join([*VOCABULARY, ""]).encode())
    assert WordPieceTokenizer.from_pretrained(tokenizer_folder).vocabulary == VOCABULARY


@pytest.mark.parametrize("name", ["[" + "x" * 10**6 + "]", {"content": ["x"]}, 10**9, "a\nb"], ids=range(4))
def test_special_tokens_are_short_and_printable(tokenizer_folder, name):
    (tokenizer_folder / "tokenizer_config.json").write_text(json.dumps({"mask_token": name}))
    tokenizer_refused(tokenizer_folder, "printable")
