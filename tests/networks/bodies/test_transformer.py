"""The transformers against their formulas in NumPy float64; the blocks' formulas are the layers' tests' own."""

import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.bodies.transformer import transformer_classifier, transformer_language_model
from tests.layers import formulas
from tests.layers.formulas import fill, weights_of

IDS = np.random.default_rng(0).integers(0, 13, (3, 6))


def expected_logits(network, ids):
    (embeddings,) = weights_of(network.body.embedding)[:1]
    x = embeddings[ids]  # [B, T, D]
    if network.body.block == "post_norm":
        x = formulas.sinusoidal_positions(x)
    for block in network.body.blocks:
        x = (formulas.transformer_block if network.body.block == "post_norm" else formulas.decoder_block)(x, block)
    if network.body.block == "pre_norm":
        x = formulas.rms_norm_layer(x, network.body.norm)
    return x @ embeddings.T if network.body.tie_embeddings else formulas.dense(x, network.head)


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


TEXTS = [[3], [7, 2, 9, 9, 1, 11], [], [12, 4, 7]]
CLASSIFIED = np.array([text + [0] * (6 - len(text)) for text in TEXTS], "int32")


def expected_class_logits(network, text):
    """Of one text without padding, so that no mask is needed."""
    if not text:
        return np.asarray(network.head.dense.bias)
    (embeddings,) = weights_of(network.body.embedding)
    x = formulas.sinusoidal_positions(embeddings[text][None])  # [1, T, D]
    for block in network.body.blocks:
        x = formulas.transformer_block(x, block)
    return formulas.dense(x[0].mean(axis=0), network.head)


def new_classifier(**sizes):
    return fill(transformer_classifier(13, 3, **{"d_model": 8, "num_heads": 2, "max_length": 6, **sizes}))


@pytest.mark.parametrize("num_layers", [1, 3])
def test_class_logits_are_the_formulas(num_layers):
    network = new_classifier(num_layers=num_layers)
    expected = [expected_class_logits(network, text) for text in TEXTS]
    np.testing.assert_allclose(network(CLASSIFIED), expected, atol=1e-5, rtol=1e-5)


def test_a_classifiers_dropout_acts_in_training_alone():
    network = new_classifier(dropout=1 - 1e-7)
    np.testing.assert_allclose(network(CLASSIFIED, training=True), [network.head.dense.bias] * len(TEXTS), atol=1e-6)
    expected = [expected_class_logits(network, text) for text in TEXTS]
    np.testing.assert_allclose(network(CLASSIFIED), expected, atol=1e-5, rtol=1e-5)


def test_dropout_acts_on_the_embeddings_of_a_classifier():
    network = new_classifier(dropout=1 - 1e-7)
    nothing = formulas.transformer_block(np.zeros((1, 1, 8)), silent(network.body.blocks[0]))
    np.testing.assert_allclose(network.features(CLASSIFIED[1:2], training=True), nothing[:, 0], atol=1e-5)


def silent(block):
    """The block as it is where all that its two halves add is dropped."""
    for layer in (block._attention._output, block._contract):
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    return block


def test_more_tokens_than_a_classifiers_max_length():
    with pytest.raises(InputError, match="got 7 tokens: the layer's max_length is 6"):
        new_classifier()(np.ones((1, 7), "int32"))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"num_heads": 3}, "the width 8 must be a multiple of num_heads=3"),
        ({"d_model": 3, "num_heads": 3}, "even width, got d_model=3"),
        ({"d_model": 0}, "d_model must be at least 1, got 0"),
        ({"num_heads": 0}, "num_heads must be at least 1, got 0"),
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"dff": -1}, "dff must be at least 1, got -1"),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
    ],
)
def test_sizes_of_a_classifier_that_do_not_fit(sizes, message):
    with pytest.raises(InputError, match=message):
        new_classifier(**sizes)
