import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.bodies.dense import dense_classifier
from lmkeras.networks.bodies.transformer import transformer_classifier
from lmkeras.training.adam import Adam, AdamW
from lmkeras.training.layer_rates import freeze, layer_factors, with_layer_rates
from lmkeras.training.muon import Muon
from lmkeras.training.optimizers import WarmupSchedule, build_optimizer

# The factors are powers of two, so that a product of rate and factor is the same number however it is rounded.
OPTIMIZERS = {
    "adam": lambda rate: keras.optimizers.Adam(rate),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.25),
    "muon": lambda rate: Muon(rate, weight_decay=0.25),
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.5),
}


def gradients_of(shapes, steps=3):
    rng = np.random.default_rng(0)
    return [[rng.normal(size=shape).astype("float32") for shape in shapes] for _ in range(steps)]


def trained(optimizer, variables, gradients):
    """The values of the variables after all updates."""
    optimizer.build(variables)
    for step in gradients:
        optimizer.apply([tf.constant(gradient) for gradient in step], variables)
    return [variable.numpy() for variable in variables]


def variables_of(**shapes):
    rng = np.random.default_rng(1)
    return [keras.Variable(rng.normal(size=shape), name=name) for name, shape in shapes.items()]


SHAPES = {"low": (6, 4), "middle": (4,), "high": (4, 5)}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_variable_moves_as_with_its_own_learning_rate_alone(name):
    gradients = gradients_of(SHAPES.values())
    factors = {"low": 0.25, "middle": 0.5}
    layered = with_layer_rates(OPTIMIZERS[name](0.125), factors)
    moved = trained(layered, variables_of(**SHAPES), gradients)
    for index, path in enumerate(SHAPES):
        variable = variables_of(**SHAPES)[index]
        alone = OPTIMIZERS[name](0.125 * factors.get(path, 1.0))
        (expected,) = trained(alone, [variable], [[step[index]] for step in gradients])
        np.testing.assert_array_equal(moved[index], expected)


def test_the_closed_form_of_a_step_with_weight_decay():
    start, step = np.array([1.0, -2.0, 4.0], "float32"), np.array([0.5, -3.0, 1.0], "float32")
    variable = keras.Variable(start, name="weight")
    optimizer = with_layer_rates(keras.optimizers.AdamW(0.1, weight_decay=0.5, epsilon=0.0), {"weight": 0.3})
    (moved,) = trained(optimizer, [variable], [[step]])
    # Adam's first step is the sign of the gradient; Loshchilov and Hutter 2019 take rate * decay * weight off too
    np.testing.assert_allclose(moved, start - 0.03 * np.sign(step) - 0.03 * 0.5 * start, rtol=1e-6)


def test_factor_zero_moves_nothing():
    low, high = variables_of(low=(3, 3), high=(3, 3))
    before = low.numpy()
    layered = with_layer_rates(keras.optimizers.AdamW(0.125, weight_decay=0.25), {"low": 0.0})
    moved = trained(layered, [low, high], gradients_of([(3, 3), (3, 3)]))
    np.testing.assert_array_equal(moved[0], before)


def test_what_keras_excludes_from_weight_decay_stays_excluded():
    kernel, bias = variables_of(kernel=(2, 2), bias=(2,))
    before = [kernel.numpy(), bias.numpy()]
    optimizer = with_layer_rates(keras.optimizers.AdamW(0.5, weight_decay=0.25), {"kernel": 0.5, "bias": 0.5})
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    moved = trained(optimizer, [kernel, bias], [[np.zeros((2, 2), "float32"), np.zeros(2, "float32")]])
    np.testing.assert_array_equal(moved[0], before[0] * (1 - 0.5 * 0.5 * 0.25))
    np.testing.assert_array_equal(moved[1], before[1])


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_schedule_and_every_argument_are_kept(name):
    plain = build_optimizer(name, "cosine", 20, 0.5, warmup_steps=4, weight_decay=0.25, clip_norm=3.0)
    layered = with_layer_rates(plain, {"low": 0.5})
    assert {**plain.get_config(), "rate_factors": {"low": 0.5}} == layered.get_config()
    assert isinstance(layered, type(plain))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(layered))
    assert type(again) is type(layered)
    assert again.get_config() == layered.get_config()


def test_a_schedule_is_followed_at_each_rate():
    shapes, schedule = {"low": (3,), "high": (3,)}, WarmupSchedule("linear", 0.5, warmup_steps=2, total_steps=5)
    start = [variable.numpy() for variable in variables_of(**shapes)]
    ones = [[np.ones(3, "float32")] * 2] * 4
    moved = trained(with_layer_rates(keras.optimizers.SGD(schedule), {"low": 0.25}), variables_of(**shapes), ones)
    total = sum(float(schedule(step)) for step in range(4))
    np.testing.assert_allclose(start[0] - moved[0], 0.25 * total, rtol=1e-5)
    np.testing.assert_allclose(start[1] - moved[1], total, rtol=1e-5)


