"""The kinds of models that are read from GGUF files: what their metadata and their tensors are called elsewhere.

Names on the left are GGUF's, names on the right are those of transformers. Norms of layers are named after what they
stand before, except Gemma's, which also stand after.
"""

import dataclasses
import re
from collections.abc import Mapping

_SIZES = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count",
    "max_position_embeddings": "context_length",
}
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One kind of model."""

    model_type: str
    """What transformers calls it."""
    class_name: str
    """The class of transformers."""
    sizes: Mapping[str, str] = dataclasses.field(default_factory=lambda: _SIZES)
    """For keys of config.json those of the metadata, which begin with the architecture's name as well."""
    fixed: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """Keys of config.json that the metadata lacks because they are the same for all models of the kind."""
    top: Mapping[str, str] = dataclasses.field(default_factory=lambda: _TOP)
    """Modules outside the layers."""
    layer: Mapping[str, str] = dataclasses.field(default_factory=lambda: _LAYER)
    """Modules within a layer."""
    layers_at: str = "model.layers"
    """What the names of a layer's modules begin with, before its number."""
    is_rotary: bool = True
    """Whether positions are rotations, and not learned."""
    has_head_dim: bool = True
    """Whether config.json has the width of a head, which otherwise is that of the model divided by the heads."""
    permuted: tuple[str, ...] = ()
    """Modules whose rows GGUF has in another order."""
    transposed: tuple[str, ...] = ()
    """Modules whose matrices are [inputs, outputs] in transformers, and [outputs, inputs] here."""
    plus_one: bool = False
    """Whether GGUF's norms hold 1 + weight."""

    def module(self, stored: str) -> tuple[str, str] | None:
        """GGUF's module of a tensor, and PyTorch's name of the tensor; None for a tensor that the kind does not have.

        Example:
            >>> ARCHITECTURES["llama"].module("blk.0.attn_q.weight")
            ('attn_q', 'model.layers.0.self_attn.q_proj.weight')
        """
        inside = re.fullmatch(r"blk\.(0|[1-9][0-9]{0,5})\.(\w+)\.(weight|bias)", stored)
        if inside and inside[2] in self.layer:
            return inside[2], f"{self.layers_at}.{inside[1]}.{self.layer[inside[2]]}.{inside[3]}"
        outside = re.fullmatch(r"(\w+)\.(weight|bias)", stored)
        if outside and outside[1] in self.top:
            return outside[1], f"{self.top[outside[1]]}.{outside[2]}"
        return None


#: by the value of general.architecture; Mistral's and SmolLM2's files are those of a Llama
ARCHITECTURES = {
    "llama": Architecture("llama", "LlamaForCausalLM", fixed={"hidden_act": "silu"}, permuted=("attn_q", "attn_k")),
    "smollm3": Architecture(
        "smollm3",
        "SmolLM3ForCausalLM",
        fixed={"hidden_act": "silu", "no_rope_layer_interval": 4},
        permuted=("attn_q", "attn_k"),
    ),
    "qwen2": Architecture("qwen2", "Qwen2ForCausalLM", fixed={"hidden_act": "silu"}, has_head_dim=False),
    "qwen3": Architecture("qwen3", "Qwen3ForCausalLM", fixed={"hidden_act": "silu"}, layer={**_LAYER, **_HEAD_NORMS}),
    "gemma3": Architecture(
        "gemma3_text",
        "Gemma3ForCausalLM",
        fixed={"hidden_activation": "gelu_pytorch_tanh", "rope_local_base_freq": 10_000.0, "sliding_window_pattern": 6},
        layer={
            **_LAYER,
            **_HEAD_NORMS,
            "post_attention_norm": "post_attention_layernorm",
            "ffn_norm": "pre_feedforward_layernorm",
            "post_ffw_norm": "post_feedforward_layernorm",
        },
        plus_one=True,
    ),
    "gpt2": Architecture(
        "gpt2",
        "GPT2LMHeadModel",
        sizes={
            "n_embd": "embedding_length",
            "n_layer": "block_count",
            "n_inner": "feed_forward_length",
            "n_head": "attention.head_count",
            "n_positions": "context_length",
        },
        fixed={"activation_function": "gelu_new"},
        top={
            "token_embd": "transformer.wte",
            "position_embd": "transformer.wpe",
            "output_norm": "transformer.ln_f",
            "output": "lm_head",
        },
        layer={
            "attn_norm": "ln_1",
            "attn_qkv": "attn.c_attn",
            "attn_output": "attn.c_proj",
            "ffn_norm": "ln_2",
            "ffn_up": "mlp.c_fc",
            "ffn_down": "mlp.c_proj",
        },
        layers_at="transformer.h",
        is_rotary=False,
        transposed=("attn_qkv", "attn_output", "ffn_up", "ffn_down"),
    ),
}
