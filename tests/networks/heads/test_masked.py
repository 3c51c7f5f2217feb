import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.bodies.bert import Bert
from lmkeras.networks.heads.masked import MaskedHead
from lmkeras.networks.judged import HeadLoss
from lmkeras.networks.network import Network
from tests.layers.formulas import fill

SIZES = {"vocab_size": 23, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, 23, (3, 6)).astype("int32")
PLACES = np.array([[1, 4], [2, 0], [5, 3]], "int32")
TARGETS = {"masked_words": RNG.integers(0, 23, (3, 2)).astype("int32"), "next_sentence": np.array([0, 1, 1], "int32")}
WEIGHTS = {"masked_words": np.array([[1, 1], [1, 0], [1, 1]], "float32"), "next_sentence": np.ones(3, "float32")}


@pytest.fixture(scope="module")
def network():
    bert = Bert(**SIZES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return fill(Network(bert, MaskedHead(23, next_sentence=True)))


def log_p(logits):
    logits = np.asarray(logits, "float64")
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def expected(network):
    """The mean loss of the words that count, and that of the pairs."""
    outputs = network(IDS)  # of all tokens
    words = np.take_along_axis(log_p(outputs["masked_words"]), PLACES[..., None], axis=1)
    words = -np.take_along_axis(words, TARGETS["masked_words"][..., None], axis=-1)[..., 0]
    pairs = -np.take_along_axis(log_p(outputs["next_sentence"]), TARGETS["next_sentence"][:, None], axis=-1)
    return (words * WEIGHTS["masked_words"]).sum() / WEIGHTS["masked_words"].sum(), pairs.mean()


def test_logits_of_chosen_places_are_those_of_all_tokens_there(network):
    every, chosen = network(IDS), network({"input_ids": IDS, "masked_positions": PLACES})
    wanted = np.take_along_axis(np.asarray(every["masked_words"]), PLACES[..., None], axis=1)
    np.testing.assert_allclose(chosen["masked_words"], wanted, atol=1e-6)
    np.testing.assert_allclose(chosen["next_sentence"], every["next_sentence"], atol=1e-6)


def test_both_losses_are_means_over_what_counts(network):
    network.compile("sgd", HeadLoss())
    inputs = {"input_ids": IDS, "masked_positions": PLACES}
    judged = network.test_on_batch(inputs, TARGETS, WEIGHTS)
    assert float(judged) == pytest.approx(sum(expected(network)), rel=1e-5)
    shares = tf.nest.map_structure(lambda weight: weight / weight.sum(), WEIGHTS)
    by_outputs = network.head.loss(network(inputs), TARGETS, shares)
    directly = network.head.direct_loss(network.features(inputs), TARGETS, shares, training=False)
    for losses in (by_outputs, directly):
        np.testing.assert_allclose([losses["masked_words"], losses["next_sentence"]], expected(network), rtol=1e-5)


def test_the_embedding_is_the_last_matrix_and_is_trained_as_such(network):
    inputs = {"input_ids": IDS, "masked_positions": PLACES}
    with tf.GradientTape() as tape:
        logits = network(inputs)["masked_words"]
    gradient = tf.convert_to_tensor(tape.gradient(logits, network.body.word_embeddings.embeddings))
    unseen = np.setdiff1d(np.arange(23), IDS)
    assert np.abs(gradient.numpy()[unseen]).sum(axis=1).all(), "words that no text has are logits all the same"


def test_where_nothing_reads_the_pooler_it_is_not_trained(network):
    words = Network(Bert(**SIZES), MaskedHead(23))
    trained = {weight.path for weight in words.trainable_variables}
    assert {weight.path for weight in words.weights} - trained == {weight.path for weight in words.body.pooler.weights}
    assert len(network.trainable_variables) == len(network.weights)


def test_an_unknown_activation_is_named():
    with pytest.raises(InputError, match="gelo"):
        MaskedHead(23, activation="gelo")
