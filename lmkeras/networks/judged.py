"""How a network learns from a batch and is judged on it: by the loss that its head defines, exact for any batches.

Shape letters: B batch, T tokens.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.precision import in_step
from lmkeras.networks.contract import Head


@keras.saving.register_keras_serializable("lmkeras")
class HeadLoss(keras.losses.Loss):
    """The Keras loss with which lmkeras compiles a network: it stands for the loss that the network's head defines.

    A network that is compiled with it asks its head for the loss. The head may compute the loss without ever making the
    outputs, so this class cannot be called with outputs, as other Keras losses can.
    """

    def call(self, targets, outputs):
        """TypeError: only a Network computes this loss."""
        raise TypeError("this loss is computed by a Network's own head: compile another model with a Keras loss")

    def get_config(self):
        """An empty dictionary: this loss has no settings."""
        return {}


class MeanLoss(keras.metrics.Metric):
    """The mean loss of all targets seen so far, whatever batches they came in.

    Where a network has several targets, such as a word and a sentence, it is the sum of their means.

    Args:
        num_targets: the number of targets.
    """

    def __init__(self, num_targets: int):
        super().__init__(name="loss")
        self._losses = self.add_variable((num_targets,), initializer="zeros", aggregation="sum", name="losses")
        self._weights = self.add_variable((num_targets,), initializer="zeros", aggregation="sum", name="weights")

    def update_state(self, losses, weights):
        """Adds a batch.

        Args:
            losses: for each target the sum of loss · weight, scalars.
            weights: for each target the sum of the weights, scalars.
        """
        self._losses.assign_add(ops.stack(losses))
        self._weights.assign_add(ops.stack(weights))

    def result(self):
        """The sum over targets of sum(loss · weight) / sum(weight)."""
        return ops.sum(ops.divide_no_nan(ops.convert_to_tensor(self._losses), ops.convert_to_tensor(self._weights)))


class JudgedByHead(keras.Model):
    """A Keras model with a `head` and a method `features`, that can learn and be judged by the loss of its head.

    Compiled with a Keras loss, it trains and evaluates as any keras.Model. Compiled with `HeadLoss`, the loss of a
    batch is sum(loss · weight) / sum(weight) over all targets of the batch, on all replicas together; of several kinds
    of targets, it is the sum of their losses. The Keras loss that equals the head's (`Head.keras_loss`) is computed by
    the head too, because that can save the memory of the logits; as in Keras, updates divide it by the number of
    targets, whatever their weights are. A network that is compiled with loss_weights is left to Keras.
    """

    head: Head
    _has_loss_weights = False

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, **options):
        """Keras' compile, with its arguments."""
        self._has_loss_weights = loss_weights is not None
        super().compile(optimizer, loss, loss_weights, **options)

    def compile_from_config(self, config):
        """Compiles as Keras has saved it; Keras does this itself only for classes without a compile of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def count_losses(self, num_targets: int) -> None:
        """Makes the metric that counts the losses of so many kinds of targets; for the constructor."""
        # past Keras' tracking of attributes, as it is no part of what is saved
        vars(self)["mean_loss"] = MeanLoss(num_targets)

    @property
    def metrics(self):
        """Keras' metrics, the loss first. Where the head is the judge, `mean_loss` takes the place of Keras' own."""
        metrics = super().metrics
        if self.compiled and self._is_judged_by_head():
            return [self.mean_loss, *(metric for metric in metrics if metric.name != "loss")]
        return metrics

    @in_step()
    def train_step(self, data):
        """One update."""
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if not self._is_judged_by_head():
            return super().train_step(data)
        with tf.GradientTape() as tape:
            loss = self._batch_loss(inputs, targets, weights, training=True)
            if self.losses:  # which a user's own layers have added
                loss += sum(self.losses) / tf.distribute.get_strategy().num_replicas_in_sync
            loss = self.optimizer.scale_loss(loss)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return self.get_metrics_result()

    @in_step()
    def test_step(self, data):
        """One batch of an evaluation. It counts by its weights, so the mean loss is the same for all batch sizes."""
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        if not self._is_judged_by_head():
            return super().test_step(data)
        self._batch_loss(inputs, targets, weights, training=False)
        return self.get_metrics_result()

    def _is_judged_by_head(self) -> bool:
        equal, loss = self.head.keras_loss, self.loss
        if isinstance(loss, HeadLoss):
            return True
        same = equal is not None and type(loss) is type(equal) and loss.get_config() == equal.get_config()
        return same and not self._has_loss_weights

    def _batch_loss(self, inputs, targets, weights, training):
        """This replica's part of the batch's loss; also updates the metrics."""
        weights = tf.nest.map_structure(lambda _: None, targets) if weights is None else weights
        weights = tf.nest.map_structure(_one_for_each, targets, weights)
        by_weight = isinstance(self.loss, HeadLoss) or not training
        counted = weights if by_weight else tf.nest.map_structure(tf.ones_like, weights)
        totals = tf.nest.map_structure(tf.reduce_sum, counted)
        # only gradients are added up over replicas; what is judged is added up when the metrics are read
        of_batch = total_over_replicas if training else tf.identity
        everywhere = tf.nest.map_structure(lambda total: tf.maximum(of_batch(total), 1e-9), totals)
        shares = tf.nest.map_structure(tf.divide, weights, everywhere)
        features = self.features(inputs, training)
        others = len(self.metrics) > 1
        loss = None if others else self.head.direct_loss(features, targets, shares, training=training)
        if loss is None:
            outputs = self.head(features, training=training)
            loss = (self.head.training_loss if training else self.head.loss)(outputs, targets, shares)
        if others:
            if isinstance(self.loss, HeadLoss):  # metrics count a target once, or not at all if its weight is 0
                weights = tf.nest.map_structure(lambda weight: ops.cast(weight != 0, "float32"), weights)
            self.compute_metrics(inputs, targets, outputs, sample_weight=weights)
        losses, totals, everywhere = map(tf.nest.flatten, (loss, totals, everywhere))
        if len(losses) != len(totals):
            raise InputError(f"{type(self.head).__name__} has {len(totals)} targets: its loss must be one for each")
        self.mean_loss.update_state([loss * whole for loss, whole in zip(losses, everywhere, strict=True)], totals)
        return sum(losses)


def _one_for_each(targets, weights):
    """float32 weights in the shape of the targets. None gives 1 everywhere; one weight for a row is given to all of the
    row's targets."""
    if weights is None:
        return tf.ones(tf.shape(targets)) if None in targets.shape else tf.ones(targets.shape)
    weights = ops.cast(weights, "float32")
    missing = len(targets.shape) - len(weights.shape)
    if missing <= 0:
        return weights
    return tf.broadcast_to(tf.reshape(weights, [*tf.unstack(tf.shape(weights)), *[1] * missing]), tf.shape(targets))


def total_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The sum of a tensor over all replicas that run this step; the tensor itself if there is only one replica."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)
