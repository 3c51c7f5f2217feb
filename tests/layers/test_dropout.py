import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.layers.dropout import dropout


class TestDropout:
    X = tf.ones((64, 1000), "bfloat16")

    def dropped(self, rate, calls=1, seed=0):
        layer = keras.layers.Dropout(rate, seed=seed)
        return [tf.cast(dropout(layer, self.X, training=True), "float32").numpy() for _ in range(calls)]

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_as_many_are_dropped_as_shall_be_and_the_rest_makes_up_for_them(self, rate):
        (y,) = self.dropped(rate)
        deviation = np.sqrt(rate * (1 - rate) / y.size)
        assert abs(np.mean(y == 0) - rate) < 4 * deviation
        np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=2**-8)

    def test_places_calls_and_seeds_are_independent(self):
        (first, second), (other,) = self.dropped(0.5, calls=2), self.dropped(0.5, seed=1)
        pairs = [(first, second), (first, other), (first[:, :-1], first[:, 1:]), (first[:-1], first[1:])]
        for a, b in pairs:  # of two independent coins, half agree
            assert abs(np.mean((a == 0) == (b == 0)) - 0.5) < 4 * 0.5 / np.sqrt(a.size)

    def test_the_gradient_is_dropped_where_the_value_was(self):
        layer, x = keras.layers.Dropout(0.3, seed=2), tf.Variable(self.X)
        with tf.GradientTape() as tape:
            y = dropout(layer, tf.convert_to_tensor(x), training=True)
        np.testing.assert_array_equal(tape.gradient(y, x), y)

    def test_nothing_is_dropped_outside_training(self):
        np.testing.assert_array_equal(dropout(keras.layers.Dropout(0.5), self.X, training=False), self.X)
