"""Adam and AdamW against Keras', and clipping against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.training import adam
from lmkeras.training.muon import Muon

RNG = np.random.default_rng(0)
START = RNG.normal(size=(6, 3)).astype("float32")
GRADIENTS = RNG.normal(size=(5, 6, 3)).astype("float32")
PAIRS = {
    "adam": (adam.Adam, keras.optimizers.Adam, {}),
    "adamw": (adam.AdamW, keras.optimizers.AdamW, {"weight_decay": 0.1}),
    "adamw without decay": (adam.AdamW, keras.optimizers.AdamW, {"weight_decay": 0.0}),
    "adam, two gradients an update": (adam.Adam, keras.optimizers.Adam, {"gradient_accumulation_steps": 2}),
}


def after(optimizer, gradients=GRADIENTS, variable=None):
    variable = keras.Variable(START) if variable is None else variable
    for gradient in gradients:
        optimizer.apply([gradient if isinstance(gradient, tf.IndexedSlices) else tf.constant(gradient)], [variable])
    return variable.numpy()


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_updates_are_keras(pair):
    ours, keras_own, options = pair
    options = {"learning_rate": 0.03, "beta_2": 0.99, **options}
    np.testing.assert_allclose(after(ours(**options)), after(keras_own(**options)), atol=2e-6)


def test_scaled_losses():
    ours, keras_own = (
        keras.optimizers.LossScaleOptimizer(one(0.03), initial_scale=8.0) for one in (adam.Adam, keras.optimizers.Adam)
    )
    np.testing.assert_allclose(after(ours, 8 * GRADIENTS), after(keras_own, 8 * GRADIENTS), atol=2e-6)


@pytest.mark.parametrize("optimizer", [adam.Adam, adam.AdamW])
def test_training_goes_on_where_a_saved_state_ended(optimizer):
    first, variable = optimizer(0.03), keras.Variable(START)
    after(first, GRADIENTS[:2], variable)
    store, second = {}, optimizer.from_config(first.get_config())
    first.save_own_variables(store)
    second.build([variable])
    second.load_own_variables(store)
    np.testing.assert_array_equal(after(second, GRADIENTS[2:], variable), after(optimizer(0.03)))


def rows(gradient):
    """The same as rows, of which some come twice."""
    ids = np.array([0, 1, 2, 3, 4, 5, 1, 4])
    halves = np.where(np.isin(ids, [1, 4])[:, None], gradient[ids] / 2, gradient[ids])
    return tf.IndexedSlices(tf.constant(halves), tf.constant(ids), tf.constant(gradient.shape))


@pytest.mark.parametrize("optimizer", [adam.Adam, adam.AdamW, Muon, lambda *a, **kw: adam.AdamW(*a, **kw)])
def test_rows_are_clipped_as_the_whole_gradient_is(optimizer):
    sparse, dense = optimizer(0.03, global_clipnorm=0.5), optimizer(0.03, global_clipnorm=0.5)
    # a second variable has a part in the norm
    results = []
    for one, gradients in ((sparse, map(rows, GRADIENTS)), (dense, map(tf.constant, GRADIENTS))):
        variables = [keras.Variable(START, name="embedding"), keras.Variable(START)]
        for gradient, other in zip(gradients, GRADIENTS, strict=True):
            one.apply([gradient, tf.constant(3 * other)], variables)
        results.append([variable.numpy() for variable in variables])
    np.testing.assert_allclose(*results, atol=1e-6)


def test_clipping_is_its_formula():
    optimizer = adam.Adam(0.03, global_clipnorm=0.5)
    clipped = optimizer._clip_gradients([tf.constant(GRADIENTS[0]), None, rows(GRADIENTS[1])])
    length = np.sqrt((GRADIENTS[:2] ** 2).sum())
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[0], GRADIENTS[0] * 0.5 / length, rtol=1e-5)
    np.testing.assert_allclose(tf.convert_to_tensor(clipped[2]), GRADIENTS[1] * 0.5 / length, rtol=1e-5)


def test_what_is_no_number_stays_none():
    broken = GRADIENTS[0].copy()
    broken[0, 0] = np.nan
    assert np.isnan(after(adam.Adam(0.03, global_clipnorm=0.5), [broken])).all()


def test_amsgrad_is_refused():
    with pytest.raises(InputError, match="amsgrad"):
        after(adam.Adam(0.03, amsgrad=True))


def test_adagrad_is_keras_for_embeddings_and_adamw_at_a_hundredth_for_the_rest():
    embedding, other = keras.layers.Embedding(6, 3), keras.layers.Dense(3)
    embedding.build((None,))
    other.build((None, 6))
    optimizer = adam.Adagrad(0.3, beta_2=0.99, weight_decay=0.0)
    for layer in (embedding, other):
        layer.weights[0].assign(START)
    variables = [embedding.embeddings, other.kernel]
    for gradient in GRADIENTS:
        optimizer.apply([rows(gradient), tf.constant(gradient)], variables)
    expected = keras.optimizers.Adagrad(0.3, initial_accumulator_value=0.01, epsilon=0.0)
    np.testing.assert_allclose(variables[0], after(expected), atol=2e-6)
    np.testing.assert_allclose(
        variables[1], after(keras.optimizers.AdamW(0.003, beta_2=0.99, weight_decay=0.0)), atol=2e-6
    )


def test_adagrad_leaves_rows_without_a_gradient_where_they_are():
    embedding = keras.layers.Embedding(6, 3)
    embedding.build((None,))
    embedding.embeddings.assign(START)
    gradient = tf.IndexedSlices(tf.ones((2, 3)), tf.constant([1, 4]), tf.constant([6, 3]))
    adam.Adagrad(0.3, weight_decay=0.0).apply([gradient], [embedding.embeddings])
    changed = (embedding.embeddings.numpy() != START).any(axis=1)
    assert changed.tolist() == [False, True, False, False, True, False]
