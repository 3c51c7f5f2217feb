"""config.json and tensors of published decoders: what is read, and what is refused by name.

That what is read gives PyTorch's logits is tested in tests/reference.
"""

import json

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from lmkeras.errors import InputError
from lmkeras.networks.bodies.decoder import read_decoder, write_decoder
from lmkeras.pretrained.decoder_config import arguments_of, config_of
from lmkeras.pretrained.decoder_families import rows_of, shape_of
from lmkeras.pretrained.source import open_source
from tests.pretrained.checkpoints import MemorySource
from tests.reference.decoder_cases import CASES

LLAMA = {
    "model_type": "llama",
    "vocab_size": 11,
    "hidden_size": 8,
    "intermediate_size": 6,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}


def checkpoint(dtype="float32", **entries):
    """A checkpoint of random numbers with the tensors that its config.json asks for."""
    config = {**LLAMA, **entries}
    arguments, rng = arguments_of(config, "config.json", num_tensors=100), np.random.default_rng(0)
    shapes = {row.theirs: shape_of(row, arguments) for row in rows_of(arguments)}
    return MemorySource(config, {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()})


def refused(source):
    with pytest.raises(InputError) as error:
        read_decoder(source)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_in_config_json_is_read_as_it_was(name):
    kind, entries = CASES[name]
    arguments = arguments_of({"model_type": kind, **entries}, "config.json", num_tensors=100)
    again = json.loads(json.dumps(config_of(arguments)))
    assert arguments_of(again, "config.json", num_tensors=100) == arguments


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"attention_sinks": 4}, "attention_sinks=4"),
        ({"sliding_window": 4096}, "sliding_window=4096"),
        ({"quantization_config": {"bits": 4}}, "quantization_config="),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 4.0}}, "rope_type='longrope'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "phase": 3}}, "phase=3"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor=0.5"),
        ({"partial_rotary_factor": 0.25}, "partial_rotary_factor=0.25"),
        ({"rope_local_base_freq": 10.0}, "rope_local_base_freq"),
        ({"rope_interleaved": True}, "rope_interleaved=True"),
        ({"model_type": "gemma3_text", "final_logit_softcapping": 30.0}, "final_logit_softcapping=30.0"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "use_bidirectional_attention=True"),
        ({"model_type": "qwen3", "use_sliding_window": True, "layer_types": ["chunked"] * 2}, "'chunked'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_config_asks_for_and_is_not_there_is_refused_by_name(entries, named):
    message = refused(MemorySource({**LLAMA, **entries}, checkpoint().tensors))
    assert "checkpoint" in message
    assert named in message


@pytest.mark.parametrize("asked", [("scale_attn_by_inverse_layer_idx", True), ("scale_attn_weights", False)])
def test_variants_of_gpt2_are_refused_by_name(asked):
    name, value = asked
    assert f"{name}={value}" in refused(MemorySource({"model_type": "gpt2", name: value}, {}))


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"model_type": "t5"}, "'t5'"),
        ({"model_type": None}, "None"),
        ({"hidden_size": "8"}, "hidden_size '8'"),
        ({"hidden_size": -8}, "hidden_size -8"),
        ({"hidden_size": True}, "hidden_size True"),
        ({"rms_norm_eps": float("nan")}, "rms_norm_eps nan"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings 1"),
        ({"hidden_act": "relu6"}, "hidden_act 'relu6'"),
        ({"num_attention_heads": 3}, "3 heads"),
        ({"num_key_value_heads": 3}, "3 for keys"),
        ({"head_dim": 3}, "heads of 3 values"),
        ({"rope_theta": 0}, "rope_theta 0"),
        ({"rope_scaling": {"type": "linear"}}, "factor None"),
        ({"rope_scaling": {"type": "linear", "factor": float("inf")}}, "factor inf"),
        ({"rope_scaling": [1]}, "[1]"),
        (
            {"rope_scaling": {"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 4}},
            "low_freq_factor 4",
        ),
        ({"model_type": "qwen2", "use_sliding_window": True, "layer_types": []}, "layer_types []"),
        ({"model_type": "smollm3", "no_rope_layers": [1]}, "no_rope_layers [1]"),
        ({"model_type": "gemma3_text", "sliding_window_pattern": 0}, "sliding_window_pattern 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_make_no_sense_are_refused(entries, named):
    assert named in refused(MemorySource({**LLAMA, **entries}, checkpoint().tensors))


def test_what_changes_nothing_is_accepted():
    source = checkpoint()
    source.config |= {
        "transformers_version": "4.57.0",
        "use_cache": False,
        "bos_token_id": 1,
        "temperature": 0.7,
        "torch_dtype": "bfloat16",
        "pretraining_tp": 2,
        "attention_dropout": 0.1,
        "unheard_of": None,
    }
    read_decoder(source)


@pytest.mark.parametrize(
    "entries",
    [
        {"num_hidden_layers": 2**31 - 1},
        {"num_hidden_layers": 3},
        {"hidden_size": 2**30},
        {"vocab_size": 2**31 - 1},
        {"intermediate_size": 2**31 - 1},
        {"num_attention_heads": 2**30, "head_dim": 2**30, "num_key_value_heads": 2},
    ],
    ids=str,
)
def test_sizes_are_checked_before_anything_is_read_or_built(entries, monkeypatch):
    def built(*arguments, **sizes):
        raise AssertionError("something was made")

    source = MemorySource({**LLAMA, **entries}, checkpoint().tensors)
    monkeypatch.setattr(source, "read", built, raising=False)
    monkeypatch.setattr("lmkeras.networks.bodies.decoder.publishing.new_decoder", built)
    assert "config.json" in refused(source)


def test_missing_tensors_are_named_in_one_line():
    source = checkpoint()
    for name in [name for name in source.tensors if "mlp" in name]:
        del source.tensors[name]
    message = refused(source)
    assert "lacks model.layers.0.mlp.gate_proj.weight" in message
    assert "and 1 more" in message


def test_tensors_that_are_left_over_are_named():
    source = checkpoint()
    source.tensors["model.layers.0.self_attn.q_proj.bias"] = np.zeros(8, "float32")
    assert "has model.layers.0.self_attn.q_proj.bias" in refused(source)


def test_tensors_of_other_shapes_are_named():
    source = checkpoint()
    source.tensors["model.norm.weight"] = np.zeros(9, "float32")
    assert "model.norm.weight [9] instead of [8]" in refused(source)


def test_what_follows_from_the_config_may_be_there():
    source = checkpoint()
    source.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.zeros(1, "float32")
    read_decoder(source)


def test_a_tied_last_matrix_may_be_there_if_it_is_the_embedding():
    source = checkpoint(tie_word_embeddings=True)
    source.tensors["lm_head.weight"] = source.tensors["model.embed_tokens.weight"].copy()
    read_decoder(source)
    source.tensors["lm_head.weight"][3, 2] += 1
    assert "lm_head.weight unlike model.embed_tokens.weight" in refused(source)


def test_names_without_the_prefix_are_read():
    source = checkpoint(tie_word_embeddings=True)
    bare = MemorySource(source.config, {name.removeprefix("model."): t for name, t in source.tensors.items()})
    ids = tf.constant([[1, 5, 3]])
    np.testing.assert_array_equal(read_decoder(bare)(ids), read_decoder(source)(ids))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("tied", [False, True])
def test_weights_are_written_as_they_were_read(dtype, tied, tmp_path):
    source = checkpoint(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype, tie_word_embeddings=tied)
    source.kept_dtype = dtype
    network = read_decoder(source)
    assert {str(weight.dtype) for weight in network.weights} == {dtype}
    write_decoder(network, tmp_path, {"eos_token_id": 7})
    written = load_file(tmp_path / "model.safetensors")
    assert written.keys() == source.tensors.keys()
    for name, tensor in written.items():
        assert tensor.dtype == source.tensors[name].dtype
        np.testing.assert_array_equal(tensor, source.tensors[name])
    again = open_source(tmp_path)
    assert (again.kept_dtype, again.config["eos_token_id"]) == (dtype, 7)
    ids = tf.constant([[1, 5, 3]])
    np.testing.assert_array_equal(read_decoder(again)(ids), network(ids))


def test_another_dtype_can_be_asked_for():
    source = checkpoint("float32")
    assert {str(weight.dtype) for weight in read_decoder(source, "bfloat16").weights} == {"bfloat16"}
    with pytest.raises(InputError, match="unknown dtype of weights 'int8'"):
        read_decoder(source, "int8")
