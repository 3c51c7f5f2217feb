"""Layers of a user inside a network: losses that they add, and whether they know that this is training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.networks.bodies.recurrent import RecurrentWriter
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from tests.layers.formulas import fill
from tests.networks.judging import (
    CROSS_ENTROPY,
    IDS,
    LOSSES,
    SIZES,
    TARGETS,
    VOCABULARY,
    assert_equal,
    compiled,
    new,
    updated,
)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_loss_that_a_layer_adds_counts(loss):
    network, plain = new("lstm", loss), new("lstm")
    for one in (network, plain):
        one.head.dense.kernel.regularizer = keras.regularizers.L2(1.0)
    assert_equal(updated(network, False), updated(plain, True))


class Calmed(RecurrentWriter):
    """A user's body: large states cost."""

    def states(self, inputs, training=False):
        states = super().states(inputs, training)
        self.add_loss(tf.reduce_sum(states**2))
        return states


def calmed(loss):
    head = LanguageHead(VOCABULARY)
    return compiled(fill(Network(Calmed(VOCABULARY, **SIZES["lstm"]), head)), loss)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_loss_that_a_users_own_layer_adds_counts_once_in_every_step(loss):
    network, plain = calmed(loss), calmed(CROSS_ENTROPY)
    first = updated(network, False)
    assert_equal(first, updated(plain, True))
    assert max(np.abs(a - b).max() for a, b in zip(first, updated(new("lstm"), False), strict=True)) > 1e-3
    network.evaluate(IDS, TARGETS, verbose=0)
    for one in (network, plain):
        one.fit(IDS[:5], TARGETS[:5], verbose=0)  # traced anew: what was added before belongs to other graphs
    assert_equal(network.get_weights(), plain.get_weights())


class Told(keras.layers.Layer):
    """Adds the loss 1 in training and 0 otherwise."""

    def call(self, x, training=False):
        self.add_loss(tf.constant(float(training is True)))
        return x


class Untold(RecurrentWriter):
    """A user's body, which relies on Keras for telling its layers whether this is training."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.told = Told()

    def states(self, inputs, training=False):
        return self.told(super().states(inputs, training))


@pytest.mark.parametrize("metrics", [[], ["accuracy"]], ids=["loss alone", "metrics"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_layers_in_a_body_know_whether_this_is_training(loss, metrics):
    head = LanguageHead(VOCABULARY)
    network = fill(Network(Untold(VOCABULARY, **SIZES["lstm"]), head))
    for training in (True, False):
        network.features(IDS, training=training)
        assert float(network.losses[-1]) == training
    compiled(network, loss, rate=0.0, weighted_metrics=metrics)
    told = []

    class Spy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            told.append([float(value) for value in self.model.losses])

    network.run_eagerly = True
    network.fit(IDS, TARGETS, batch_size=7, verbose=0, callbacks=[Spy()])
    assert told == [[1.0]]
