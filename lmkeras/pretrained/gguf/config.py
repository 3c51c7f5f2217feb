"""A GGUF file's model in the terms of transformers' config.json, and where each of PyTorch's tensors is in the file."""

import re

import numpy as np

from lmkeras.archives import shortened
from lmkeras.errors import InputError
from lmkeras.pretrained.gguf.architectures import ARCHITECTURES, Architecture
from lmkeras.pretrained.gguf.header import Header
from lmkeras.pretrained.gguf.tensors import GgufWeights, Origin, less_one, unpermuted

_SCALING = "rope_freqs.weight"


def architecture_of(header: Header) -> Architecture:
    """The kind of model in a file; InputError for one that is not read."""
    name = header.get("general.architecture", str)
    if name not in ARCHITECTURES:
        expected = ", ".join(ARCHITECTURES)
        raise InputError(
            f"{header.path} holds a model of the architecture {shortened(repr(name))}: expected one of {expected}"
        )
    return ARCHITECTURES[name]


def config_of(header: Header, numbers: np.ndarray) -> dict:
    """The content that config.json would have.

    Args:
        header: of the file.
        numbers: the bytes of the file.

    Raises:
        InputError: the architecture is not read, a size is missing or no number, or the rotation is scaled in a way
            that transformers has no name for.
    """
    kind = architecture_of(header)
    embedding = header.entries.get("token_embd.weight")
    if embedding is None:
        raise InputError(f"{header.path} holds no token_embd.weight: it is no whole model")
    sizes = {theirs: _number(header, ours, int) for theirs, ours in kind.sizes.items()}
    if header.get(_key(header, "expert_count"), int, 0):
        raise InputError(f"{header.path} holds a mixture of experts, which is not read: take a model without experts")
    config = {
        "model_type": kind.model_type,
        "architectures": [kind.class_name],
        "vocab_size": embedding.shape[0],
        **sizes,
        **kind.fixed,
        "tie_word_embeddings": "output.weight" not in header.entries or _is_repeated(header, numbers),
    }
    for name in ("bos", "eos"):
        config[f"{name}_token_id"] = header.get(f"tokenizer.ggml.{name}_token_id", int)
    if not kind.is_rotary:
        return {**config, "layer_norm_epsilon": _number(header, "attention.layer_norm_epsilon", float)}
    return {**config, **_rotary(header, numbers, sizes)}


