import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.bodies.bert import Bert, bert_classifier
from lmkeras.networks.heads.masked import MaskedHead
from lmkeras.networks.heads.spans import SpanHead
from lmkeras.networks.heads.tags import TagsHead
from lmkeras.networks.network import Network

SIZES = {
    "vocab_size": 29,
    "hidden_size": 12,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 9,
    "layer_norm_eps": 1e-3,
}
IDS = np.array([[4, 9, 2, 0, 0, 0], [7, 1, 3, 5, 28, 6], [0, 0, 0, 0, 0, 0], [8, 0, 5, 2, 0, 0]], np.int32)
TYPES = np.array([[0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]], np.int32)


def drawn(**sizes):
    """A classifier with weights so large that every part of it shows in the logits."""
    network = bert_classifier(Bert(**{**SIZES, **sizes}), 3)
    draw = np.random.default_rng(0)
    network.set_weights([draw.normal(0, 0.5, weight.shape) for weight in network.get_weights()])
    return network


def exported(network, dtype="float32"):
    """What is exported, as a function with shapes left open, which TensorFlow optimizes as it does an exported one."""
    function, weights = network.exported(dtype)
    return tf.function(function, autograph=False, reduce_retracing=True), weights


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "silu"])
@pytest.mark.parametrize("layers", [1, 3])
def test_it_gives_the_logits_of_the_network(activation, layers):
    network = drawn(hidden_act=activation, num_hidden_layers=layers)
    packed, weights = exported(network)
    assert {id(weight) for weight in weights} == {id(weight.value) for weight in network.weights}
    for inputs in (IDS, {"input_ids": IDS}, {"input_ids": IDS, "token_type_ids": TYPES}):
        inputs = tf.nest.map_structure(tf.constant, inputs)
        expected = network(inputs, training=False).numpy()
        assert np.ptp(expected, axis=0).max() > 0.1
        np.testing.assert_allclose(packed(inputs), expected, rtol=0, atol=2e-5)
        one = tf.nest.map_structure(lambda array: array[1:2], inputs)
        np.testing.assert_allclose(packed(one), expected[1:2], rtol=0, atol=2e-5)


def test_it_gives_the_logits_of_a_roberta_whose_positions_follow_from_the_ids():
    network = drawn(model_type="roberta", type_vocab_size=1, num_hidden_layers=2)
    packed, _ = exported(network)
    ids = np.array([[4, 9, 2, 1, 1, 1], [7, 1, 3, 5, 28, 6], [0, 2, 1, 1, 1, 1]], np.int32)
    mask = np.array([[1, 1, 1, 0, 0, 0], [1] * 6, [1, 1, 0, 0, 0, 0]], np.int32)
    inputs = {"input_ids": tf.constant(ids), "attention_mask": tf.constant(mask)}
    np.testing.assert_allclose(packed(inputs), network(inputs, training=False), rtol=0, atol=2e-5)


def test_how_far_texts_are_padded_and_who_is_beside_them_does_not_matter():
    packed, _ = exported(drawn(num_hidden_layers=2))
    together = packed({"input_ids": tf.constant(IDS)}).numpy()
    longer = packed({"input_ids": tf.constant(np.pad(IDS, [[0, 0], [0, 3]]))})
    alone = np.concatenate([packed({"input_ids": tf.constant(row[None])}) for row in IDS])
    np.testing.assert_allclose(longer, together, rtol=0, atol=2e-5)
    np.testing.assert_allclose(alone, together, rtol=0, atol=2e-5)


HEADS = {
    "tags": lambda: TagsHead(0, 2),
    "spans": SpanHead,
    "words": lambda: MaskedHead(SIZES["vocab_size"]),
    "words and sentences": lambda: MaskedHead(SIZES["vocab_size"], next_sentence=True),
}


@pytest.mark.parametrize("head", HEADS)
def test_other_heads_get_what_the_network_gives_them(head):
    network = Network(Bert(**SIZES, num_hidden_layers=2), HEADS[head]())
    places = tf.constant([[0, 2, 0], [1, 3, 5], [0, 0, 0], [0, 1, 3]])
    mask = tf.sequence_mask([3, 6, 0, 4], 6)
    inputs = {"input_ids": tf.constant(IDS), "attention_mask": mask, "token_type_ids": tf.constant(TYPES)}
    inputs |= {"word_starts": places} if head == "tags" else {"masked_positions": places} if "words" in head else {}
    network(inputs)
    draw = np.random.default_rng(0)
    network.set_weights([draw.normal(0, 0.5, weight.shape) for weight in network.get_weights()])
    expected = tf.nest.flatten(network(inputs, training=False))
    for found, wanted in zip(tf.nest.flatten(exported(network)[0](inputs)), expected, strict=True):
        assert np.ptp(wanted) > 0.1
        np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-5)
    close = tf.nest.flatten(exported(network, "bfloat16")[0](inputs))
    assert all(np.any(found != wanted) for found, wanted in zip(close, expected, strict=True))


def test_bfloat16_products_keep_two_digits():
    """Eight bits of mantissa: logits of some size are off by a few thousandths of it, and not equal."""
    keras.utils.set_random_seed(2)
    network = bert_classifier(Bert(**SIZES, num_hidden_layers=3, initializer_range=0.3), 3)
    expected = network({"input_ids": tf.constant(IDS)}, training=False).numpy()
    packed, weights = exported(network, "bfloat16")
    found = packed({"input_ids": tf.constant(IDS)}).numpy()
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert len(weights) == len(network.weights) - 3 * 8


def test_another_precision_is_refused():
    with pytest.raises(InputError, match="unknown dtype 'float16': expected one of float32, bfloat16"):
        drawn(num_hidden_layers=1).exported("float16")
