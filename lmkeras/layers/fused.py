"""Chains of element-wise operations as one operation, forward and backward, for layers that compute in bfloat16.

On a CPU, TensorFlow multiplies bfloat16 matrices several times as fast as float32 ones, but only outside XLA; what
stands between is bound by memory, and each operation outside XLA reads and writes all of it again. So here each such
chain is a cluster of its own that XLA compiles, and so is its gradient, written out in closed form: it needs what is
named alone, while XLA's own would read intermediate values that the chain would have to write.

In other precisions, and where there is a GPU (Keras compiles the whole step there), the formula is all there is, and
its gradient is TensorFlow's.

Shape letters: B batch, H heads, T tokens, L keys, D width, K key size of one head.
"""

import functools
import math

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError


def fuses(dtype: str) -> bool:
    """Whether chains are clusters where layers compute in this precision."""
    return dtype == "bfloat16" and not tf.config.list_logical_devices("GPU")


def fused(gradient):
    """Makes a chain of operations one cluster, and its gradient another.

    Args:
        gradient: function of the chain's tensors, its output and that one's gradient: each tensor's, or None.

    Returns:
        A decorator for a function of tensors, of options by name, and of `dtype`, the precision of what it gives. The
        layer's own precision is `within`, where that is another.
    """

    def decorate(formula):
        # one cluster for all layers: only other shapes and options are compiled anew
        forward = tf.function(formula, jit_compile=True, autograph=False)
        backward = tf.function(functools.partial(_of_equal_types, gradient), jit_compile=True, autograph=False)

        @functools.wraps(formula)
        def apply(*tensors, dtype, within=None, **options):
            if not fuses(within or dtype):
                return formula(*tensors, dtype=dtype, **options)

            @tf.custom_gradient
            def cluster(*tensors):
                y = forward(*tensors, dtype=dtype, **options)
                return y, lambda upstream: backward(*tensors, y, upstream, **options)

            return cluster(*(tf.convert_to_tensor(tensor) for tensor in tensors))

        return apply

    return decorate


def _of_equal_types(gradient, *tensors, **options):
    """The gradients in the precision of what they are gradients of."""
    gradients = tf.nest.flatten(gradient(*tensors, **options))
    return [g if g is None else ops.cast(g, x.dtype) for g, x in zip(gradients, tensors, strict=False)]


def product(x, kernel, dtype, bias=None, transpose=False):
    """x · kernel + bias, each rounded to a precision.

    Args:
        x: [..., N].
        kernel: [N, M].
        dtype: the precision, also of the result; sums inside it are float32.
        bias: [M], or None.
        transpose: whether the kernel is [M, N].

    Returns:
        [..., M].

    Raises:
        InputError: the kernel is of integers, as Keras' quantization makes them.
    """
    if keras.backend.is_int_dtype(kernel.dtype):
        raise InputError("the network's weights are quantized, which it cannot compute with: load it anew")
    rows = ops.reshape(ops.cast(x, dtype), (-1, x.shape[-1]))
    y = tf.matmul(rows, ops.cast(kernel, dtype), transpose_b=transpose)
    if bias is not None and fuses(dtype):
        y = add_bias(y, bias, dtype=dtype)  # oneDNN's bfloat16 products with a bias are slower than this
    elif bias is not None:
        y = tf.nn.bias_add(y, ops.cast(bias, dtype))  # by this name TensorFlow makes it a part of the product
    return ops.reshape(y, (*ops.shape(x)[:-1], y.shape[-1]))


def dense(layer: keras.layers.Dense, x):
    """What a Dense layer gives before its activation, by `product` in the layer's precision."""
    return product(x, kernel=layer.kernel, dtype=layer.compute_dtype, bias=layer.bias)


def _float32(*tensors):
    return [ops.cast(tensor, "float32") for tensor in tensors]


def _row_means(x):
    # as a product, which XLA does faster than a sum
    return ops.matmul(x, ops.full((x.shape[-1], 1), 1 / x.shape[-1], x.dtype))


def _column_sums(x):
    # as a product of two rows, for one row or as a sum XLA walks down the columns, which takes ten times as long
    rows = ops.reshape(x, (-1, x.shape[-1]))
    return ops.matmul(ops.ones((2, ops.shape(rows)[0]), x.dtype), rows)[0]


def _rms_norm_gradient(x, scale, y, upstream, epsilon):
    x, scale, upstream = _float32(x, scale, upstream)
    root = ops.rsqrt(_row_means(x * x) + epsilon)
    n, dn = x * root, upstream * scale
    return root * (dn - n * _row_means(dn * n)), _column_sums(upstream * n)


@fused(_rms_norm_gradient)
def rms_norm(x, scale, *, epsilon, dtype):
    """x / sqrt(mean(x²) + epsilon) · scale over the last dimension.

    Args:
        x: [..., D].
        scale: [D].
        epsilon: what is added to the mean square.
        dtype: precision of the result; inside it is float32.

    Source: Zhang and Sennrich 2019.
    """
    x, scale = _float32(x, scale)
    return ops.cast(x * ops.rsqrt(_row_means(x * x) + epsilon) * scale, dtype)


def _layer_norm_gradient(x, scale, offset, y, upstream, epsilon):
    x, scale, upstream = _float32(x, scale, upstream)
    centred = x - _row_means(x)
    root = ops.rsqrt(_row_means(centred * centred) + epsilon)
    n, dn = centred * root, upstream * scale
    dx = root * (dn - _row_means(dn) - n * _row_means(dn * n))
    return dx, _column_sums(upstream * n), _column_sums(upstream)


