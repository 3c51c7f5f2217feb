import fnmatch
import json
import mmap
import shutil

import huggingface_hub
import numpy as np
import pytest
import safetensors.numpy
from ml_dtypes import bfloat16

from lmkeras.errors import InputError
from lmkeras.pretrained.source import open_source

CONFIG = {"model_type": "llama", "vocab_size": 6, "eos_token_id": 5}
TENSORS = {
    "model.embed_tokens.weight": np.arange(24).reshape(6, 4).astype(bfloat16),
    "model.norm.weight": np.array([0.5, -0.5, 2.0, 1.0], "float32"),
    "model.up.weight": np.arange(6).reshape(3, 2).astype("float16"),
    "empty": np.zeros((0, 3), "float32"),
}
TOKENIZER = {
    "model": {"type": "BPE", "vocab": {letter: index for index, letter in enumerate("abcd")}},
    "added_tokens": [{"id": 5, "content": "</s>"}],
}


def write_json(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    safetensors.numpy.save_file(TENSORS, folder / "model.safetensors")
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "tokenizer.json", TOKENIZER)
    return folder


def split(folder, placed=None, **metadata):
    """Splits the weights of a folder into two shards with an index; `placed` says what the index shall say."""
    (folder / "model.safetensors").unlink()
    there = {name: f"model-{1 + (name == 'model.norm.weight')}.safetensors" for name in TENSORS}
    for shard in set(there.values()):
        tensors = {name: tensor for name, tensor in TENSORS.items() if there[name] == shard}
        safetensors.numpy.save_file(tensors, folder / shard)
    index = {"metadata": metadata, "weight_map": {**there, **(placed or {})}}
    write_json(folder / "model.safetensors.index.json", index)


def assert_whole(source):
    assert dict(source.shapes) == {name: tensor.shape for name, tensor in TENSORS.items()}
    assert dict(source.dtypes) == {name: str(tensor.dtype) for name, tensor in TENSORS.items()}
    for name, expected in TENSORS.items():
        tensor = source.read(name)
        np.testing.assert_array_equal(tensor, expected)
        assert tensor.dtype == expected.dtype
        assert not tensor.flags.writeable


def test_a_folder(folder):
    source = open_source(str(folder))
    assert (source.name, source.folder, source.config, source.generation_config) == (str(folder), folder, CONFIG, {})
    assert (source.kept_dtype, source.note) == ("bfloat16", "")
    assert_whole(source)


def test_tensors_are_mapped_and_not_read(folder):
    array = open_source(folder).read("model.norm.weight")
    while isinstance(array, np.ndarray):
        array = array.base
    assert isinstance(array, mmap.mmap)


@pytest.mark.parametrize(("dtype", "kept"), [("float16", "float16"), ("float32", "float32"), ("float64", "float32")])
def test_the_dtype_of_most_weights_is_kept(folder, dtype, kept):
    tensors = {"few": np.zeros(3, bfloat16), "most": np.zeros((2, 2), dtype), "ids": np.zeros(9, "int64")}
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    assert open_source(folder).kept_dtype == kept


def test_shards(folder):
    split(folder, total_size=24 * 2 + 4 * 4 + 6 * 2)
    assert_whole(open_source(folder))


@pytest.mark.parametrize(
    ("placed", "total_size", "message"),
    [
        ({"model.up.weight": "model-3.safetensors"}, 76, "names the file model-3.safetensors, which is not in"),
        ({"model.up.weight": "model-2.safetensors"}, 76, "does not name 'model.up.weight' for model-1.safetensors"),
        ({"more": "model-2.safetensors"}, 76, "names 'more' for model-2.safetensors, which lacks it"),
        ({}, 77, "says that the shards hold 77 bytes of weights, they hold 76"),
    ],
)
def test_shards_that_do_not_add_up(folder, placed, total_size, message):
    split(folder, placed, total_size=total_size)
    with pytest.raises(InputError, match=message) as caught:
        open_source(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [1, 60, -4])
def test_a_truncated_shard(folder, cut):
    split(folder)
    path = folder / "model-2.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"model-2.safetensors is damaged or in another format"):
        open_source(folder)


