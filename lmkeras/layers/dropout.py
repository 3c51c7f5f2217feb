"""Dropout that keeps no mask in memory: a hash of a seed and of a value's position decides whether the value is kept.

The backward pass has to know which values the forward pass kept. A mask would have to be written to memory and read
again; a hash is computed a second time, which is faster on a CPU.
"""

import keras
import tensorflow as tf
from keras import ops

from lmkeras.layers.fused import fused, fuses


def dropout(layer: keras.layers.Dropout, x, training):
    """The output of a Dropout layer for x; from the hash where operations are fused (`fuses`), from Keras elsewhere."""
    if training and layer.rate and fuses(keras.backend.standardize_dtype(x.dtype)):
        return _dropped(x, layer.seed_generator.next(), rate=layer.rate, dtype="bfloat16")
    return layer(x, training=training) if layer.rate else x


def _mixed(x):
    """A uint32 hash of uint32 x: each bit of it depends on all bits of x. Source: MurmurHash3's last step (Appleby)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = (x ^ tf.bitwise.right_shift(x, tf.constant(shift, "uint32"))) * tf.constant(factor, "uint32")
    return x ^ tf.bitwise.right_shift(x, tf.constant(16, "uint32"))


def _kept(shape, seed, rate):
    """The factor of each value: 1 / (1 - rate) where the value is kept, 0 where it is dropped."""
    seed = tf.cast(seed, "uint32")
    count = tf.range(tf.reduce_prod(shape))
    chance = _mixed(_mixed(tf.cast(count, "uint32") + _mixed(seed[0])) ^ _mixed(seed[1]))
    kept = chance >= tf.constant(round(rate * 2**32), "uint32")
    return tf.reshape(tf.where(kept, 1 / (1 - rate), 0.0), shape)


def _dropped_gradient(x, seed, y, upstream, rate):
    return ops.cast(upstream, "float32") * _kept(tf.shape(x), seed, rate), None


@fused(_dropped_gradient)
def _dropped(x, seed, *, rate, dtype):
    return ops.cast(ops.cast(x, "float32") * _kept(tf.shape(x), seed, rate), dtype)
