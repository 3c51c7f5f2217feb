"""What published decoders call their weights and their settings: one table for each family of checkpoints.

In this file "theirs" are the names of a checkpoint, in PyTorch's layout; "ours" are the paths of weights in a network
of lmkeras.networks.bodies.decoder.PublishedDecoder and LanguageHead, and the names of arguments of PublishedDecoder.

Letters of shapes: V vocabulary, P positions, D width, F inner width of the feed-forward network, K size of a head, Q
all heads of queries, N all heads of keys, A queries, keys and values together.
"""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Row:
    """One tensor of a checkpoint and its place in our network."""

    theirs: str
    """its name; {i} stands for the number of a block."""
    ours: str
    """path in our network. Tensors with the same path stand side by side in one weight, along its last axis."""
    shape: str
    """the letters of its shape in the checkpoint."""
    transposed: bool = False
    """whether it is a matrix [outputs, inputs] there; ours is [inputs, outputs]."""
    only_with: str = ""
    """the argument without which there is no such tensor; "" for none."""


@dataclasses.dataclass(frozen=True)
class Key:
    """An entry of config.json that is an argument of ours."""

    ours: str
    """the argument; several that have the same value are separated by spaces."""
    default: object
    """the value where config.json has no such entry. If it is null there, the argument is None."""
    kind: str = "size"
    """"size" (a whole number, at least 1), "number" (above 0), "flag" (true or false), or "activation"."""


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of published decoders."""

    model_type: str
    """its name in config.json."""
    architecture: str
    """transformers' class."""
    prefix: str
    """what stands before the names of all tensors but the last matrix; some checkpoints leave it out."""
    keys: Mapping[str, Key]
    """the entries of config.json that are arguments, by name."""
    rows: Sequence[Row]
    """the tensors outside the blocks, and those of a block, without prefix."""
    always: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """arguments that are alike for all of the family."""
    neutral: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """entries that must have this value, as lmkeras has no other; absent and null are as good."""
    meaningless: frozenset[str] = frozenset()
    """entries that change nothing in what a network computes, beside those in MEANINGLESS."""
    layered: frozenset[str] = frozenset()
    """entries that say which blocks have a window, or are not turned; decoder_config.py reads them."""
    base: float | None = 10_000.0
    """rotary base where config.json has none; None if nothing is turned."""
    window_base: float | None = None
    """the same for blocks with a window, where they differ."""


def _matrix(theirs: str, ours: str, shape: str, bias: str = "") -> list[Row]:
    """The rows of a dense layer [outputs, inputs]; `bias` is the argument that says whether there is one."""
    rows = [Row(f"{theirs}.weight", f"{ours}.kernel", shape, transposed=True)]
    return [*rows, Row(f"{theirs}.bias", f"{ours}.bias", shape[0], only_with=bias)] if bias else rows


def _block(theirs: str, ours: str, shape: str) -> Row:
    return Row(f"layers.{{i}}.{theirs}", f"body.blocks.{{i}}.{ours}", shape)


