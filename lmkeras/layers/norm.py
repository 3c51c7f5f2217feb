"""One layer for the norms of published decoders, and an initializer for weights that are read from a file.

Shape letters: D width.
"""

import keras
import tensorflow as tf


class Unset(keras.initializers.Initializer):
    """For weights that will be read from a file: any values, which take no memory as they are never written."""

    def __call__(self, shape, dtype=None):
        """A tensor of this shape; what it holds has no meaning."""
        return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)


def scaled_by_size(x, scale, epsilon: float):
    """x / sqrt(mean(x²) + epsilon) · scale over the last dimension, float32; few operations, as there are many norms.

    Source: Zhang and Sennrich 2019.
    """
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + epsilon) * scale


class Norm(keras.layers.Layer):
    """Scales vectors [..., D] to a common size, in float32.

    Args:
        kind: "rms", or "layer", which first subtracts the mean and has an offset.
        epsilon: added to mean squares or variances.
        shift: added to the scale; 1 where the weights say by how much the scale differs from 1.
    """

    def __init__(self, kind: str, epsilon: float, shift: float = 0.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.kind, self.epsilon, self.shift = kind, epsilon, shift

    def build(self, input_shape):
        """Makes the scale, and the offset if there is one."""
        shape = (input_shape[-1],)
        self.scale = self.add_weight(shape=shape, initializer=Unset(), name="scale")
        self.offset = self.add_weight(shape=shape, initializer=Unset(), name="offset") if self.kind == "layer" else None
        self.built = True

    def call(self, x):
        """float32, like x."""
        scale = self.shifted_scale()
        if self.offset is None:
            return scaled_by_size(x, scale, self.epsilon)
        x = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        return scaled_by_size(x, scale, self.epsilon) + tf.cast(self.offset.value, "float32")

    def shifted_scale(self):
        """What vectors are multiplied by, float32 [D]."""
        scale = tf.cast(self.scale.value, "float32")
        return scale + self.shift if self.shift else scale
