"""What is taken of the states of a batch of texts that are padded to one length.

Shape letters: B batch, T tokens, M chosen tokens, D width of a token's state.
"""

from collections.abc import Mapping

import tensorflow as tf
from keras import ops


def padding_last(ids, padding: int = 0):
    """Ids [B, T], padding moved behind the other ids, whose order stays: Keras' pad_sequences puts zeros first."""
    length = ops.shape(ids)[1]
    order = ops.arange(length) + length * ops.cast(ids == padding, "int32")
    return ops.take_along_axis(ids, ops.argsort(order, axis=1), 1)


def backwards(x, mask):
    """x [B, T, D] with the tokens of each text in reverse order; the padding after them stays where it is."""
    at, length = ops.arange(ops.shape(x)[1]), ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
    return ops.take_along_axis(x, ops.expand_dims(ops.where(mask, length - 1 - at, at), -1), axis=1)


def chosen(states, inputs: Mapping):
    """The states [B, M, D] at inputs["masked_positions"], of states [B, T, D]; all of them without it."""
    places = inputs.get("masked_positions")
    return states if places is None else tf.gather(states, places, axis=1, batch_dims=1)


def masked_mean(x, mask):
    """The mean of x [B, T, D] over the tokens for which mask [B, T] is True, [B, D]; zeros if there are none."""
    weights = ops.expand_dims(ops.cast(mask, x.dtype), -1)
    return ops.sum(x * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)


def masked_max(x, mask):
    """The maximum of x [B, T, D] over the tokens for which mask [B, T] is True, [B, D]; zeros if there are none."""
    mask = ops.expand_dims(mask, -1)
    largest = ops.max(ops.where(mask, x, ops.cast(-1e4, x.dtype)), axis=1)
    return ops.where(ops.any(mask, axis=1), largest, ops.zeros_like(largest))
