"""The head of a language model against its formula, on a writer of every kind."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks import registry
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.judged import HeadLoss
from lmkeras.networks.network import Network
from lmkeras.training.devices import precision
from tests.layers.formulas import dense, fill, weights_of

IDS = np.random.default_rng(0).integers(0, 11, (3, 5)).astype("int32")
SIZES = {
    "lstm": {"embedding_dim": 6, "units": 5},
    "transformer": {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 5},
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_the_formula_at_every_position_or_at_the_last(name, tied):
    body = registry.new_body(name, "writers", vocabulary_size=11, tie_embeddings=tied, **SIZES[name])
    every = fill(Network(body, LanguageHead(11, tied)))
    last = Network(body, LanguageHead(11, tied, every_position=False))
    last.head.set_weights(every.head.get_weights())
    states = np.asarray(body(IDS), "float64")
    expected = states @ weights_of(body.embedding)[0].T if tied else dense(states, every.head)
    np.testing.assert_allclose(every(IDS), expected, atol=1e-5)
    np.testing.assert_allclose(last(IDS), expected[:, -1], atol=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_a_tied_head_has_no_weights_of_its_own_and_the_embedding_counts_once(name):
    body = registry.new_body(name, "writers", vocabulary_size=11, tie_embeddings=True, **SIZES[name])
    network = Network(body, LanguageHead(11, tied=True))
    assert network.head.weights == []
    assert sum(weight is body.embedding.embeddings for weight in network.weights) == 1
    assert len(network.layer_groups()) == len(body.layer_groups())


def smoothed(tied, every_position=True, smoothing=0.2):
    sizes = {"embedding_dim": 6, "units": 5, "tie_embeddings": tied}
    body = registry.new_body("lstm", "writers", vocabulary_size=11, **sizes)
    return fill(Network(body, LanguageHead(11, tied, every_position=every_position, label_smoothing=smoothing)))


def losses_by_hand(network, targets, shares):
    """(plain loss, smoothed loss) from the logits, in float64."""
    logits = np.asarray(network(IDS), "float64")
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    of_targets = np.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
    share = network.head.label_smoothing
    return -np.sum(shares * of_targets), -np.sum(shares * ((1 - share) * of_targets + share * log_p.mean(axis=-1)))


def gradients_of(network, loss):
    with tf.GradientTape() as tape:
        value = loss()
    return [value, *map(tf.convert_to_tensor, tape.gradient(value, network.trainable_weights))]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("every_position", [False, True])
def test_smoothed_labels_are_trained_on_and_never_judged(tied, every_position):
    network = smoothed(tied, every_position)
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 11, (3, 5) if every_position else 3).astype("int32")
    shares = (rng.random(targets.shape) / targets.size).astype("float32")
    plain, expected = losses_by_hand(network, targets, shares)
    assert abs(expected - plain) > 1e-3 * plain
    given = targets, shares

    by_outputs = gradients_of(network, lambda: network.head.training_loss(network(IDS), *given))
    direct = gradients_of(network, lambda: network.head.direct_loss(network.features(IDS), *given, training=True))
    assert float(by_outputs[0]) == pytest.approx(expected, rel=1e-5)
    assert float(direct[0]) == pytest.approx(expected, rel=1e-5)
    for left, right in zip(by_outputs[1:], direct[1:], strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)

    judged = network.head.direct_loss(network.features(IDS), *given, training=False)
    assert float(judged) == pytest.approx(plain, rel=1e-5)
    assert float(network.head.loss(network(IDS), *given)) == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("metric", [False, True], ids=["loss alone", "with a metric"])
def test_updates_and_evaluations_in_every_precision(policy, metric):
    network, rng = smoothed(tied=False), np.random.default_rng(4)
    targets = rng.integers(0, 11, (3, 5)).astype("int32")
    plain, expected = losses_by_hand(network, targets, np.full((3, 5), 1 / 15))
    with precision(network, policy):
        optimizer = keras.optimizers.SGD(1e-6)
        if policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")] if metric else None
        network.compile(optimizer, HeadLoss(), weighted_metrics=metrics, jit_compile=False)
        near = {"rel": 1e-5 if policy == "float32" else 0.01}
        assert network.train_on_batch(IDS, targets, return_dict=True)["loss"] == pytest.approx(expected, **near)
        network.reset_metrics()
        assert network.test_on_batch(IDS, targets, return_dict=True)["loss"] == pytest.approx(plain, **near)


def test_a_loss_of_keras_is_not_smoothed_behind_its_back():
    network, rng = smoothed(tied=False), np.random.default_rng(4)
    targets = rng.integers(0, 11, (3, 5)).astype("int32")
    plain, _ = losses_by_hand(network, targets, np.full((3, 5), 1 / 15))
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    assert network.train_on_batch(IDS, targets) == pytest.approx(plain, rel=1e-5)


def test_a_head_of_before_smoothing_is_read_and_smooths_nothing():
    config = LanguageHead(11).get_config()
    del config["label_smoothing"]
    assert LanguageHead.from_config(config).label_smoothing == 0
    assert LanguageHead.from_config(LanguageHead(11, label_smoothing=0.1).get_config()).label_smoothing == 0.1


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="label_smoothing must be from 0 to below 1"):
        LanguageHead(11, label_smoothing=share)
