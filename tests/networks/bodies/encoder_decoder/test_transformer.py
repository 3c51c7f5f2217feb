"""The transformer with an encoder and a decoder against its formulas in NumPy float64."""

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.bodies.encoder_decoder import transformer_encoder_decoder
from tests.layers import formulas
from tests.layers.formulas import fill, weights_of

RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, 13, (3, 5)).astype("int32")
MASK = np.arange(6) < [[6], [2], [4]]
INPUTS = {
    "input_ids": RNG.integers(0, 13, (3, 6)).astype("int32"),
    "attention_mask": MASK,
    "target_ids": TARGETS,
}


def expected_logits(network, inputs):
    body = network.body
    embeddings = [weights_of(layer)[0] for layer in (body.embedding, body.source_embedding or body.embedding)]
    source, x = embeddings[1][inputs["input_ids"]], embeddings[0][inputs["target_ids"]]
    if body.block == "post_norm":
        source, x = formulas.sinusoidal_positions(source), formulas.sinusoidal_positions(x)
        reads, writes = formulas.transformer_block, formulas.cross_transformer_block
    else:
        reads, writes = formulas.decoder_block, formulas.cross_decoder_block
    for block in body.encoder_blocks:
        source = reads(source, block, inputs["attention_mask"])
    if body.block == "pre_norm":
        source = formulas.rms_norm_layer(source, body.encoder_norm)
    for block in body.decoder_blocks:
        x = writes(x, source, block, inputs["attention_mask"])
    if body.block == "pre_norm":
        x = formulas.rms_norm_layer(x, body.decoder_norm)
    return x @ embeddings[0].T if body.tie_embeddings else formulas.dense(x, network.head)


def new(**sizes):
    small = {"d_model": 8, "num_heads": 2, "num_layers": 1, "max_length": 6, "max_target_length": 5}
    return fill(transformer_encoder_decoder(13, **{**small, **sizes}))


@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
@pytest.mark.parametrize(
    "others",
    [
        {},
        {"num_layers": 2, "tie_embeddings": False, "source_vocabulary_size": 14},
        {"num_layers": 2, "decoder_layers": 1, "dff": 5},
        {"decoder_layers": 3, "num_heads": 4},
    ],
    ids=str,
)
def test_logits_are_the_formulas(block, others):
    network = new(block=block, **others)
    np.testing.assert_allclose(network(INPUTS), expected_logits(network, INPUTS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
def test_dropout_acts_in_training_alone(block):
    network = new(block=block, dropout=1 - 1e-7)
    # embeddings and all that the blocks add are dropped: no logit depends on an id or on a position
    dropped = np.asarray(network(INPUTS, training=True))
    np.testing.assert_allclose(dropped, np.broadcast_to(dropped[0, 0], dropped.shape), atol=1e-6)
    np.testing.assert_allclose(network(INPUTS), expected_logits(network, INPUTS), atol=1e-5, rtol=1e-5)


def test_no_targets():
    with pytest.raises(InputError, match="an encoder-decoder reads input_ids and target_ids: got no target_ids"):
        new()({"input_ids": TARGETS})


def test_more_tokens_than_the_lengths():
    with pytest.raises(InputError, match="got 7 tokens of a source: the network's max_length is 6"):
        new()({"input_ids": np.ones((1, 7), "int32"), "target_ids": TARGETS[:1]})
    with pytest.raises(InputError, match="got 6 tokens of a target: its max_target_length is 5"):
        new()({"input_ids": TARGETS[:1], "target_ids": np.ones((1, 6), "int32")})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_heads": 3}, "the width 8 must be a multiple of num_heads=3"),
        ({"num_heads": 0}, "num_heads must be at least 1"),
        ({"decoder_layers": 0}, "decoder_layers must be at least 1"),
        ({"d_model": 6}, "even key size, got 3"),
        ({"d_model": 3, "num_heads": 3, "block": "post_norm"}, "even width, got d_model=3"),
        ({"block": "prenorm"}, "unknown block 'prenorm': expected one of pre_norm, post_norm; did you mean 'pre_norm'"),
    ],
)
def test_sizes_that_do_not_fit(sizes, message):
    with pytest.raises(InputError, match=message):
        new(**sizes)
