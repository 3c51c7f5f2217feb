"""The optimizer Muon: matrices inside a network move by their orthogonalised momentum, all other weights by Adam.

Keras has a Muon of its own, but the length of its steps changed in almost every release of Keras. This one gives the
same updates with every release.
"""

import math

import keras
import tensorflow as tf
from keras import ops

from lmkeras.training.adam import ClipOnce, adam_step
from lmkeras.training.keras_contract import variable_index

# Jordan et al. 2024: a x + b x³ + c x⁵ with the steepest slope at 0 among those that keep [0, 1.2] bounded
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalized(matrix, steps: int = 5, dtype: str = "float32"):
    """The matrix with its singular values moved near 1 and its singular vectors about kept, by Newton-Schulz iteration.

    Args:
        matrix: [n, m].
        steps: number of iterations; five bring singular values that are above a thousandth of the matrix' norm to
            between 0.7 and 1.2.
        dtype: precision of the matrix products and of the result; bfloat16 changes singular values by about 0.01.

    Returns:
        [n, m].

    Source: Jordan et al. 2024 (Muon).
    """
    wide = matrix.shape[0] <= matrix.shape[1]  # of x xᵀ and xᵀ x, the smaller one is computed
    x = ops.cast(matrix, dtype)
    a, b, c = _COEFFICIENTS
    one = ops.eye(min(x.shape), dtype=dtype)
    for step in range(steps):
        gram = tf.matmul(x, x, transpose_a=not wide, transpose_b=wide)
        factor = 1.0
        if step == 0:
            # x has to be divided by its norm once. The trace of `gram` is the square of that norm, and the division is
            # done on `gram` and `square`, which are smaller than x
            factor = 1 / (ops.sqrt(tf.linalg.trace(ops.cast(gram, "float32"))) + 1e-7)
            gram = gram * ops.cast(factor * factor, dtype)
        # a x + b (x xᵀ) x + c (x xᵀ)² x, written so that element-wise operations touch the small square matrices only
        square = ops.cast(factor, dtype) * (a * one + ops.matmul(gram, b * one + c * gram))
        x = ops.matmul(square, x) if wide else ops.matmul(x, square)
    return x


def _ahead(gradient, momentum, share, dtype):
    """The new momentum, and Nesterov's look ahead: the momentum after the same gradient once more."""
    momentum = momentum * share + gradient
    return momentum, ops.cast(gradient + momentum * share, dtype)


def _moved(weights, direction, rate):
    return weights - rate * ops.cast(direction, weights.dtype)


# XLA makes one operation of each, because the time that they take is that of reading and writing memory
_compiled_ahead = tf.function(_ahead, jit_compile=True, autograph=False)
_compiled_moved = tf.function(_moved, jit_compile=True, autograph=False)


@keras.saving.register_keras_serializable("lmkeras")
class Muon(ClipOnce, keras.optimizers.Optimizer):
    """Muon for matrices, Adam for vectors, embeddings and the last layer.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: pulls weights to zero: each update multiplies them by 1 - weight_decay · learning_rate.
        adam_share: Adam's learning rate divided by Muon's.
        momentum: share of Muon's momentum that is kept at each update, in [0, 1).
        beta_1: share of Adam's running mean of gradients that is kept at each update.
        beta_2: share of Adam's running mean of squared gradients that is kept at each update.
        epsilon: added to the divisor of Adam's step, so that it is never 0.
        adam_names: Adam updates the matrices of every layer whose name contains one of these words.
        products: precision of the matrix products, see `orthogonalized`.
        kwargs: what every Keras optimizer takes, such as global_clipnorm.

    Source: Jordan et al. 2024 (Muon); Liu et al. 2025 (steps with a root mean square of 0.2 · learning rate); Kingma
    and Ba 2015 (Adam).
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
        """Whether Muon updates the variable; Adam does where not."""
        layer = variable.path.split("/")[-2:][0]
        return len(variable.shape) == 2 and not any(name in layer for name in self.adam_names)

    def build(self, variables):
        """Creates a momentum for each variable, and a mean of squared gradients for those that Adam updates."""
        if self.built:
            return
        super().build(variables)
        self._momenta = [self.add_variable_from_reference(v, name="momentum") for v in variables]
        self._squares = [
            None if self.is_matrix(v) else self.add_variable_from_reference(v, name="squares") for v in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        index = variable_index(self, variable)
        # an embedding's gradient is tf.IndexedSlices, which may hold several rows for one id: they are added up here
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
        new_momentum, ahead = _compiled_ahead(
            tf.convert_to_tensor(gradient), tf.convert_to_tensor(momentum), share=self.momentum, dtype=self.products
        )
        self.assign(momentum, new_momentum)
        direction = orthogonalized(ahead, dtype=self.products)
        # an orthogonal n x m matrix has the root mean square 1 / sqrt(max(n, m)), and the step is to have 0.2 · rate
        rate = rate * 0.2 * math.sqrt(max(variable.shape))
        self.assign(variable, _compiled_moved(tf.convert_to_tensor(variable), direction, rate))

    def get_config(self):
        """The constructor's arguments."""
        names = ("adam_share", "momentum", "beta_1", "beta_2", "epsilon", "adam_names", "products")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
