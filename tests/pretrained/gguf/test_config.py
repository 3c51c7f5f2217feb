import math

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.pretrained.decoder_config import arguments_of
from lmkeras.pretrained.decoder_families import rows_in
from lmkeras.pretrained.source import open_source
from tests.pretrained.gguf.files import GEMMA, GPT_2, LLAMA, LLAMA_SHAPES, SHAPES, TOKENIZER, drawn, write_gguf

EXPECTED = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 6,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 500_000.0,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 0,
}


def opened(folder, architecture="llama", sizes=LLAMA, tensors=None, **metadata):
    return open_source(write_gguf(folder / "model.gguf", architecture, sizes, tensors, **{**TOKENIZER, **metadata}))


def test_a_llama(tmp_path):
    source = opened(tmp_path)
    assert source.config == EXPECTED
    assert source.generation_config == {"eos_token_id": [0]}
    assert set(source.shapes) == {
        *("model.embed_tokens.weight", "model.norm.weight"),
        *(f"model.layers.0.{name}_layernorm.weight" for name in ("input", "post_attention")),
        *(f"model.layers.0.self_attn.{name}_proj.weight" for name in "qkvo"),
        *(f"model.layers.0.mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
    }


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ({"attention.key_length": 16}, {"head_dim": 16}),
        ({"attention.sliding_window": 64}, {"model_type": "mistral", "sliding_window": 64}),
        ({"rope.dimension_count": 4}, {"partial_rotary_factor": 0.5}),
        (
            {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
            {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
        ),
        (
            {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32},
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}},
        ),
        ({"rope.scaling.type": "none"}, {}),
    ],
)
def test_settings_of_a_llama(tmp_path, more, changed):
    found = opened(tmp_path, sizes={**LLAMA, **more}).config
    if changed.get("model_type") == "mistral":
        changed = {**changed, "architectures": ["MistralForCausalLM"]}
    assert found == {**EXPECTED, **changed}


def test_biases_are_settings_too(tmp_path):
    names = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    biases = {f"blk.0.{name}.bias": np.zeros(LLAMA_SHAPES[f"blk.0.{name}.weight"][0], "float32") for name in names}
    config = opened(tmp_path, tensors={**drawn(LLAMA_SHAPES), **biases}).config
    assert config == {**EXPECTED, "attention_bias": True, "mlp_bias": True}