def test_an_unknown_dtype_is_named_when_it_is_read(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F16"', b'"I16"'))
    content = path.read_bytes().replace(b'"I16"', b'"F8_"')
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")].replace(b'"F8_"', b'"F8_E4M3"'))
    header["model.up.weight"].update(shape=[12])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + int.from_bytes(content[:8], "little") :])
    source = open_source(folder)
    with pytest.raises(InputError, match=r"has model.up.weight as F8_E4M3, which is not read: take the model in"):
        source.read("model.up.weight")


def test_what_is_missing_is_named(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"no tokenizer in .*: tokenizer.json is missing; transformers can make it"):
        open_source(folder).tokenizer_files()
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no weights in .*: expected one of model.safetensors, pytorch_model.bin"):
        open_source(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"no model in .*: config.json is missing"):
        open_source(folder)


def test_the_files_of_the_tokenizer(folder):
    write_json(folder / "generation_config.json", {"eos_token_id": [5, 3]})
    write_json(folder / "tokenizer_config.json", {"eos_token": "</s>", "chat_template": "inline"})
    source = open_source(folder)
    assert source.generation_config == {"eos_token_id": [5, 3]}
    expected = {"eos_token": "</s>", "chat_template": "inline"}
    assert source.tokenizer_files() == {"tokenizer": TOKENIZER, "tokenizer_config": expected}
    (folder / "chat_template.jinja").write_text("of a file\n")
    assert source.tokenizer_files()["tokenizer_config"]["chat_template"] == "of a file\n"
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").unlink()
    assert source.tokenizer_files() == {"tokenizer": TOKENIZER, "tokenizer_config": {}}


def test_of_several_templates_the_default_is_taken(folder):
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "chat"}]
    write_json(folder / "tokenizer_config.json", {"chat_template": several})
    assert open_source(folder).tokenizer_files()["tokenizer_config"] == {"chat_template": "chat"}
    write_json(folder / "tokenizer_config.json", {"chat_template": 5})
    with pytest.raises(InputError, match="has a chat_template that is no text"):
        open_source(folder).tokenizer_files()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vocab_size": 3}, "it has ids up to 3, and the model has 3 of them"),
        ({"eos_token_id": 4}, "a text of the model ends with id 4, which the tokenizer lacks"),
        ({"eos_token_id": [5, 4]}, "a text of the model ends with id 4, which the tokenizer lacks"),
        ({"text_config": {"vocab_size": 2}}, "it has ids up to 3, and the model has 2 of"),
    ],
)
def test_the_tokenizer_of_another_model(folder, changed, message):
    write_json(folder / "config.json", {**CONFIG, **changed})
    with pytest.raises(InputError, match=f"the tokenizer of .* is of another model: {message}"):
        open_source(folder).tokenizer_files()


@pytest.mark.parametrize("changed", [{"vocab_size": 5}, {"eos_token_id": 50256}, {"eos_token_id": None}])
def test_a_tokenizer_with_an_added_token_more(folder, changed):
    """Gemma 3's has one for pictures; and configurations name ends that neither side has."""
    write_json(folder / "config.json", {**CONFIG, **changed})
    assert open_source(folder).tokenizer_files()["tokenizer"] == TOKENIZER


def test_from_the_hub_come_the_files_that_are_used(folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("pytorch_model.bin", "model.onnx", "README.md", "chat_template.jinja", "generation_config.json"):
        (folder / name).write_text("{}")

    def fetch(name, allow_patterns):
        assert name == "some/model"
        for path in folder.iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, cache)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    source = open_source("some/model")
    assert_whole(source)
    assert source.tokenizer_files()["tokenizer_config"] == {"chat_template": "{}"}
    expected = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
    assert sorted(path.name for path in cache.iterdir()) == expected


def test_without_the_hub_the_way_by_hand_is_told(monkeypatch):
    def unreachable(name, allow_patterns):
        raise OSError("Name or service not known\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    message = r"does not give it \(Name or service not known\): download .*\(and tokenizer.json, .*, for the "
    with pytest.raises(InputError, match=message):
        open_source("some/model")
