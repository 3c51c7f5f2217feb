"""Adam and AdamW that read and write each weight once an update, where it stands."""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError


def adam_step(optimizer, gradient, variable, mean, squares, rate):
    """One update of Adam.

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
    betas = [ops.cast(beta, variable.dtype) for beta in (optimizer.beta_1, optimizer.beta_2)]
    tf.raw_ops.ResourceApplyAdam(
        var=_handle(variable),
        m=_handle(mean),
        v=_handle(squares),
        beta1_power=betas[0] ** step,
        beta2_power=betas[1] ** step,
        lr=rate,
        beta1=betas[0],
        beta2=betas[1],
        epsilon=ops.cast(optimizer.epsilon, variable.dtype),
        grad=ops.cast(ops.convert_to_tensor(gradient), variable.dtype),
    )


def _handle(variable):
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


class ClipOnce:
    """Clipping of all gradients together that reads each once, and of an embedding's only the rows there are.

    On several replicas it is their sum that is clipped, where Keras clips each one's part.
    """

    def _clip_gradients(self, grads):
        return grads if _has_company() else self._clipped(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        grads_and_vars = super()._all_reduce_sum_gradients(grads_and_vars)
        if not _has_company():
            return grads_and_vars
        gradients, variables = zip(*grads_and_vars, strict=True)
        return list(zip(self._clipped(gradients), variables, strict=True))

    def _clipped(self, grads):
        if not self.global_clipnorm:
            return super()._clip_gradients(list(grads))
        return tf.clip_by_global_norm([_with_rows_once(gradient) for gradient in grads], self.global_clipnorm)[0]


def _has_company() -> bool:
    """Whether this runs on one of several replicas."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def _with_rows_once(gradient):
    """The same gradient; where it is rows, those of one id are added up, before they are squared."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    ids, places = tf.unique(gradient.indices)
    rows = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(ids))
    return tf.IndexedSlices(rows, ids, gradient.dense_shape)


class OneUpdate(ClipOnce):
    """What Adam and AdamW here have beside Keras': see the module."""

    def build(self, variables):
        """Creates the moments."""
        if self.amsgrad:
            raise InputError("amsgrad is not done here: take keras.optimizers.Adam or AdamW for it")
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        """One variable's update."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        adam_step(
            self,
            gradient=gradient,
            variable=variable,
            mean=self._momentums[index],
            squares=self._velocities[index],
            rate=rate,
        )

    def _apply_weight_decay(self, variables):
        if self.weight_decay:  # Keras would go through all weights to take nothing off them
            super()._apply_weight_decay(variables)


@keras.saving.register_keras_serializable("lmkeras")
class Adam(OneUpdate, keras.optimizers.Adam):
    """Keras' Adam, without amsgrad; see the module. Source: Kingma and Ba 2015."""


@keras.saving.register_keras_serializable("lmkeras")
class AdamW(OneUpdate, keras.optimizers.AdamW):
    """Keras' AdamW, without amsgrad; see the module. Source: Loshchilov and Hutter 2019."""
