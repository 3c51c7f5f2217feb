"""Small GGUF files, written by the package gguf."""

import gguf
import numpy as np

KINDS = gguf.GGMLQuantizationType
SIZES = {
    "embedding_length": 32,
    "block_count": 1,
    "feed_forward_length": 64,
    "attention.head_count": 4,
    "context_length": 128,
}
LLAMA = {
    **SIZES,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 5e5,
}
LLAMA_SHAPES = {
    "token_embd.weight": (6, 32),
    "output_norm.weight": (32,),
    "blk.0.attn_norm.weight": (32,),
    "blk.0.attn_q.weight": (32, 32),
    "blk.0.attn_k.weight": (16, 32),
    "blk.0.attn_v.weight": (16, 32),
    "blk.0.attn_output.weight": (32, 32),
    "blk.0.ffn_norm.weight": (32,),
    "blk.0.ffn_gate.weight": (64, 32),
    "blk.0.ffn_up.weight": (64, 32),
    "blk.0.ffn_down.weight": (32, 64),
}
GEMMA = {**LLAMA, "attention.sliding_window": 16}
GPT_2 = {**SIZES, "attention.layer_norm_epsilon": 1e-5}
QUERY_KEY_NORMS = {f"blk.0.attn_{name}_norm.weight": (8,) for name in "qk"}
SHAPES = {
    "llama": LLAMA_SHAPES,
    "smollm3": LLAMA_SHAPES,
    "qwen2": {**LLAMA_SHAPES, "blk.0.attn_q.bias": (32,), "blk.0.attn_k.bias": (16,), "blk.0.attn_v.bias": (16,)},
    "qwen3": {**LLAMA_SHAPES, **QUERY_KEY_NORMS},
    "gemma3": {
        **LLAMA_SHAPES,
        **QUERY_KEY_NORMS,
        **{f"blk.0.post_{name}_norm.weight": (32,) for name in ("attention", "ffw")},
    },
    "gpt2": {
        "token_embd.weight": (6, 32),
        "position_embd.weight": (128, 32),
        **{f"{name}.weight": (32,) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")},
        **{f"{name}.bias": (32,) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")},
        "blk.0.attn_qkv.weight": (96, 32),
        "blk.0.attn_output.weight": (32, 32),
        "blk.0.ffn_up.weight": (64, 32),
        "blk.0.ffn_down.weight": (32, 64),
        "blk.0.attn_qkv.bias": (96,),
        "blk.0.attn_output.bias": (32,),
        "blk.0.ffn_up.bias": (64,),
        "blk.0.ffn_down.bias": (32,),
    },
}
TOKENIZER = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ["<|end|>", "a", "b", "Ġ", "ab", "<think>"],
    "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 4],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.eos_token_id": 0,
    "tokenizer.chat_template": "{{ messages }}",
}


def drawn(shapes, seed=0):
    """Tensors of these shapes, normally distributed."""
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def write_gguf(path, architecture="llama", sizes=None, tensors=None, kinds=None, **metadata):
    """Writes a GGUF file.

    Args:
        path: the file.
        architecture: the value of general.architecture.
        sizes: metadata whose keys begin with the architecture's name.
        tensors: float32 arrays by name, PyTorch's order of dimensions; uint8 arrays of the bytes of rows.
        kinds: how a tensor is stored, "F32" by default.
        metadata: more metadata; "." in a key is written "__".
    """
    writer = gguf.GGUFWriter(path, architecture)
    sizes = LLAMA if sizes is None else sizes
    for key, value in {**{f"{architecture}.{key}": value for key, value in sizes.items()}, **metadata}.items():
        _add(writer, key, value)
    for name, tensor in (drawn(LLAMA_SHAPES) if tensors is None else tensors).items():
        kind = KINDS[(kinds or {}).get(name, "F32")]
        raw = tensor if tensor.dtype in ("uint8", "float16") else gguf.quants.quantize(tensor, kind)
        writer.add_tensor(name, raw, raw_dtype=None if kind == KINDS.F32 else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer, key, value):
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    (writer.add_array if isinstance(value, list) else add[type(value)])(key, value)
