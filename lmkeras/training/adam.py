"""Adam, AdamW and Adagrad whose update is one operation for each weight; it changes weight and moments in place.

Keras' Adam is a chain of operations, each of which reads tensors of the weight's size and writes another one.
"""

import re

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.training import keras_contract
from lmkeras.training.policy import device_in_use


def adam_step(optimizer, gradient, variable, mean, squares, rate):
    """One update of one weight by Adam.

    Args:
        optimizer: a Keras optimizer with beta_1, beta_2 and epsilon.
        gradient: a tensor of the weight's shape, or tf.IndexedSlices, whose values for the same row are added up.
        variable: the weight.
        mean: variable, the running mean of gradients.
        squares: variable, the running mean of squared gradients.
        rate: learning rate, a scalar tensor.

    Source: Kingma and Ba 2015, the form at the end of section 2: the corrections of both means are factors of the
    learning rate.
    """
    step = ops.cast(optimizer.iterations + 1, variable.dtype)
    betas = [ops.cast(beta, variable.dtype) for beta in (optimizer.beta_1, optimizer.beta_2)]
    keras_contract.in_place_adam(
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


_FIRST_SQUARES = 0.01  # of Adagrad; less would make the first updates of a row as large as the learning rate
_OTHER_WEIGHTS = 0.01  # learning rate of weights that are no embedding, beside Adagrad


class ClipOnce:
    """Mixin for a Keras optimizer: clips the gradients by their global norm (`global_clipnorm`), faster than Keras.

    Each gradient is read once. Of an embedding's gradient, only the rows of the batch's ids exist and only those are
    read. On several replicas the sum of their gradients is clipped; Keras clips each replica's gradients before the
    sum, so that its updates depend on the number of replicas.
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
    """The same gradient; of tf.IndexedSlices, rows with the same id are added up, so that a norm squares their sum."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    if not device_in_use().adds_rows_by_sorting:
        return tf.convert_to_tensor(gradient)
    ids, places = tf.unique(gradient.indices)
    rows = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(ids))
    return tf.IndexedSlices(rows, ids, gradient.dense_shape)


class OneUpdate(ClipOnce):
    """Mixin for Keras' Adam and AdamW: each weight's update is one operation, `adam_step`."""

    def build(self, variables):
        """Creates the moments of each variable.

        Raises:
            InputError: amsgrad is asked for.
        """
        if self.amsgrad:
            raise InputError("amsgrad is not done here: take keras.optimizers.Adam or AdamW for it")
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        mean, squares = keras_contract.moments(self, variable)
        rate = ops.cast(learning_rate, variable.dtype)
        adam_step(
            self,
            gradient=gradient,
            variable=variable,
            mean=mean,
            squares=squares,
            rate=rate,
        )

    def _apply_weight_decay(self, variables):
        if self.weight_decay:  # with a decay of 0, Keras would still read and write all weights
            super()._apply_weight_decay(variables)


@keras.saving.register_keras_serializable("lmkeras")
class Adam(OneUpdate, keras.optimizers.Adam):
    """Keras' Adam, without amsgrad, with faster updates and clipping. Source: Kingma and Ba 2015."""


@keras.saving.register_keras_serializable("lmkeras")
class AdamW(OneUpdate, keras.optimizers.AdamW):
    """Keras' AdamW, without amsgrad, with faster updates and clipping. Source: Loshchilov and Hutter 2019."""


@keras.saving.register_keras_serializable("lmkeras")
class Adagrad(OneUpdate, keras.optimizers.AdamW):
    """Adagrad for embeddings, AdamW for all other weights, at a hundredth of the learning rate.

    An embedding's rows that no token of the batch has are neither read nor written: Adagrad does not change them. So an
    update takes the same time for an embedding of any size. The sums of squares begin at 0.01.

    Source: Duchi et al. 2011 (Adagrad).
    """

    def build(self, variables):
        """Creates the moments of each variable; of an embedding, the second one is Adagrad's sum of squares."""
        super().build(variables)
        for variable in filter(_is_embedding, variables):
            squares = keras_contract.moments(self, variable)[1]
            squares.assign(tf.fill(squares.shape, _FIRST_SQUARES))

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        if not _is_embedding(variable):
            super().update_step(gradient, variable, learning_rate * _OTHER_WEIGHTS)
            return
        squares, rate = keras_contract.moments(self, variable)[1], ops.cast(learning_rate, variable.dtype)
        gradient = _with_rows_once(gradient)
        if isinstance(gradient, tf.IndexedSlices):
            _adagrad_rows(gradient, _handle(variable), squares=_handle(squares), rate=rate)
            return
        gradient = ops.cast(gradient, variable.dtype)
        shared = {"var": _handle(variable), "accum": _handle(squares), "lr": rate, "epsilon": 0.0}
        tf.raw_ops.ResourceApplyAdagradV2(**shared, grad=gradient)


def _adagrad_rows(gradient: tf.IndexedSlices, variable, squares, rate) -> None:
    """Adagrad's update of the rows of a gradient that has each of them once; `variable` and `squares` are handles.

    XLA knows no operation that does it all at once.
    """
    rows = ops.cast(gradient.values, rate.dtype)
    summed = tf.raw_ops.ResourceGather(resource=squares, indices=gradient.indices, dtype=rate.dtype) + tf.square(rows)
    changes = rate * rows / tf.sqrt(summed)
    tf.raw_ops.ResourceScatterUpdate(resource=squares, indices=gradient.indices, updates=summed)
    tf.raw_ops.ResourceScatterSub(resource=variable, indices=gradient.indices, updates=changes)


def _is_embedding(variable) -> bool:
    name = getattr(variable, "path", variable.name)
    return re.sub(r"/replica_\d+(:\d+)?$", "", name).rpartition("/")[-1].startswith("embeddings")