def divisors(length, factor, theta, head_dim):
    """Llama 3's: of each frequency alone, as its authors describe it.

    A wave that is shorter than a quarter of the length stays; one that is longer than the length becomes `factor` times
    as long; between them the two are mixed.
    """
    found = []
    for index in range(head_dim // 2):
        wave = 2 * math.pi * theta ** (2 * index / head_dim)
        if wave < length / 4:
            found.append(1.0)
        elif wave > length:
            found.append(factor)
        else:
            mixed = (length / wave - 1) / (4 - 1)
            found.append(1 / ((1 - mixed) / factor + mixed))
    return np.array(found, "float32")


@pytest.mark.parametrize(("length", "factor"), [(8192, 8.0), (8192, 32.0), (64, 2.5)])
def test_llama_3_scales_rotations(tmp_path, length, factor):
    sizes = {**LLAMA, "attention.key_length": 64, "rope.scaling.original_context_length": length}
    scaled = divisors(length, factor, 5e5, 64)
    assert len(set(scaled)) > 3
    config = opened(tmp_path, sizes=sizes, tensors={**drawn(LLAMA_SHAPES), "rope_freqs.weight": scaled}).config
    assert config["rope_scaling"] == {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": length,
    }


@pytest.mark.parametrize(
    ("divisors", "message"),
    [
        (np.ones(3), "must be 4 numbers of at least 1"),
        (np.array([1, 1, 1, np.nan]), "must be 4 numbers of at least 1"),
        (np.array([1, 1, 3, 8]), "in a way that is not Llama 3's"),
    ],
)
def test_other_scalings_are_refused(tmp_path, divisors, message):
    tensors = {**drawn(LLAMA_SHAPES), "rope_freqs.weight": divisors.astype("float32")}
    with pytest.raises(InputError, match=message):
        opened(tmp_path, tensors=tensors)


def test_divisors_of_one_scale_nothing(tmp_path):
    tensors = {**drawn(LLAMA_SHAPES), "rope_freqs.weight": np.ones(4, "float32")}
    assert opened(tmp_path, tensors=tensors).config == EXPECTED


def test_an_output_of_its_own(tmp_path):
    tensors = {**drawn(LLAMA_SHAPES), "output.weight": drawn({"x": (6, 32)}, seed=9)["x"]}
    source = opened(tmp_path, tensors=tensors)
    assert source.config == {**EXPECTED, "tie_word_embeddings": False}
    np.testing.assert_array_equal(source.read("lm_head.weight"), tensors["output.weight"])


def test_an_output_that_repeats_the_embedding_is_tied(tmp_path):
    tensors = drawn(LLAMA_SHAPES)
    source = opened(tmp_path, tensors={**tensors, "output.weight": tensors["token_embd.weight"]})
    assert source.config == EXPECTED
    assert "lm_head.weight" not in source.shapes


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "smollm3"])
def test_relatives_of_the_llama(tmp_path, architecture):
    tensors = drawn(LLAMA_SHAPES)
    if architecture == "qwen3":
        tensors["blk.0.attn_q_norm.weight"] = np.full(8, 2, "float32")
    source = opened(tmp_path, architecture, tensors=tensors)
    names = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "smollm3": "SmolLM3ForCausalLM"}
    more = {"no_rope_layer_interval": 4} if architecture == "smollm3" else {}
    changed = {"model_type": architecture, "architectures": [names[architecture]], **more}
    expected = {**EXPECTED, **changed}
    if architecture == "qwen2":  # whose heads divide the width
        del expected["head_dim"]
    assert source.config == expected
    is_in_order = np.array_equal(source.read("model.layers.0.self_attn.q_proj.weight"), tensors["blk.0.attn_q.weight"])
    assert is_in_order == (architecture != "smollm3")
    if architecture == "qwen3":
        np.testing.assert_array_equal(source.read("model.layers.0.self_attn.q_norm.weight"), np.full(8, 2))


def test_gemma_3(tmp_path):
    sizes = {**LLAMA, "attention.sliding_window": 16, "attention.key_length": 16, "rope.freq_base": 1e6}
    norms = ("post_attention_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm")
    tensors = {**drawn(LLAMA_SHAPES), **{f"blk.0.{name}.weight": np.full(4, 3.5, "float32") for name in norms}}
    source = opened(tmp_path, "gemma3", sizes, tensors)
    changed = {
        "model_type": "gemma3_text",
        "architectures": ["Gemma3ForCausalLM"],
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 16,
        "sliding_window_pattern": 6,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "hidden_activation": "gelu_pytorch_tanh",
    }
    expected = {**EXPECTED, **changed}
    del expected["hidden_act"]
    assert source.config == expected
    layer = "model.layers.0"
    for name in ("post_attention_layernorm", "post_feedforward_layernorm", "self_attn.q_norm", "self_attn.k_norm"):
        np.testing.assert_array_equal(source.read(f"{layer}.{name}.weight"), np.full(4, 2.5))
    for name, stored in {"input_layernorm": "attn_norm", "pre_feedforward_layernorm": "ffn_norm"}.items():
        expected = tensors[f"blk.0.{stored}.weight"] - 1
        np.testing.assert_array_equal(source.read(f"{layer}.{name}.weight"), expected)
    np.testing.assert_array_equal(source.read("model.embed_tokens.weight"), tensors["token_embd.weight"])


