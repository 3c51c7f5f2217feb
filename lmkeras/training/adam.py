"""Adam and AdamW that read and write each large weight once an update."""

import math

import keras
import tensorflow as tf
from keras import ops

_LARGE = 1 << 16  # smaller weights are in the processor's cache for as long as their update takes


def _moved(weights, gradient, mean, squares, rate, beta_1, beta_2, epsilon):
    """Weights and moments after an update."""
    mean = mean + (gradient - mean) * (1 - beta_1)
    squares = squares + (ops.square(gradient) - squares) * (1 - beta_2)
    return weights - rate * mean / (ops.sqrt(squares) + epsilon), mean, squares


_compiled_moved = tf.function(_moved, jit_compile=True, autograph=False)


def adam_step(optimizer, gradient, variable, mean, squares, rate):
    """One update of Adam, as a single operation where the weight is large.

    Args:
        optimizer: a Keras optimizer with beta_1, beta_2 and epsilon.
        gradient: a tensor, or the rows of one; those of the same number are added up first.
        variable: the weight.
        mean: variable, the running mean of gradients.
        squares: variable, the running mean of their squares.
        rate: learning rate, a scalar tensor.

    Source: Kingma and Ba 2015, section 2, with the moments' corrections in the rate.
    """
    step = ops.cast(optimizer.iterations + 1, variable.dtype)
    gradient = ops.cast(ops.convert_to_tensor(gradient), variable.dtype)
    rate = rate * ops.sqrt(1 - ops.power(optimizer.beta_2, step)) / (1 - ops.power(optimizer.beta_1, step))
    moved = _compiled_moved if math.prod(variable.shape) >= _LARGE else _moved
    tensors = (tf.convert_to_tensor(tensor) for tensor in (variable, gradient, mean, squares, rate))
    values = moved(*tensors, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon)
    for target, value in zip((variable, mean, squares), values, strict=True):
        optimizer.assign(target, value)


class OneUpdate:
    """What Adam and AdamW here have beside Keras': see the module."""

    def update_step(self, gradient, variable, learning_rate):
        """One variable's update."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        adam_step(self, gradient, variable, self._momentums[index], self._velocities[index], rate)

    def _apply_weight_decay(self, variables):
        if self.weight_decay:  # Keras would go through all weights to take nothing off them
            super()._apply_weight_decay(variables)


@keras.saving.register_keras_serializable("lmkeras")
class Adam(OneUpdate, keras.optimizers.Adam):
    """Keras' Adam, without amsgrad; see the module. Source: Kingma and Ba 2015."""


@keras.saving.register_keras_serializable("lmkeras")
class AdamW(OneUpdate, keras.optimizers.AdamW):
    """Keras' AdamW, without amsgrad; see the module. Source: Loshchilov and Hutter 2019."""