@pytest.mark.parametrize("factor", [-0.5, float("nan"), float("inf")])
def test_factors_that_are_none_are_refused(factor):
    with pytest.raises(InputError, match=r"factor of mlp/kernel must be 0 or more, got (-0.5|nan|inf)"):
        with_layer_rates(keras.optimizers.Adam(0.1), {"mlp/kernel": factor})


def nested_network():
    """Layers in layers, in four groups."""
    return transformer_classifier(vocabulary_size=20, num_classes=3, d_model=8, num_heads=2, num_layers=2)


def quick_network():
    """Three groups of a layer each."""
    keras.utils.set_random_seed(0)
    return dense_classifier(vocabulary_size=20, num_classes=3, embedding_dim=8, units=6, dropout=0.0)


def batches():
    rng = np.random.default_rng(0)
    return tf.data.Dataset.from_tensors((rng.integers(1, 20, (8, 5)), rng.integers(0, 3, 8))).repeat()


def fitted(network, optimizer, jit_compile, steps=3):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, jit_compile=jit_compile)
    network.fit(batches(), steps_per_epoch=steps, verbose=0, shuffle=False)
    return network


def test_factors_of_a_network_fall_from_top_to_bottom():
    network = nested_network()
    groups, factors = network.layer_groups(), layer_factors(network.layer_groups(), 0.5)
    assert len(groups) == 4
    assert set(factors) == {variable.path for variable in network.trainable_variables}
    for height, group in enumerate(groups):
        found = {factors[variable.path] for layer in group for variable in layer.weights}
        assert found == {0.5 ** (3 - height)}


def built_dense(name):
    layer = keras.layers.Dense(2, name=name)
    layer.build((None, 2))
    return layer


def test_a_weight_that_groups_share_learns_as_in_the_lower_one():
    below, above = built_dense("below"), built_dense("above")
    assert layer_factors([[below], [above, below]], 0.5)["below/kernel"] == 0.5


def test_weights_of_one_name_are_refused():
    with pytest.raises(InputError, match="two weights are called twin/kernel"):
        layer_factors([[built_dense("twin")], [built_dense("twin")]], 0.5)


@pytest.mark.parametrize("decay", [0.0, -1.0, 1.5, float("nan")])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(InputError, match="above 0 and at most 1"):
        layer_factors([], decay)


@pytest.mark.parametrize(("name", "jit_compile"), [("adamw", False), ("muon", True)])
def test_compiled_fit_moves_each_group_at_its_rate(name, jit_compile):
    before = quick_network().get_weights()
    moved = []
    for decay in (1.0, 0.5):
        network = quick_network()
        optimizer = build_optimizer(name, "constant", 1, 0.25, weight_decay=0.5)
        layered = with_layer_rates(optimizer, layer_factors(network.layer_groups(), decay))
        fitted(network, layered, jit_compile, steps=1)
        moved.append([after - old for after, old in zip(network.get_weights(), before, strict=True)])
    factors = layer_factors(network.layer_groups(), 0.5)
    for variable, whole, part in zip(network.weights, *moved, strict=True):
        assert np.abs(whole).max() > 0
        np.testing.assert_allclose(part, factors[variable.path] * whole, atol=2e-6, err_msg=variable.path)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_frozen_weights_stay_as_they_are(jit_compile):
    network = quick_network()
    groups, before = network.layer_groups(), network.get_weights()
    with freeze(groups, 1):
        optimizer = build_optimizer("adamw", "constant", 3, 0.25, weight_decay=0.5)
        fitted(network, with_layer_rates(optimizer, layer_factors(groups, 0.5)), jit_compile)
    frozen = {variable.path for group in groups[:1] for layer in group for variable in layer.weights}
    for variable, old, new in zip(network.weights, before, network.get_weights(), strict=True):
        assert np.array_equal(old, new) == (variable.path in frozen), variable.path


def test_after_freezing_all_is_as_before():
    network = nested_network()
    groups = network.layer_groups()
    groups[1][0]._flatten_layers(include_self=False)[0].trainable = False  # a choice of the user's own
    groups[0][0].weights[0].trainable = False
    before = [part.trainable for part in (*network._flatten_layers(), *network.variables)]
    with contextlib.suppress(KeyError), freeze(groups, 3):
        assert [variable.path.split("/")[-2] for variable in network.trainable_variables] == ["logits"] * 2
        raise KeyError
    assert [part.trainable for part in (*network._flatten_layers(), *network.variables)] == before


def test_freezing_nothing_changes_nothing():
    network = nested_network()
    with freeze(network.layer_groups(), 0):
        assert len(network.trainable_variables) == len(network.weights)


@pytest.mark.parametrize("how_many", [-1, 4, 9])
def test_one_group_at_least_is_trained(how_many):
    with (
        pytest.raises(InputError, match=f"cannot freeze {how_many} of 4 groups .* expected 0 to 3"),
        freeze(nested_network().layer_groups(), how_many),
    ):
        pass


@pytest.mark.parametrize("optimizer", [Adam, AdamW, Muon])
def test_networks_of_older_versions_find_their_optimizer(optimizer):
    layered = type(with_layer_rates(optimizer(0.125), {}))
    assert keras.saving.get_registered_object(f"lmkeras>LayerRates{optimizer.__name__}") is layered
