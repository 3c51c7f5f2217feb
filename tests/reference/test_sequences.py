"""The original transformer equals PyTorch's nn.Transformer, with its weights: states, and gradients of all weights.

`make parity` installs PyTorch and runs this; where it is missing, this is skipped.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.networks.bodies.encoder_decoder import TransformerEncoderDecoder

pytestmark = pytest.mark.reference

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What PyTorch gives: arrays by name."""
    if not (ROOT / ".reference" / "pytorch" / "ready").exists():
        pytest.skip("there is no .reference/pytorch: `make parity` installs it")
    folder = tmp_path_factory.mktemp("sequences")
    command = [sys.executable, str(ROOT / "tests" / "reference" / "reference_sequences.py"), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".reference" / "pytorch")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(folder / "pytorch.npz")


def arrays_of(body, found, kind):
    """PyTorch's arrays of a kind, weights or gradients, each with the weight of ours that it belongs to."""

    def dense(layer, prefix, rows=slice(None), weight="weight", bias="bias"):
        yield layer.kernel, found[f"{kind} {prefix}{weight}"][rows].T
        yield layer.bias, found[f"{kind} {prefix}{bias}"][rows]

    def norm(layer, prefix):
        yield layer.gamma, found[f"{kind} {prefix}.weight"]
        yield layer.beta, found[f"{kind} {prefix}.bias"]

    joined = {"weight": "in_proj_weight", "bias": "in_proj_bias"}
    yield body.embedding.embeddings, found[f"{kind} embedding.weight"]
    for side, blocks in (("encoder", body.encoder_blocks), ("decoder", body.decoder_blocks)):
        for number, block in enumerate(blocks):
            layer = f"{side}.layers.{number}."
            norms = [block._attention_norm, block._feed_forward_norm]
            yield from dense(block._attention._qkv, f"{layer}self_attn.", **joined)
            yield from dense(block._attention._output, f"{layer}self_attn.out_proj.")
            if side == "decoder":
                cross, width = block._cross_attention, body.d_model
                yield from dense(cross._query, f"{layer}multihead_attn.", slice(0, width), **joined)
                yield from dense(cross._key_value, f"{layer}multihead_attn.", slice(width, None), **joined)
                yield from dense(cross._output, f"{layer}multihead_attn.out_proj.")
                norms.insert(1, block._cross_norm)
            yield from dense(block._expand, f"{layer}linear1.")
            yield from dense(block._contract, f"{layer}linear2.")
            for place, one in enumerate(norms, start=1):
                yield from norm(one, f"{layer}norm{place}")


def test_states_and_gradients_are_those_of_nn_transformer(expected):
    vocabulary_size, d_model = expected["weight embedding.weight"].shape
    sizes = {"d_model": d_model, "num_heads": 4, "num_layers": 2, "dff": 24, "dropout": 0.0}
    body = TransformerEncoderDecoder(vocabulary_size, block="post_norm", **sizes)
    body.build((None, None))
    weights = list(arrays_of(body, expected, "weight"))
    assert {id(weight) for weight, _ in weights} == {id(weight) for weight in body.trainable_weights}
    for weight, value in weights:
        weight.assign(value)
    inputs = {"input_ids": expected["sources"], "attention_mask": expected["mask"], "target_ids": expected["targets"]}
    with tf.GradientTape() as tape:
        states = body(inputs, training=True)
        total = tf.reduce_sum(states * tf.cast(expected["direction"], "float32"))
    np.testing.assert_allclose(states, expected["states"], atol=2e-5)
    gradients = list(arrays_of(body, expected, "gradient"))
    for (weight, gradient), found in zip(
        gradients, tape.gradient(total, [weight for weight, _ in gradients]), strict=True
    ):
        difference = np.abs(tf.convert_to_tensor(found) - gradient).max()
        assert difference <= 1e-5 * np.abs(gradient).max() + 1e-5, weight.path
