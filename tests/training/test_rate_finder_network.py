"""What the learning-rate finder does to the network that it is given, and what of the network it heeds."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.bodies.dense import dense_classifier
from lmkeras.networks.bodies.transformer import transformer_language_model
from lmkeras.networks.judged import HeadLoss
from lmkeras.training.layer_rates import freeze
from lmkeras.training.rate_finder import find_learning_rate
from lmkeras.training.settings import FitSettings

CLASSES = 3


def dropout_network():
    """Three groups of layers with dropout before the last."""
    keras.utils.set_random_seed(0)
    return dense_classifier(12, CLASSES, embedding_dim=4, units=8, dropout=0.3)


def examples():
    """Texts of five words, of which some words speak for one class and some for another."""
    random = np.random.default_rng(0)
    ids = random.integers(1, 12, (64, 5)).astype("int32")
    targets = random.normal(size=(12, CLASSES))[ids].sum(axis=1).argmax(axis=1).astype("int32")
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return tf.data.Dataset.from_tensors((inputs, targets, np.ones(64, "float32"))).repeat()


@functools.cache
def course_of_training(sweep):
    """Losses, and all variables at the end, of a training in two parts, with or without a sweep between them."""
    network = dropout_network()
    network.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses, optimizer = [], network.optimizer
    for part in range(2):
        if sweep and part == 1:
            choices = FitSettings(precision=sweep[0], xla=sweep[1])
            find_learning_rate(network, examples(), choices, 1e-4, 1.0, steps=20)
        losses += [float(network.train_on_batch(*batch)) for batch in examples().take(2)]
    assert network.optimizer is optimizer
    assert {layer.dtype_policy.name for layer in network._flatten_layers()} == {"float32"}
    return losses, [variable.numpy() for variable in (*network.variables, *optimizer.variables)]


@pytest.mark.parametrize("sweep", [("float32", "on"), ("mixed_bfloat16", "off"), ("mixed_float16", "off")])
def test_the_network_goes_on_as_if_nothing_had_happened(sweep):
    (losses, variables), (expected_losses, expected_variables) = course_of_training(sweep), course_of_training(None)
    assert losses == expected_losses
    for found, expected in zip(variables, expected_variables, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_network_is_restored_though_training_fails():
    network = dropout_network()

    def batches():
        yield from examples().take(3).as_numpy_iterator()
        raise KeyError("no such file")

    signature, before = examples().element_spec, network.get_weights()
    with pytest.raises(tf.errors.OpError, match="no such file"):
        find_learning_rate(network, tf.data.Dataset.from_generator(batches, output_signature=signature), FitSettings())
    for expected, found in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not network.compiled


def sentences():
    """Ids of which each says what follows it."""
    ids = (np.arange(7) + np.arange(8)[:, None]).astype("int32") % 5
    batch = {"input_ids": ids[:, :-1]}, ids[:, 1:], np.ones((8, 6), "float32")
    return tf.data.Dataset.from_tensors(batch).repeat()


NETWORKS = {
    "classifier": (dropout_network, examples),
    "language": (lambda: transformer_language_model(5, 16, 2, 1, context_length=6, dropout=0.2), sentences),
    "tied": (lambda: transformer_language_model(5, 16, 2, 1, context_length=6, tie_embeddings=True), sentences),
}


@pytest.mark.parametrize(
    ("name", "compiled"), [("classifier", True), ("classifier", False), ("language", True), ("tied", False)]
)
def test_the_network_is_exactly_what_it_was(name, compiled):
    """Its numbers, its parts and the functions that it was compiled to."""
    make, batches = NETWORKS[name]
    network = make()
    if compiled:
        metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        network.compile(keras.optimizers.SGD(0.5), HeadLoss(), weighted_metrics=metrics, jit_compile=False)
        network.fit(batches().take(2), validation_data=batches().take(1), verbose=0, shuffle=False)
    parts = [*network._flatten_layers(), *network.variables, *(network.optimizer.variables if compiled else [])]
    functions = network.train_function, network.test_function, network.predict_function
    assert all(functions[:2]) == compiled
    values, config = [variable.numpy() for variable in network.variables], network.get_config()
    settings = FitSettings(precision="float32", xla="off")
    losses = find_learning_rate(network, batches(), settings, 1e-4, 1.0, 30).losses
    assert losses[0] - min(losses) > 0.1, "it learnt on the way"
    assert network.compiled == compiled
    assert functions == (network.train_function, network.test_function, network.predict_function)
    now = [*network._flatten_layers(), *network.variables, *(network.optimizer.variables if compiled else [])]
    assert [id(part) for part in now] == [id(part) for part in parts]
    assert network.get_config() == config
    for variable, value in zip(network.variables, values, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


def sweep(network, lowest=1e-3, highest=1.0, factors=None):
    choices = FitSettings(optimizer="adam", clip_norm=None)
    return find_learning_rate(network, examples(), choices, lowest, highest, steps=30, rate_factors=factors)


def test_a_factor_for_all_weights_is_a_shift_of_learning_rates():
    network, factor = dropout_network(), 0.125
    factors = {variable.path: factor for variable in network.weights}
    scaled, shifted = sweep(network, factors=factors), sweep(network, 1e-3 * factor, 1.0 * factor)
    np.testing.assert_array_equal(scaled.losses, shifted.losses)
    np.testing.assert_allclose(scaled.suggestion, shifted.suggestion / factor, rtol=1e-5)


def test_what_is_frozen_is_frozen_in_the_sweep():
    network = dropout_network()
    groups, whole = network.layer_groups(), sweep(network)
    with freeze(groups, 2):
        frozen = sweep(network)
    still = {variable.path: 0.0 for group in groups[:2] for layer in group for variable in layer.weights}
    np.testing.assert_allclose(sweep(network, factors=still).losses, frozen.losses, rtol=1e-5)
    assert np.abs(np.subtract(whole.losses[:20], frozen.losses[:20])).max() > 0.01


@pytest.mark.parametrize(
    ("lowest", "highest", "steps"), [(0.0, 1.0, 100), (1.0, 0.1, 100), (1e-3, float("inf"), 100), (1e-3, 1.0, 9)]
)
def test_ranges_that_are_none_are_refused(lowest, highest, steps):
    with pytest.raises(InputError, match="0 < lowest < highest and at least 10 steps, got lowest"):
        find_learning_rate(dropout_network(), examples(), FitSettings(), lowest, highest, steps)
