import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.training.muon import Muon, orthogonalized
from lmkeras.training.optimizers import build_optimizer


def updates(optimizer, weights, gradients, path="kernel"):
    """The variable after each gradient."""
    variable = keras.Variable(weights, name=path)
    optimizer.build([variable])
    seen = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
        seen.append(variable.numpy())
    return seen


@pytest.mark.parametrize("shape", [(24, 16), (16, 24), (16, 16), (3, 200)])
def test_orthogonalized_keeps_the_singular_vectors(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype("float32")
    left, singular, right = np.linalg.svd(matrix, full_matrices=False)
    result = left.T @ orthogonalized(tf.constant(matrix)).numpy() @ right.T
    # Jordan et al.: five iterations bring singular values to about 1, not to 1
    kept = np.diag(result)[singular > 0.05 * singular[0]]
    assert 0.6 < kept.min() <= kept.max() < 1.3
    np.testing.assert_allclose(result - np.diag(np.diag(result)), 0, atol=1e-3)


def test_the_iteration_is_the_quintic_of_each_singular_value():
    values = np.array([3.0, 1.0, 0.2])
    left, right = (np.linalg.qr(np.random.default_rng(i).normal(size=(3, 3)))[0] for i in (1, 2))
    expected = values / np.linalg.norm(values)
    for _ in range(5):
        expected = 3.4445 * expected - 4.7750 * expected**3 + 2.0315 * expected**5
    result = orthogonalized(tf.constant((left * values) @ right, tf.float32)).numpy()
    np.testing.assert_allclose(result, (left * expected) @ right, atol=1e-4)


@pytest.mark.parametrize("shape", [(24, 16), (16, 64)])
def test_a_step_has_the_stated_length_and_direction(shape):
    rng = np.random.default_rng(0)
    weights, gradient = rng.normal(size=(2, *shape)).astype("float32")
    step = weights - updates(Muon(0.01), weights, [gradient])[0]
    direction = orthogonalized(tf.constant(gradient)).numpy()
    np.testing.assert_allclose(step, 0.01 * 0.2 * np.sqrt(max(shape)) * direction, atol=1e-5)
    assert np.sqrt(np.mean(step**2)) == pytest.approx(0.01 * 0.2, rel=0.25)


def test_momentum_with_nesterovs_look_ahead():
    rng = np.random.default_rng(1)
    weights, first, second = rng.normal(size=(3, 8, 8)).astype("float32")
    seen = updates(Muon(0.01, momentum=0.9), weights, [first, second])
    ahead = second + 0.9 * (0.9 * first + second)
    step = 0.01 * 0.2 * np.sqrt(8) * orthogonalized(tf.constant(ahead)).numpy()
    np.testing.assert_allclose(seen[0] - seen[1], step, atol=1e-5)


def test_all_else_takes_the_step_of_keras_adam():
    rng = np.random.default_rng(2)
    weights, *gradients = rng.normal(size=(4, 5, 3)).astype("float32")
    adam = keras.optimizers.Adam(0.3 * 0.02, beta_2=0.99, epsilon=1e-7)
    for seen, expected in zip(
        updates(Muon(0.02), weights, gradients, "my_embedding"), updates(adam, weights, gradients), strict=True
    ):
        np.testing.assert_allclose(seen, expected, atol=1e-6)


def test_weight_decay_is_apart_from_the_gradient():
    weights = np.random.default_rng(3).normal(size=(4, 4)).astype("float32")
    gradient = np.zeros((4, 4), "float32")
    np.testing.assert_allclose(updates(Muon(0.1, 0.5), weights, [gradient])[0], weights * (1 - 0.05), atol=1e-6)


def test_vectors_embeddings_and_the_last_layer_are_left_to_adam():
    network = keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Embedding(5, 4, name="embedding"),
            keras.layers.Dense(4, name="inside"),
            keras.layers.Dense(5, name="logits"),
        ]
    )
    matrices = {variable.path for variable in network.trainable_variables if Muon().is_matrix(variable)}
    assert matrices == {f"{network.name}/inside/kernel"}


def test_config_round_trip():
    optimizer = Muon(0.03, 0.1, adam_share=0.2, momentum=0.8, adam_names=("head",), global_clipnorm=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, Muon)
    assert again.get_config() == optimizer.get_config()
    assert (again.adam_share, again.adam_names, again.global_clipnorm) == (0.2, ("head",), 2.0)


@pytest.mark.parametrize("name", ["muon", "adamw", "adam"])
@pytest.mark.parametrize("clip_norm", [None, 1e6])
def test_an_id_that_comes_several_times_counts_as_the_sum(name, clip_norm):
    """An embedding's gradient comes in rows; its square is that of their sum."""
    rows = tf.constant([[0.1, -0.2], [0.1, 0.3], [0.1, 0.1]])
    gradient = tf.IndexedSlices(rows, tf.constant([1, 1, 1]), tf.constant([3, 2]))
    dense = np.zeros((3, 2), "float32")
    dense[1] = rows.numpy().sum(0)
    start, results = np.ones((3, 2), "float32"), []
    for given in (gradient, tf.constant(dense)):
        optimizer = build_optimizer(name, "constant", 10, 0.1, 0, clip_norm=clip_norm)
        variable = keras.Variable(start, name="embedding")
        optimizer.build([variable])
        optimizer.apply([given], [variable])
        results.append(variable.numpy())
    np.testing.assert_allclose(*results, atol=1e-6)
    assert (results[0] != start).any()


@pytest.mark.parametrize("shape", [(24, 16), (16, 64)])
def test_bfloat16_products_move_singular_values_by_hundredths(shape):
    matrix = tf.constant(np.random.default_rng(5).normal(size=shape), tf.float32)
    exact = orthogonalized(matrix).numpy()
    rounded = tf.cast(orthogonalized(matrix, dtype="bfloat16"), tf.float32).numpy()
    moved = np.abs(np.linalg.svd(rounded)[1] - np.linalg.svd(exact)[1])
    assert np.median(moved) < 0.03
    assert moved.max() < 0.1
    steps = [
        updates(Muon(0.01, products=dtype), exact, [matrix.numpy()])[0] - exact for dtype in ("float32", "bfloat16")
    ]
    assert np.linalg.norm(steps[1] - steps[0]) < 0.1 * np.linalg.norm(steps[0])


@pytest.mark.parametrize("length", [1e-3, 1e12])
def test_a_matrix_of_any_length(length):
    matrix = np.random.default_rng(6).normal(size=(8, 12)).astype("float32")
    np.testing.assert_allclose(
        orthogonalized(tf.constant(matrix * length)), orthogonalized(tf.constant(matrix)), atol=0.1
    )