def test_gpt_2(tmp_path):
    tensors = drawn(SHAPES["gpt2"])
    source = opened(tmp_path, "gpt2", GPT_2, tensors)
    assert source.config == {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": 6,
        "n_embd": 32,
        "n_layer": 1,
        "n_head": 4,
        "n_inner": 64,
        "n_positions": 128,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 0,
    }
    transposed = {
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    }
    for name, stored in transposed.items():
        tensor = source.read(f"transformer.h.0.{name}.weight")
        np.testing.assert_array_equal(tensor, tensors[f"blk.0.{stored}.weight"].T)
        assert source.shapes[f"transformer.h.0.{name}.weight"] == tensor.shape
    plain = {"wte.weight": "token_embd.weight", "wpe.weight": "position_embd.weight", "ln_f.bias": "output_norm.bias"}
    plain |= {"h.0.ln_1.bias": "blk.0.attn_norm.bias", "h.0.ln_2.weight": "blk.0.ffn_norm.weight"}
    for name, stored in {**plain, "h.0.attn.c_attn.bias": "blk.0.attn_qkv.bias"}.items():
        np.testing.assert_array_equal(source.read(f"transformer.{name}"), tensors[stored])


@pytest.mark.parametrize("architecture", SHAPES)
def test_decoders_have_all_that_is_read(tmp_path, architecture):
    """What builds a network takes every setting, finds every tensor, and none is left."""
    sizes = {"gpt2": GPT_2, "gemma3": GEMMA}.get(architecture, LLAMA)
    source = opened(tmp_path, architecture, sizes, drawn(SHAPES[architecture]))
    arguments = arguments_of(source.config, source.name, len(source.shapes))
    read = {row.theirs for row in rows_in(source, arguments)}
    assert read == set(source.shapes)


@pytest.mark.parametrize(
    ("architecture", "more", "tensors", "message"),
    [
        ("mamba", {}, {}, "a model of the architecture 'mamba': expected one of llama, "),
        ("llama", {"expert_count": 8}, {}, "a mixture of experts, which is not read"),
        ("llama", {"block_count": 0}, {}, "llama.block_count is 0, expected a number above 0"),
        ("llama", {"block_count": "one"}, {}, "llama.block_count is 'one', expected int"),
        ("llama", {"block_count": True}, {}, "llama.block_count is True, expected int"),
        ("llama", {"feed_forward_length": [64, 64]}, {}, "llama.feed_forward_length is .*, expected int"),
        ("llama", {"attention.value_length": 7}, {}, "values of another width than keys"),
        ("llama", {"rope.scaling.type": "longrope", "rope.scaling.factor": 2.0}, {}, "scales rotations by 'longrope'"),
        ("llama", {"attention.head_count": 5}, {}, "blk.0.attn_q.weight has 32 rows, not the same for each"),
        ("llama", {}, {"blk.0.ssm_a.weight": np.ones(3, "float32")}, "'blk.0.ssm_a.weight', which no llama has"),
        ("llama", {}, {"blk.00.attn_q.weight": np.ones(3, "float32")}, "'blk.00.attn_q.weight', which no llama has"),
    ],
)
def test_what_is_not_read_is_named(tmp_path, architecture, more, tensors, message):
    with pytest.raises(InputError, match=message) as caught:
        opened(tmp_path, architecture, {**LLAMA, **more}, {**drawn(LLAMA_SHAPES), **tensors})
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(tmp_path):
    sizes = {key: value for key, value in LLAMA.items() if key != "context_length"}
    with pytest.raises(InputError, match=r"llama.context_length is missing"):
        opened(tmp_path, sizes=sizes)
    with pytest.raises(InputError, match=r"holds no token_embd.weight: it is no whole model"):
        opened(tmp_path, tensors={"output_norm.weight": np.ones(32, "float32")})
    with pytest.raises(InputError, match=r"no file .*other.gguf: give the path of a .gguf file, a folder"):
        open_source(tmp_path / "other.gguf")
