"""Small decoders of every family, with every rotary scaling: what stands in their config.json."""

VOCABULARY, LENGTH, NEW = 89, 40, 50
PROMPTS = (1, 9, 20)  # their lengths
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
YARN = {"factor": 4.0, "original_max_position_embeddings": 32}
SCALINGS = {
    "linear": {"rope_type": "linear", "factor": 2.0},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "llama3": {"rope_type": "llama3", **LLAMA3},
    "yarn": {"rope_type": "yarn", **YARN},
    "yarn_with_all": {
        "rope_type": "yarn",
        **YARN,
        "beta_fast": 16.0,
        "beta_slow": 2.0,
        "truncate": False,
        "mscale": 0.7,
        "mscale_all_dim": 1.3,
    },
}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 128,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
}


#: for each name the model_type and the entries of its config.json, in the form of transformers 4 or 5
CASES = {
    "gpt2": ("gpt2", GPT2),
    "gpt2_inner": ("gpt2", {**GPT2, "n_inner": 100, "activation_function": "gelu"}),
    "llama": ("llama", {**SIZES, "rope_theta": 500.0}),
    "llama_biases": ("llama", {**SIZES, "attention_bias": True, "mlp_bias": True, "head_dim": 16}),
    "llama_tied": ("llama", {**SIZES, "tie_word_embeddings": True, "num_key_value_heads": None}),
    "mistral": ("mistral", {**SIZES, "sliding_window": 7, "head_dim": 10}),
    "mistral_whole": ("mistral", {**SIZES, "sliding_window": None}),
    "qwen2": ("qwen2", {**SIZES, "use_sliding_window": False, "sliding_window": 8}),
    "qwen2_window": (
        "qwen2",
        {
            **SIZES,
            "use_sliding_window": True,
            "sliding_window": 8,
            "max_window_layers": 1,
            "tie_word_embeddings": True,
        },
    ),
    "qwen3": ("qwen3", {**SIZES, "head_dim": 16, "rope_theta": 1_000_000}),
    "qwen3_types": (
        "qwen3",
        {
            **SIZES,
            "head_dim": 16,
            "attention_bias": True,
            "use_sliding_window": True,
            "sliding_window": 6,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "smollm3": ("smollm3", {**SIZES, "no_rope_layer_interval": 2}),
    "smollm3_window": (
        "smollm3",
        {**SIZES, "no_rope_layers": [1, 0, 1], "use_sliding_window": True, "sliding_window": 5, "mlp_bias": True},
    ),
    "gemma3_text": (
        "gemma3_text",
        {
            **SIZES,
            "head_dim": 16,
            "sliding_window": 6,
            "sliding_window_pattern": 2,
            "query_pre_attn_scalar": 24,
            "rope_local_base_freq": 100.0,
            "rope_theta": 5000.0,
        },
    ),
}
for kind, scaling in SCALINGS.items():
    length = {"max_position_embeddings": 30 if kind == "dynamic" else 128}
    CASES[f"llama_{kind}"] = ("llama", {**SIZES, **length, "rope_theta": 5000.0, "rope_scaling": scaling})
    CASES[f"qwen3_{kind}_new"] = (
        "qwen3",
        {**SIZES, **length, "head_dim": 8, "rope_parameters": {"rope_theta": 5000.0, **scaling}},
    )
CASES["gemma3_text_new"] = (
    "gemma3_text",
    {
        **SIZES,
        "head_dim": 16,
        "sliding_window": 6,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
        },
    },
)