_AT, _OURS = "layers.{i}.", "body.blocks.{i}."
_COMMON_ROWS = [
    Row("embed_tokens.weight", "body.embedding.embeddings", "VD"),
    *_matrix(f"{_AT}self_attn.q_proj", f"{_OURS}attention.qkv", "QD", bias="qkv_bias"),
    *_matrix(f"{_AT}self_attn.k_proj", f"{_OURS}attention.qkv", "ND", bias="qkv_bias"),
    *_matrix(f"{_AT}self_attn.v_proj", f"{_OURS}attention.qkv", "ND", bias="qkv_bias"),
    Row(f"{_AT}self_attn.q_norm.weight", f"{_OURS}attention.query_norm.scale", "K", only_with="normalize_qk"),
    Row(f"{_AT}self_attn.k_norm.weight", f"{_OURS}attention.key_norm.scale", "K", only_with="normalize_qk"),
    *_matrix(f"{_AT}self_attn.o_proj", f"{_OURS}attention.output_layer", "DQ", bias="output_bias"),
    *_matrix(f"{_AT}mlp.gate_proj", f"{_OURS}expand", "FD", bias="feed_forward_bias"),
    *_matrix(f"{_AT}mlp.up_proj", f"{_OURS}expand", "FD", bias="feed_forward_bias"),
    *_matrix(f"{_AT}mlp.down_proj", f"{_OURS}contract", "DF", bias="feed_forward_bias"),
    _block("input_layernorm.weight", "attention_norm.scale", "D"),
    Row("norm.weight", "body.norm_layer.scale", "D"),
]
_LLAMA_ROWS = [*_COMMON_ROWS, _block("post_attention_layernorm.weight", "feed_forward_norm.scale", "D")]
_GEMMA_ROWS = [
    *_COMMON_ROWS,
    _block("post_attention_layernorm.weight", "attention_norm_after.scale", "D"),
    _block("pre_feedforward_layernorm.weight", "feed_forward_norm.scale", "D"),
    _block("post_feedforward_layernorm.weight", "feed_forward_norm_after.scale", "D"),
]
_GPT2_BLOCK = [
    ("ln_1.weight", "attention_norm.scale", "D"),
    ("ln_1.bias", "attention_norm.offset", "D"),
    ("attn.c_attn.weight", "attention.qkv.kernel", "DA"),
    ("attn.c_attn.bias", "attention.qkv.bias", "A"),
    ("attn.c_proj.weight", "attention.output_layer.kernel", "QD"),
    ("attn.c_proj.bias", "attention.output_layer.bias", "D"),
    ("ln_2.weight", "feed_forward_norm.scale", "D"),
    ("ln_2.bias", "feed_forward_norm.offset", "D"),
    ("mlp.c_fc.weight", "expand.kernel", "DF"),
    ("mlp.c_fc.bias", "expand.bias", "F"),
    ("mlp.c_proj.weight", "contract.kernel", "FD"),
    ("mlp.c_proj.bias", "contract.bias", "D"),
]
_GPT2_ROWS = [
    Row("wte.weight", "body.embedding.embeddings", "VD"),
    Row("wpe.weight", "body.position_embedding.embeddings", "PD"),
    *(Row(f"h.{{i}}.{theirs}", f"{_OURS}{ours}", shape) for theirs, ours, shape in _GPT2_BLOCK),
    Row("ln_f.weight", "body.norm_layer.scale", "D"),
    Row("ln_f.bias", "body.norm_layer.offset", "D"),
]


def _keys(**defaults) -> dict[str, Key]:
    """The entries that Llama and its like have in common, with the defaults of a family."""
    keys = {
        "vocab_size": Key("vocabulary_size", 32000),
        "hidden_size": Key("d_model", 4096),
        "intermediate_size": Key("dff", 11008),
        "num_hidden_layers": Key("num_layers", 32),
        "num_attention_heads": Key("num_heads", 32),
        "num_key_value_heads": Key("num_key_value_heads", None),
        "hidden_act": Key("activation", "silu", "activation"),
        "max_position_embeddings": Key("context_length", 2048),
        "rms_norm_eps": Key("norm_epsilon", 1e-6, "number"),
        "tie_word_embeddings": Key("tie_embeddings", False, "flag"),
    }
    return {name: dataclasses.replace(key, default=defaults.get(name, key.default)) for name, key in keys.items()}


_HEAD_DIM = {"head_dim": Key("key_dim", None)}
_BIASES = {
    "attention_bias": Key("qkv_bias output_bias", False, "flag"),
    "mlp_bias": Key("feed_forward_bias", False, "flag"),
}
_WINDOWS = frozenset({"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"})
_QWEN = {"vocab_size": 151936, "intermediate_size": 22016, "num_key_value_heads": 32, "max_position_embeddings": 32768}

