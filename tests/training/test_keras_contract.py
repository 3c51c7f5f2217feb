"""What breaks, part by part, if Keras changes what lmkeras relies on."""

import re
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.layers.precision import StepPolicy, in_step
from lmkeras.layers.recurrent import LSTM
from lmkeras.training import adam, keras_contract, layer_rates

PACKAGE = Path(lmkeras.__file__).parent
PRIVATE = (
    r"_flatten_layers|\._layers\b|_distribute_strategy|_momentums|_velocities|train_function|test_function|"
    r"_loss_tracker|_get_variable_index|_use_weight_decay|ResourceApplyAdam|keras\.src|tensorflow\.python|\.fp\b"
)


def network():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    x = keras.layers.Dropout(0.5, name="drop")(keras.layers.Dense(4, name="inner")(inputs))
    return keras.Model(inputs, keras.layers.Dense(2, name="outer")(x))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_parts_are_named_in_one_place_alone(path):
    """What a module defines under such a name, as OneUpdate defines hooks, is not a use of Keras' attribute."""
    if path.name == "keras_contract.py":
        return
    uses = [line for line in path.read_text().splitlines() if re.search(PRIVATE, line)]
    own = r"def \w*train_function|wrap_train_function|, train_function,"
    assert not [line for line in uses if not re.search(own, line)]


def test_a_hook_that_keras_has_no_more_is_named():
    with pytest.raises(RuntimeError, match=r"has no Optimizer\._gone, which lmkeras relies on: install a version"):
        keras_contract.require_methods(keras.optimizers.Optimizer, "apply", "_gone")


def updated(optimizer, gradients=(3.0, 4.0)):
    variables = [keras.Variable([1.0], name=f"v{i}") for i in range(len(gradients))]
    optimizer.build(variables)
    optimizer.apply([tf.constant([gradient]) for gradient in gradients], variables)
    return [float(variable[0]) for variable in variables]


def test_gradients_are_clipped_by_the_hook(monkeypatch):
    """Without `_clip_gradients` they would not be clipped at all, and training would diverge."""
    seen = []
    monkeypatch.setattr(adam.ClipOnce, "_clipped", lambda self, grads: seen.append(list(grads)) or grads)
    updated(adam.Adam(0.1, global_clipnorm=1.0))
    assert len(seen) == 1
    assert [float(gradient[0]) for gradient in seen[0]] == [3.0, 4.0]


def test_gradients_of_replicas_are_added_up_before_they_are_clipped(monkeypatch):
    """Without `_all_reduce_sum_gradients` each replica would clip its own, and updates depend on their number."""
    calls = []
    monkeypatch.setattr(adam, "_has_company", lambda: True)
    monkeypatch.setattr(adam.ClipOnce, "_clipped", lambda self, grads: calls.append("clip") or list(grads))
    parent = keras.optimizers.Optimizer._all_reduce_sum_gradients

    def reduce(self, pairs):
        calls.append("add up")
        return parent(self, pairs)

    monkeypatch.setattr(keras.optimizers.Optimizer, "_all_reduce_sum_gradients", reduce)
    updated(adam.Adam(0.1, global_clipnorm=1.0))
    assert calls == ["add up", "clip"]


def test_weights_decay_once():
    """Without `_apply_weight_decay` as the only place, layer rates would let weights decay twice."""
    rate, decay = 0.1, 0.5
    plain = updated(adam.AdamW(rate, weight_decay=decay), gradients=(0.0,))
    assert plain == pytest.approx([1 - rate * decay])
    factors = layer_rates.with_layer_rates(adam.AdamW(rate, weight_decay=decay), {"v0": 0.5})
    assert updated(factors, gradients=(0.0,)) == pytest.approx([1 - 0.5 * rate * decay])


def test_variables_that_do_not_decay_are_asked_for():
    optimizer = adam.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["v1"])
    variables = [keras.Variable([1.0], name=f"v{i}") for i in range(2)]
    optimizer.build(variables)
    assert [keras_contract.decays(optimizer, variable) for variable in variables] == [True, False]
    assert [keras_contract.variable_index(optimizer, variable) for variable in variables] == [0, 1]


def test_adams_means_are_those_of_the_variable():
    optimizer = keras.optimizers.Adam(0.1)
    variables = [keras.Variable(np.zeros(2), name="a"), keras.Variable(np.zeros(3), name="b")]
    optimizer.build(variables)
    optimizer.apply([tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0, 5.0])], variables)
    mean, squares = keras_contract.moments(optimizer, variables[1])
    np.testing.assert_allclose(mean, [0.3, 0.4, 0.5], rtol=1e-6)
    np.testing.assert_allclose(squares, [0.009, 0.016, 0.025], rtol=1e-5)


