"""The transformers against their formulas in NumPy float64; the blocks' formulas are the layers' tests' own."""

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.transformer import transformer_language_model
from tests.layers import formulas
from tests.layers.formulas import fill, weights_of

IDS = np.random.default_rng(0).integers(0, 13, (3, 6))


def expected_logits(network, ids):
    (embeddings,) = weights_of(network.embedding)[:1]
    x = embeddings[ids]  # [B, T, D]
    if network.block == "post_norm":
        x = formulas.sinusoidal_positions(x)
    for block in network.blocks:
        x = (formulas.transformer_block if network.block == "post_norm" else formulas.decoder_block)(x, block)
    if network.block == "pre_norm":
        x = formulas.rms_norm_layer(x, network.norm)
    return x @ embeddings.T if network.tie_embeddings else formulas.dense(x, network.head)


def new(**sizes):
    small = {"d_model": 8, "num_heads": 2, "num_layers": 2, "context_length": 6}
    return fill(transformer_language_model(13, **{**small, **sizes}))


@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("tie_embeddings", [False, True])
def test_logits_are_the_formulas(block, num_layers, tie_embeddings):
    network = new(block=block, num_layers=num_layers, tie_embeddings=tie_embeddings)
    np.testing.assert_allclose(network(IDS), expected_logits(network, IDS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
def test_dropout_acts_in_training_alone(block):
    network = new(block=block, dropout=1 - 1e-7)
    # embeddings and all that the blocks add are dropped: no logit depends on an id or on a position
    dropped = np.asarray(network(IDS, training=True))
    np.testing.assert_allclose(dropped, np.broadcast_to(dropped[0, 0], dropped.shape), atol=1e-6)
    np.testing.assert_allclose(network(IDS), expected_logits(network, IDS), atol=1e-5, rtol=1e-5)


def test_more_tokens_than_the_context_length():
    with pytest.raises(InputError, match="got 7 tokens: the network's context_length is 6"):
        new()(np.zeros((1, 7), "int32"))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_heads": 3}, "the width 8 must be a multiple of num_heads=3"),
        ({"num_heads": 0}, "num_heads must be at least 1"),
        ({"d_model": 6}, "even key size, got 3"),
        ({"d_model": 3, "num_heads": 3, "block": "post_norm"}, "even width, got d_model=3"),
        ({"block": "prenorm"}, "unknown block 'prenorm': expected one of pre_norm, post_norm; did you mean 'pre_norm'"),
    ],
)
def test_sizes_that_do_not_fit(sizes, message):
    with pytest.raises(InputError, match=message):
        new(**sizes)