LLAMA = Family(
    "llama",
    "LlamaForCausalLM",
    prefix="model.",
    keys={**_keys(), **_HEAD_DIM, **_BIASES},
    rows=_LLAMA_ROWS,
    neutral={"rope_interleaved": False},
    meaningless=frozenset({"pretraining_tp", "is_llama_config"}),
)
MISTRAL = Family(
    "mistral",
    "MistralForCausalLM",
    prefix="model.",
    keys={
        **_keys(intermediate_size=14336, num_key_value_heads=8, max_position_embeddings=131072),
        **_HEAD_DIM,
    },
    rows=_LLAMA_ROWS,
    layered=frozenset({"sliding_window"}),
)
QWEN2 = Family(
    "qwen2",
    "Qwen2ForCausalLM",
    prefix="model.",
    keys=_keys(**_QWEN),
    rows=_LLAMA_ROWS,
    always={"qkv_bias": True},
    layered=_WINDOWS,
)
QWEN3 = Family(
    "qwen3",
    "Qwen3ForCausalLM",
    prefix="model.",
    keys={**_keys(**_QWEN), "head_dim": Key("key_dim", 128), "attention_bias": _BIASES["attention_bias"]},
    rows=_LLAMA_ROWS,
    always={"normalize_qk": True},
    layered=_WINDOWS,
)
SMOLLM3 = Family(
    "smollm3",
    "SmolLM3ForCausalLM",
    prefix="model.",
    keys={
        **_keys(
            vocab_size=128256,
            hidden_size=2048,
            num_hidden_layers=36,
            num_attention_heads=16,
            num_key_value_heads=4,
            max_position_embeddings=32768,
            tie_word_embeddings=True,
        ),
        **_HEAD_DIM,
        **_BIASES,
    },
    rows=_LLAMA_ROWS,
    meaningless=frozenset({"pretraining_tp"}),
    layered=_WINDOWS | {"no_rope_layers", "no_rope_layer_interval"},
    base=2_000_000.0,
)
GEMMA3 = Family(
    "gemma3_text",
    "Gemma3ForCausalLM",
    prefix="model.",
    keys={
        **{
            name: key
            for name, key in _keys(
                vocab_size=262_208,
                hidden_size=2304,
                intermediate_size=9216,
                num_hidden_layers=26,
                num_attention_heads=8,
                num_key_value_heads=4,
                max_position_embeddings=131_072,
                tie_word_embeddings=True,
            ).items()
            if name != "hidden_act"
        },
        "hidden_activation": Key("activation", "gelu_pytorch_tanh", "activation"),
        "head_dim": Key("key_dim", 256),
        "query_pre_attn_scalar": Key("attention_scalar", 256, "number"),
        "attention_bias": _BIASES["attention_bias"],
    },
    rows=_GEMMA_ROWS,
    always={"normalize_qk": True, "norm_shift": 1.0, "norms_after": True, "scaled_embeddings": True},
    neutral={"use_bidirectional_attention": False},
    meaningless=frozenset({"cache_implementation"}),
    layered=frozenset({"sliding_window", "layer_types", "sliding_window_pattern", "_sliding_window_pattern"}),
    base=1_000_000.0,
    window_base=10_000.0,
)
GPT2 = Family(
    "gpt2",
    "GPT2LMHeadModel",
    prefix="transformer.",
    keys={
        "vocab_size": Key("vocabulary_size", 50257),
        "n_embd": Key("d_model", 768),
        "n_inner": Key("dff", None),
        "n_layer": Key("num_layers", 12),
        "n_head": Key("num_heads", 12),
        "activation_function": Key("activation", "gelu_new", "activation"),
        "n_positions": Key("context_length", 1024),
        "layer_norm_epsilon": Key("norm_epsilon", 1e-5, "number"),
        "tie_word_embeddings": Key("tie_embeddings", True, "flag"),
    },
    rows=_GPT2_ROWS,
    always={
        "norm": "layer",
        "gated": False,
        "learned_positions": True,
        **dict.fromkeys(("qkv_bias", "output_bias", "feed_forward_bias"), True),
    },
    neutral={"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False},
    meaningless=frozenset(
        {"n_ctx", "resid_pdrop", "embd_pdrop", "attn_pdrop", "reorder_and_upcast_attn"}
        | {f"summary_{name}" for name in ("type", "use_proj", "activation", "proj_to_labels", "first_dropout")}
    ),
    base=None,
)
FAMILIES = {family.model_type: family for family in (GPT2, LLAMA, MISTRAL, QWEN2, QWEN3, SMOLLM3, GEMMA3)}
