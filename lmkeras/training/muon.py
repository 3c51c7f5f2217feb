"""Muon: momentum, orthogonalised, for the matrices inside a network; Adam for all else.

Keras has a Muon of its own, whose steps have another length in almost every release; this one is the same with all.
"""

import math

import keras
import tensorflow as tf
from keras import ops

from lmkeras.training.adam import ClipOnce, adam_step

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan et al. 2024: the steepest odd quintic that keeps [0, 1.2] bounded


def orthogonalized(matrix, steps: int = 5, dtype: str = "float32"):
    """A matrix with about the same singular vectors and singular values near 1, by Newton-Schulz iteration.

    Args:
        matrix: [n, m].
        steps: iterations; five bring singular values above a thousandth of the norm to between 0.7 and 1.2.
        dtype: precision of the matrix products; bfloat16 moves singular values by about a hundredth.

    Returns:
        [n, m], in that precision.

    Source: Jordan et al. 2024 (Muon).
    """
    wide = matrix.shape[0] <= matrix.shape[1]  # the square below is then of the smaller size
    x = ops.cast(matrix, dtype)
    a, b, c = _COEFFICIENTS
    one = ops.eye(min(x.shape), dtype=dtype)
    for step in range(steps):
        gram = tf.matmul(x, x, transpose_a=not wide, transpose_b=wide)
        factor = 1.0
        if step == 0:
            # x divided by its norm, whose square is the trace, without a pass over x
            factor = 1 / (ops.sqrt(tf.linalg.trace(ops.cast(gram, "float32"))) + 1e-7)
            gram = gram * ops.cast(factor * factor, dtype)
        # a x + b (x xᵀ) x + c (x xᵀ)² x, with nothing done element by element but on the small square
        square = ops.cast(factor, dtype) * (a * one + ops.matmul(gram, b * one + c * gram))
        x = ops.matmul(square, x) if wide else ops.matmul(x, square)
    return x


def _ahead(gradient, momentum, share, dtype):
    """The momentum with a gradient added, and where it will be with the same gradient once more (Nesterov)."""
    momentum = momentum * share + gradient
    return momentum, ops.cast(gradient + momentum * share, dtype)


def _moved(weights, direction, rate):
    return weights - rate * ops.cast(direction, weights.dtype)


# as one operation each: they are bound by memory
_compiled_ahead = tf.function(_ahead, jit_compile=True, autograph=False)
_compiled_moved = tf.function(_moved, jit_compile=True, autograph=False)


@keras.saving.register_keras_serializable("lmkeras")
class Muon(ClipOnce, keras.optimizers.Optimizer):
    """Muon for matrices, Adam for vectors, embeddings and the last layer.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: share of each weight taken off an update, times the learning rate.
        adam_share: Adam's learning rate over Muon's.
        momentum: of Muon, with Nesterov's look ahead.
        beta_1: of Adam's mean of gradients.
        beta_2: of Adam's mean of squared gradients.
        epsilon: keeps Adam's quotient finite.
        adam_names: variables of layers whose names have one of these words are Adam's.
        products: precision of the matrix products, see `orthogonalized`.
        kwargs: what every Keras optimizer takes, such as global_clipnorm.

    Source: Jordan et al. 2024; a step's root mean square of 0.2 learning rates: Liu et al. 2025; Kingma and Ba 2015.
    """

    def __init__(
        self,
        learning_rate=0.02,
        weight_decay=0.0,
        adam_share=0.3,
        momentum=0.95,
        beta_1=0.9,
        beta_2=0.99,
        epsilon=1e-7,
        adam_names=("embedding", "logits"),
        products="float32",
        name="muon",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay or None, name=name, **kwargs)
        self.adam_share = adam_share
        self.momentum = momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.adam_names = tuple(adam_names)
        self.products = products

    def is_matrix(self, variable) -> bool:
        """Whether a variable gets Muon's step."""
        layer = variable.path.split("/")[-2:][0]
        return len(variable.shape) == 2 and not any(name in layer for name in self.adam_names)

    def build(self, variables):
        """Creates a momentum for each variable, and a mean of squares for Adam's."""
        if self.built:
            return
        super().build(variables)
        self._momenta = [self.add_variable_from_reference(v, name="momentum") for v in variables]
        self._squares = [
            None if self.is_matrix(v) else self.add_variable_from_reference(v, name="squares") for v in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        """One variable's update."""
        index = self._get_variable_index(variable)
        # an embedding's gradient comes in rows, some of them several times: their sum is what is squared
        gradient = ops.cast(ops.convert_to_tensor(gradient), variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        if self._squares[index] is None:
            self._muon_step(gradient, variable=variable, rate=rate, momentum=self._momenta[index])
        else:
            adam_step(
                self,
                gradient=gradient,
                variable=variable,
                mean=self._momenta[index],
                squares=self._squares[index],
                rate=rate * self.adam_share,
            )

    def _muon_step(self, gradient, variable, rate, momentum):
        tensors = (tf.convert_to_tensor(tensor) for tensor in (gradient, momentum))
        new_momentum, ahead = _compiled_ahead(*tensors, self.momentum, self.products)
        self.assign(momentum, new_momentum)
        direction = orthogonalized(ahead, dtype=self.products)
        # an orthogonal n x m matrix has a root mean square of 1 / sqrt(max(n, m))
        rate = rate * 0.2 * math.sqrt(max(variable.shape))
        self.assign(variable, _compiled_moved(tf.convert_to_tensor(variable), direction, rate))

    def get_config(self):
        """The constructor's arguments."""
        names = ("adam_share", "momentum", "beta_1", "beta_2", "epsilon", "adam_names", "products")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
