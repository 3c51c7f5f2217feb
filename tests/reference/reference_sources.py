"""Compares what lmkeras reads of PyTorch's and of GGUF files with PyTorch and transformers, which must be importable.

With .reference/pytorch and the root of this repository on PYTHONPATH:

    python tests/reference/reference_sources.py bin FOLDER
    python tests/reference/reference_sources.py gguf FILE
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
import tokenizers
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from lmkeras.errors import InputError
from lmkeras.pretrained.source import open_source
from lmkeras.tokenizers.chat import ChatTemplate
from lmkeras.tokenizers.published import PublishedTokenizer


def compare_bin(folder):
    """Files of PyTorch, new and old, whole and in shards, and one that claims more elements than it has."""
    (folder / "config.json").write_text("{}")
    draw = torch.Generator().manual_seed(0)
    tensors = {
        str(dtype): torch.randn(5, 3, generator=draw).to(dtype)
        for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64)
    }
    tensors |= {
        "ids": torch.arange(4),
        "transposed": tensors["torch.float32"].T,
        "part": tensors["torch.bfloat16"][1:, :2],
    }
    tensors |= {
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "tied": tensors["torch.float32"],
        "scalar": torch.ones(()),
    }
    for old in (False, True):
        torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not old)
        require_same(open_source(folder), tensors)
    torch.save({"x": torch.zeros(1).expand(10**6, 10**6)}, folder / "pytorch_model.bin")
    assert "x has 1,000,000,000,000 elements in 1 places" in error_of(folder)
    (folder / "pytorch_model.bin").unlink()
    names = sorted(tensors)
    placed = {name: f"pytorch_model-{1 + index % 2}.bin" for index, name in enumerate(names)}
    for shard in set(placed.values()):
        torch.save({name: tensors[name] for name in names if placed[name] == shard}, folder / shard)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": placed}))
    require_same(open_source(folder), tensors)
    placed["more"] = placed["ids"]
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": placed}))
    assert "names 'more' for pytorch_model-" in error_of(folder)


def error_of(folder):
    try:
        open_source(folder)
    except InputError as error:
        return str(error)
    return ""


def require_same(source, tensors):
    assert set(source.shapes) == set(tensors)
    for name, tensor in tensors.items():
        found = source.read(name)
        assert source.dtypes[name] == str(tensor.dtype).removeprefix("torch.") == str(found.dtype), name
        assert source.shapes[name] == tuple(tensor.shape) == found.shape, name
        np.testing.assert_array_equal(found.astype("float64"), tensor.detach().double().numpy())


def compare_gguf(path):
    """A real file: configuration, weights, ids and a rendered conversation."""
    source = open_source(path)
    config, tensors = peer_checkpoint(path)
    ours = LlamaConfig(**source.config)
    for name in (
        "hidden_size",
        "num_key_value_heads",
        "head_dim",
        "rope_parameters",
        "vocab_size",
        "tie_word_embeddings",
    ):
        assert getattr(ours, name) == getattr(config, name), name
    assert abs(ours.rms_norm_eps - config.rms_norm_eps) < 1e-10
    assert set(source.shapes) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(source.read(name), tensor.numpy(), rtol=1e-6, atol=1e-7)
    compare_tokenizer(path, source)


def compare_tokenizer(path, source):
    files = source.tokenizer_files()
    tokenizer = PublishedTokenizer(files["tokenizer"], files["tokenizer_config"])
    peer = peer_tokenizer(path)
    for text in texts():
        assert tokenizer.encode(text) == peer.encode(text, add_special_tokens=False), text
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": " Hi\n"}]
    rendered = peer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert ChatTemplate(tokenizer.chat_template, tokenizer.special_names).render(messages) == rendered
    assert tokenizer.encode_marked(rendered) == peer.encode(rendered, add_special_tokens=False)


def peer_checkpoint(path):
    """What transformers reads of a GGUF file of Llama's: its LlamaConfig, and float32 tensors by name."""
    entries = load_gguf_checkpoint(path)["config"]
    config = LlamaConfig(
        **{key: value for key, value in entries.items() if key not in ("model_type", "quantization_config")}
    )
    tensors = load_gguf_checkpoint(path, return_tensors=True, model_to_load=LlamaForCausalLM(config))["tensors"]
    return config, {name: torch.as_tensor(tensor).float() for name, tensor in tensors.items()}


def peer_tokenizer(path):
    """transformers' tokenizer of a GGUF file, mended."""
    peer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    # transformers leaves out that this tokenizer takes digits one by one, which changes the spaces before them
    digits = tokenizers.pre_tokenizers.Digits(individual_digits=True)
    split = tokenizers.pre_tokenizers.Sequence([digits, peer.backend_tokenizer.pre_tokenizer])
    peer.backend_tokenizer.pre_tokenizer = split
    return peer


def texts():
    """Real text, and characters of many scripts at random."""
    root = Path(__file__).parents[2]
    yield from (path.read_text(encoding="utf-8") for path in [*root.glob("*.md"), *root.glob("lmkeras/*.py")])
    draw = random.Random(0)
    for _ in range(3000):
        spans = [(0, 127), (0, 0x2FFF), (0x4E00, 0x9FFF), (0x1F000, 0x1FFFF)]
        yield "".join(chr(draw.randint(*draw.choice(spans))) for _ in range(draw.randint(0, 40)))
        yield "".join(draw.choice("ab 019  \n\t.,'é中🙂") for _ in range(draw.randint(0, 40)))


if __name__ == "__main__":
    {"bin": compare_bin, "gguf": compare_gguf}[sys.argv[1]](Path(sys.argv[2]))
