"""The loss of a language model's last layer, without ever holding the logits of all tokens.

Shape letters: N tokens, D width, V vocabulary.
"""

import tensorflow as tf
from keras import ops

from lmkeras.layers.fused import product

_CHUNK_LOGITS = 1 << 24  # logits held at a time: 32 MB in bfloat16


def vocabulary_loss(hidden, kernel, bias, targets, weights, dtype, transposed=False, training=True):
    """The weighted sum of -log softmax(hidden · kernel + bias)[target] over tokens.

    Logits are made for a part of the tokens at a time, and their gradients are found along with the loss, so that
    memory need not hold N·V of either, nor the logits be made again.

    Args:
        hidden: [N, D], N known.
        kernel: [D, V].
        bias: [V], or None.
        targets: int32 [N].
        weights: float32 [N], how much each token counts; with no gradient.
        dtype: precision of the matrix products and of the logits; what is summed over the vocabulary is float32.
        transposed: whether the kernel is [V, D].
        training: whether gradients will be asked for; without, no part waits for those of the part before.

    Returns:
        float32 scalar, in nats.
    """
    vocabulary_size = kernel.shape[0 if transposed else 1]
    step = max(128, 1 << (_CHUNK_LOGITS // vocabulary_size).bit_length() - 1)

    @tf.custom_gradient
    def loss(hidden, kernel, *bias):
        total, matrix, d_hidden, d_kernel, d_bias = 0.0, ops.cast(kernel, dtype), [], 0.0, 0.0
        rounded = ops.cast(hidden, dtype)
        for start in range(0, hidden.shape[0], step):
            part = slice(start, start + step)
            # one part after the other: together they would hold all that this is to spare
            before = [d_kernel, d_hidden[-1]] if training and d_hidden else [total] if d_hidden else []
            with tf.control_dependencies(before):
                logits = product(tf.identity(rounded[part]), matrix, dtype, transpose=transposed)
                part_loss, d_logits = _chunk_loss(logits, bias=bias, targets=targets[part], weights=weights[part])
                total = total + part_loss
                d_hidden.append(product(d_logits, matrix, dtype, transpose=not transposed))
                factors = (d_logits, rounded[part]) if transposed else (rounded[part], d_logits)
                d_kernel += ops.cast(tf.matmul(*factors, transpose_a=True), "float32")
                d_bias += ops.cast(product(tf.ones((1, d_logits.shape[0])), d_logits, dtype)[0], "float32")
        gradients = [ops.concatenate(d_hidden, axis=0), d_kernel, d_bias]

        def gradient(upstream):
            inputs = (hidden, kernel, *bias)
            return [
                ops.cast(upstream * ops.cast(g, "float32"), x.dtype) for g, x in zip(gradients, inputs, strict=False)
            ]

        return total, gradient

    return loss(hidden, *(tf.convert_to_tensor(weight) for weight in (kernel, bias) if weight is not None))


def _chunk_loss(logits, bias, targets, weights):
    """The loss of some tokens, and its gradient with respect to their logits [N, V]."""
    wide = sum(bias, ops.cast(logits, "float32"))
    # conversions and the maximum are faster outside XLA
    loss, d_logits = _compiled_core(wide, ops.max(wide, axis=-1, keepdims=True), targets, weights)
    return loss, ops.cast(d_logits, logits.dtype)


def _core(logits, largest, targets, weights):
    powers = ops.exp(logits - largest)
    total = ops.sum(powers, axis=-1, keepdims=True)
    chosen = ops.take_along_axis(logits, targets[:, None], axis=1)
    losses = ops.squeeze(ops.log(total) + largest - chosen, -1)
    hit = ops.arange(logits.shape[-1])[None] == targets[:, None]
    d_logits = powers * (weights[:, None] / total) - ops.where(hit, weights[:, None], 0.0)
    return ops.sum(losses * weights), d_logits


_compiled_core = tf.function(_core, jit_compile=True, autograph=False)