def _rotary(header: Header, numbers: np.ndarray, sizes: dict) -> dict:
    """The keys of models whose positions are rotations, which are all but GPT-2."""
    heads, width = sizes["num_attention_heads"], sizes["hidden_size"]
    head_dim = _number(header, "attention.key_length", int, default=width // max(heads, 1))
    theta = _number(header, "rope.freq_base", float, default=10_000.0)
    config = {
        "num_key_value_heads": _number(header, "attention.head_count_kv", int, default=heads),
        "head_dim": head_dim,
        "rms_norm_eps": _number(header, "attention.layer_norm_rms_epsilon", float),
        "rope_theta": theta,
        "rope_scaling": _scaling(header, numbers, theta=theta, head_dim=head_dim),
    }
    if not architecture_of(header).has_head_dim and head_dim * heads == width:
        del config["head_dim"]
    if _number(header, "attention.value_length", int, default=head_dim) != head_dim:
        raise InputError(f"{header.path} has values of another width than keys, which no model of its kind has")
    turned = _number(header, "rope.dimension_count", int, default=head_dim)
    if turned != head_dim:
        config["partial_rotary_factor"] = turned / max(head_dim, 1)
    for key, tensor in {"attention_bias": "blk.0.attn_output.bias", "mlp_bias": "blk.0.ffn_down.bias"}.items():
        if tensor in header.entries:
            config[key] = True
    window = _number(header, "attention.sliding_window", int, default=0)
    kind = header.metadata["general.architecture"]
    if kind == "gemma3":  # the largest, of 62 layers, divides its products by another root
        scalar = width // max(heads, 1) if sizes["num_hidden_layers"] == 62 else head_dim
        return {**config, "sliding_window": window, "query_pre_attn_scalar": scalar}
    if kind == "llama" and window:
        return {**config, "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": window}
    return config


def _scaling(header: Header, numbers: np.ndarray, *, theta: float, head_dim: int) -> dict | None:
    """How rotations are scaled beyond the length that the model was first trained with; None for not at all."""
    kind = header.get(_key(header, "rope.scaling.type"), str, "none")
    length = _number(header, "rope.scaling.original_context_length", int, default=0)
    if _SCALING in header.entries:
        return _llama_3(header, numbers, length=length or 8192, theta=theta, head_dim=head_dim)
    if kind == "none":
        return None
    factor = _number(header, "rope.scaling.factor", float)
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        more = {"original_max_position_embeddings": length} if length else {}
        return {"rope_type": "yarn", "factor": factor, **more}
    raise InputError(f"{header.path} scales rotations by {shortened(repr(kind))}: expected none, linear or yarn")


def _llama_3(header: Header, numbers: np.ndarray, *, length: int, theta: float, head_dim: int) -> dict | None:
    """Llama 3's scaling, of which a file has the resulting divisor of each frequency instead of the settings.

    The divisor is 1 for short waves and the factor for long ones. All models of Meta's share the bounds of what is
    short and long; a file whose divisors they do not give is of another kind.
    """
    entry = header.entries[_SCALING]
    origins = {_SCALING: Origin(_SCALING)}
    found = np.asarray(GgufWeights(numbers, header.entries, origins).read(_SCALING), "float64")
    factor, low, high = round(float(found.max()), 4), 1.0, 4.0
    if entry.shape != (head_dim // 2,) or not np.isfinite(found).all() or factor < 1:
        raise InputError(f"{header.path} is damaged: {_SCALING} must be {head_dim // 2} numbers of at least 1")
    if factor == 1:
        return None
    turns = length * theta ** (-np.arange(head_dim // 2) * 2 / head_dim) / (2 * np.pi)  # within the first length
    share = np.clip((turns - low) / (high - low), 0, 1)
    if not np.allclose(1 / ((1 - share) / factor + share), found, rtol=1e-3):
        raise InputError(f"{header.path} scales rotations in a way that is not Llama 3's ({_SCALING})")
    settings = {"low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": length}
    return {"rope_type": "llama3", "factor": factor, **settings}


def origins_of(header: Header, config: dict) -> dict[str, Origin]:
    """For every tensor, by PyTorch's name, where it is in the file; InputError for one that the kind does not have.

    Args:
        header: of the file.
        config: what `config_of` gave.
    """
    kind, origins = architecture_of(header), {}
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    for stored, entry in header.entries.items():
        if stored == _SCALING or (stored == "output.weight" and config["tie_word_embeddings"]):
            continue
        module, name = kind.module(stored) or (None, "")
        if module is None:
            raise InputError(
                f"{header.path} has {shortened(repr(stored))}, which no {config['model_type']} has: it is of another "
                "kind than it says"
            )
        if module in kind.permuted:
            if entry.shape[0] % (2 * config[heads[module]]):
                raise InputError(
                    f"{header.path} is damaged: {stored} has {entry.shape[0]} rows, not the same for each head"
                )
            origins[name] = Origin(stored, unpermuted(config[heads[module]]))
        elif module in kind.transposed and stored.endswith(".weight"):
            origins[name] = Origin(stored, is_transposed=True)
        else:
            is_norm = kind.plus_one and re.search(r"norm\.weight$", stored)
            origins[name] = Origin(stored, less_one if is_norm else None)
    return origins


def _is_repeated(header: Header, numbers: np.ndarray) -> bool:
    """Whether the output's matrix is that of the embedding, stored twice."""
    first, second = header.entries["token_embd.weight"], header.entries["output.weight"]
    if (first.shape, first.kind) != (second.shape, second.kind):
        return False
    parts = (numbers[entry.begin : entry.begin + entry.size] for entry in (first, second))
    return np.array_equal(*parts)


def _key(header: Header, key: str) -> str:
    return f"{header.metadata['general.architecture']}.{key}"


def _number(header: Header, key: str, kind: type, *, default=None) -> int | float:
    """A number of the metadata, above zero unless it is the default; floats as they were before they were rounded."""
    key = _key(header, key)
    value = header.get(key, (int, float) if kind is float else int, default)
    if value is None:
        raise InputError(f"{header.path} is damaged: {key} is missing")
    if value is not default and value <= 0:
        raise InputError(f"{header.path} is damaged: {key} is {value}, expected a number above 0")
    return float(f"{value:.7g}") if kind is float else value  # 1e-05 is 9.999999747378752e-06 in float32