@fused(_layer_norm_gradient)
def layer_norm(x, scale, offset, *, epsilon, dtype):
    """(x - mean) / sqrt(variance + epsilon) · scale + offset over the last dimension.

    Args:
        x: [..., D].
        scale: [D].
        offset: [D].
        epsilon: what is added to the variance.
        dtype: precision of the result; inside it is float32.

    Source: Ba et al. 2016.
    """
    return _layer_norm(x, scale=scale, offset=offset, epsilon=epsilon, dtype=dtype)


def _layer_norm(x, scale, offset, epsilon, dtype):
    x, scale, offset = _float32(x, scale, offset)
    centred = x - _row_means(x)
    return ops.cast(centred * ops.rsqrt(_row_means(centred * centred) + epsilon) * scale + offset, dtype)


def _turned(x, cos, sin):
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _rotation_gradient(x, cos, sin, y, upstream, normalize, epsilon=1e-7):
    x, upstream = _float32(x, upstream)
    dn = _turned(upstream, cos, -sin)
    if not normalize:
        return dn, None, None
    root = ops.rsqrt(_row_means(x * x) + epsilon)
    n = x * root
    return root * (dn - n * _row_means(dn * n)), None, None


@fused(_rotation_gradient)
def rotation(x, cos, sin, *, normalize, dtype, epsilon=1e-7):
    """Each pair (x[i], x[i + K/2]) turned by the angle of its cosine and sine, perhaps scaled to root mean square 1.

    Args:
        x: [B, H, T, K].
        cos: float32 [T, K/2].
        sin: float32 [T, K/2].
        normalize: whether x is scaled to root mean square 1 over K before.
        dtype: precision of the result; inside it is float32.
        epsilon: what is added to the mean square.
    """
    (x,) = _float32(x)
    if normalize:
        x = x * ops.rsqrt(_row_means(x * x) + epsilon)
    return ops.cast(_turned(x, cos, sin), dtype)


def _softmax_gradient(scores, allowed, y, upstream, scale, bounded=False):
    weights, upstream = _float32(y, upstream)
    inner = ops.matmul(upstream * weights, ops.ones((ops.shape(weights)[-1], 1)))
    # a row that may look nowhere has weights, and still no scores that they depend on
    return ops.where(allowed, scale * weights * (upstream - inner), 0.0), None


@fused(_softmax_gradient)
def scaled_softmax(scores, allowed, *, scale, dtype, bounded=False):
    """softmax(scale · scores) over the last dimension, as far as is allowed.

    Args:
        scores: [B, H, T, L].
        allowed: bool, broadcastable to the scores: where a query may look. It looks everywhere alike if nowhere.
        scale: a number.
        dtype: precision of the result; inside it is float32.
        bounded: whether scores, scaled, are within ±40 and each query may look somewhere, so that the exponential
            function needs no help to stay finite.
    """
    (scores,) = _float32(scores)
    # finite, so that a row with nothing allowed (padding) gives a mean and not NaN; and chosen, not added: oneDNN's
    # product with an addition that is broadcast takes hundreds of times as long
    scores = ops.where(allowed, scores * scale, -1e9)
    if not bounded:
        return ops.cast(ops.softmax(scores, axis=-1), dtype)
    powers = ops.exp(scores)
    return ops.cast(powers / ops.sum(powers, axis=-1, keepdims=True), dtype)


def _relu_squared_gradient(x, y, upstream):
    x, upstream = _float32(x, upstream)
    return 2 * ops.relu(x) * upstream


@fused(_relu_squared_gradient)
def relu_squared(x, *, dtype):
    """max(x, 0)². Source: So et al. 2021."""
    return ops.cast(ops.square(ops.relu(x)), dtype)


def _add_bias_gradient(x, bias, y, upstream):
    return upstream, _column_sums(ops.cast(upstream, "float32"))


@fused(_add_bias_gradient)
def add_bias(x, bias, *, dtype):
    """x [..., D] + bias [D]."""
    return ops.cast(sum(_float32(x, bias)), dtype)


def _gelu_gradient(x, bias, y, upstream):
    wide = sum(_float32(x, bias))
    density = ops.exp(-0.5 * wide * wide) / math.sqrt(2 * math.pi)
    slope = 0.5 * (1 + ops.erf(wide * math.sqrt(0.5))) + wide * density
    dx = slope * ops.cast(upstream, "float32")
    return dx, _column_sums(dx)


@fused(_gelu_gradient)
def gelu(x, bias, *, dtype):
    """z Φ(z) of z = x + bias, with Φ the normal distribution function. Source: Hendrycks and Gimpel 2016."""
    wide = sum(_float32(x, bias))
    return ops.cast(wide * 0.5 * (1 + ops.erf(wide * math.sqrt(0.5))), dtype)


def _add_norm_gradient(x, added, scale, offset, y, upstream, epsilon):
    total = x + ops.cast(added, x.dtype)
    dx, d_scale, d_offset = _layer_norm_gradient(
        total, scale=scale, offset=offset, y=y, upstream=upstream, epsilon=epsilon
    )
    return dx, dx, d_scale, d_offset


@fused(_add_norm_gradient)
def add_norm(x, added, scale, offset, *, epsilon, dtype):
    """`layer_norm` of x + added: a residual connection and the norm behind it."""
    return _layer_norm(x + ops.cast(added, x.dtype), scale=scale, offset=offset, epsilon=epsilon, dtype=dtype)