def test_an_update_in_place_is_adams():
    variable, mean, squares = (tf.Variable(value) for value in (1.0, 0.0, 0.0))
    keras_contract.in_place_adam(
        var=variable.handle, m=mean.handle, v=squares.handle, beta1_power=0.9, beta2_power=0.99, lr=0.1, beta1=0.9,
        beta2=0.99, epsilon=0.0, grad=tf.constant(2.0),
    )  # fmt: skip
    assert float(variable) == pytest.approx(1 - 0.1)  # Adam's first step has the length of its rate


def test_the_loop_over_time_is_the_layers_own(monkeypatch):
    """If Keras called the loop by another name, LSTMs would train by Keras' slow one without a word."""
    monkeypatch.setattr(LSTM, "inner_loop", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        LSTM(3)(np.zeros((1, 2, 3), "float32"))


def test_layers_are_found_in_the_order_in_which_they_were_made():
    model = network()
    names = [layer.name for layer in keras_contract.all_layers(model)]
    assert names[0] == model.name
    assert [name for name in names if name in ("inner", "drop", "outer")] == ["inner", "drop", "outer"]
    outer = keras.layers.Bidirectional(LSTM(2))
    assert keras_contract.inner_layers(outer) == [outer.forward_layer, outer.backward_layer]
    assert {"forward_layer", "backward_layer"} <= {name for name, _ in keras_contract.own_attributes(outer)}
    bookkeeping = {"_layers", "_trainable_variables", "_non_trainable_variables"}
    assert not bookkeeping & {name for name, _ in keras_contract.own_attributes(outer)}
    norm = keras.layers.BatchNormalization()
    norm.inner = keras.layers.Dense(2)
    norm.inner.build((None, 2))
    norm.build((None, 2))
    assert keras_contract.own_weights(norm) == [norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance]


def test_functions_of_fit_and_evaluate_can_be_replaced_and_made_anew():
    model = network()
    model.compile("sgd", "mse")
    calls = []
    keras_contract.set_functions(
        model,
        train=lambda iterator: calls.append("train") or {"loss": 1.0},
        judge=lambda iterator: calls.append("judge") or {"loss": 2.0},
    )
    data = tf.data.Dataset.from_tensors((np.zeros((1, 3)), np.zeros((1, 2))))
    model.fit(data, validation_data=data, steps_per_epoch=1, validation_steps=1, verbose=0)
    assert calls == ["train", "judge"]
    keras_contract.set_functions(model)
    model.fit(data, verbose=0)
    assert len(calls) == 2


def test_a_function_between_fit_and_the_update_is_called_for_every_update():
    calls = []

    def wrap(update):
        return lambda iterator: calls.append(1) or update(iterator)

    class Wrap(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            keras_contract.wrap_train_function(self.model, wrap)

    model = network()
    model.compile("sgd", "mse")
    model.fit(np.zeros((6, 3)), np.zeros((6, 2)), batch_size=2, verbose=0, callbacks=[Wrap()])
    assert len(calls) == 3
    with pytest.raises(RuntimeError, match=r"Trainer\.train_function when training begins"):
        keras_contract.wrap_train_function(network(), wrap)


def test_a_model_without_a_strategy_is_left_alone():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = network()
    assert model.distribute_strategy is strategy
    keras_contract.without_strategy(model)
    assert model.distribute_strategy is not strategy
    with pytest.raises(RuntimeError, match="_distribute_strategy"):
        keras_contract.without_strategy(object())


def test_random_states_are_found_by_their_name(monkeypatch):
    """Else all replicas would drop the same."""
    model = network()
    assert keras_contract.seed_states(model) == [model.get_layer("drop").seed_generator.state]
    monkeypatch.setattr(keras_contract, "SEED_NAME", "another_name")
    with pytest.raises(RuntimeError, match="variable named another_name"):
        keras_contract.seed_states(model)


def test_layers_compute_by_the_policy_that_they_are_given_after_they_are_built():
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    keras_contract.set_policies([layer], [StepPolicy("mixed_bfloat16")])
    with in_step():
        assert layer(np.zeros((1, 4), "float32")).dtype == "bfloat16"
    assert layer(np.zeros((1, 4), "float32")).dtype == "float32"

    class Deaf(keras.layers.Dense):
        compute_dtype = "float32"

    layer = Deaf(3)
    with pytest.raises(RuntimeError, match=r"Layer\.dtype_policy"):
        keras_contract.set_policies([layer], [keras.DTypePolicy("mixed_bfloat16")])


def test_an_archive_of_keras_has_the_members_that_are_read(tmp_path):
    network().save(tmp_path / "x.keras")
    with zipfile.ZipFile(tmp_path / "x.keras") as archive:
        assert sorted(archive.namelist()) == sorted(keras_contract.ARCHIVE_MEMBERS)
