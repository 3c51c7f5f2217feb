"""Norms, softmax, activations and the like as one compiled operation each, for layers that compute in bfloat16.

On a CPU with bfloat16 instructions, TensorFlow multiplies bfloat16 matrices several times as fast as float32 ones, but
only outside XLA. The element-wise operations between two matrix products gain from XLA: the time they take is the time
to read and write memory, and outside XLA each operation of a chain reads and writes the whole tensor again. So matrix
products stay outside XLA here, and each chain of element-wise operations is a cluster: one operation that XLA compiles.

The gradient of each chain is a second cluster, a closed form of the chain's inputs and output. The gradient that
TensorFlow would derive needs intermediate values too, which the forward cluster would have to write to memory.

In other precisions the functions here are ordinary TensorFlow operations, and TensorFlow derives their gradients. The
same holds for every precision on GPUs, because there XLA compiles the whole training step or nothing.

Shape letters: B batch, H heads, T tokens, L keys, D width, K key size of one head.
"""

import functools
import math

import keras
import tensorflow as tf
from keras import ops

from lmkeras.errors import InputError
from lmkeras.training import policy


def fuses(dtype: str) -> bool:
    """Whether layers that compute in this precision use compiled clusters on the device in use."""
    return policy.device_in_use().fuses(dtype)


def fused(gradient):
    """Makes a chain of operations one cluster, and its gradient another.

    Args:
        gradient: function (*tensors, output, upstream, **options) → the gradient with respect to each tensor, None for
            a tensor that has no gradient. `upstream` is the gradient with respect to the output.

    Returns:
        A decorator for functions (*tensors, dtype, **options) → output, where `dtype` is the precision of the output.
        The decorated function takes `within` too: the precision that its layer computes in, where that is not `dtype`.
    """

    def decorate(formula):
        # all layers share these two functions, so that XLA compiles once for each set of shapes and options
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
    """The gradients, each in the precision of the tensor that it belongs to."""
    gradients = tf.nest.flatten(gradient(*tensors, **options))
    return [g if g is None else ops.cast(g, x.dtype) for g, x in zip(gradients, tensors, strict=False)]


def product(x, kernel, dtype, bias=None, transpose=False, few_rows=False):
    """x · kernel + bias, with x, kernel and bias rounded to a precision first.

    Args:
        x: [..., N].
        kernel: [N, M].
        dtype: this precision, which the result has too; the sums of the matrix product are float32.
        bias: [M], or None.
        transpose: whether the kernel is [M, N].
        few_rows: whether x has much fewer rows than a kernel [M, N]. Then the kernel is multiplied by x, which reads
            the kernel twice as fast as the product in the other order.

    Returns:
        [..., M].

    Raises:
        InputError: the kernel holds integers, as Keras' `quantize` leaves it.
    """
    if keras.backend.is_int_dtype(kernel.dtype):
        raise InputError("the network's weights are quantized, which it cannot compute with: load it anew")
    rows = ops.cast(x, dtype)
    rows = rows if len(x.shape) == 2 else ops.reshape(rows, (-1, x.shape[-1]))
    if transpose and few_rows:
        y = tf.transpose(tf.matmul(ops.cast(kernel, dtype), rows, transpose_b=True))
    else:
        y = tf.matmul(rows, ops.cast(kernel, dtype), transpose_b=transpose)
    if bias is not None and fuses(dtype):
        y = add_bias(y, bias, dtype=dtype)  # faster than oneDNN's bfloat16 product with the bias inside it
    elif bias is not None:
        y = tf.nn.bias_add(y, ops.cast(bias, dtype))  # TensorFlow fuses bias_add, unlike `+`, with the product
    return y if len(x.shape) == 2 else ops.reshape(y, (*ops.shape(x)[:-1], y.shape[-1]))


def dense(layer: keras.layers.Dense, x):
    """The output of a Dense layer for x, without the layer's activation, in the layer's precision."""
    return product(x, kernel=layer.kernel, dtype=layer.compute_dtype, bias=layer.bias)


def _float32(*tensors):
    return [ops.cast(tensor, "float32") for tensor in tensors]


def _row_means(x):
    if policy.device_in_use().rounds_products:
        return ops.mean(x, axis=-1, keepdims=True)
    # by a matrix product, which is faster on a CPU than XLA's sum over rows
    return ops.matmul(x, ops.full((x.shape[-1], 1), 1 / x.shape[-1], x.dtype))


def _column_sums(x):
    # by a matrix product with two rows of ones: XLA computes a sum over columns, or a product with a single row of
    # ones, one column after the other, which takes ten times as long
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
        epsilon: added to the mean square, so that a row of zeros is not divided by zero.
        dtype: precision of the result; it is computed in float32.

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
        epsilon: added to the variance, so that a constant row is not divided by zero.
        dtype: precision of the result; it is computed in float32.

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
    """Rotary positions: each pair (x[i], x[i + K/2]) rotated by the angle whose cosine is cos[i] and sine is sin[i].

    Args:
        x: [B, H, T, K].
        cos: float32 [T, K/2].
        sin: float32 [T, K/2].
        normalize: whether x is first scaled to root mean square 1 over K.
        dtype: precision of the result; it is computed in float32.
        epsilon: added to the mean square where x is scaled.
    """
    (x,) = _float32(x)
    if normalize:
        x = x * ops.rsqrt(_row_means(x * x) + epsilon)
    return ops.cast(_turned(x, cos, sin), dtype)


def _softmax_gradient(scores, allowed, y, upstream, scale, bounded=False):
    weights, upstream = _float32(y, upstream)
    inner = ops.matmul(upstream * weights, ops.ones((ops.shape(weights)[-1], 1)))
    # where no key is allowed the weights are all alike, whatever the scores are: the scores' gradient is zero
    return ops.where(allowed, scale * weights * (upstream - inner), 0.0), None


@fused(_softmax_gradient)
def scaled_softmax(scores, allowed, *, scale, dtype, bounded=False):
    """softmax(scale · scores) over the allowed keys, which are the last dimension; 0 for keys that are not allowed.

    Args:
        scores: [B, H, T, L].
        allowed: bool, broadcastable to the scores: which keys each query may look at. A query without any allowed key
            gets the weight 1 / L for every key.
        scale: a number.
        dtype: precision of the result; it is computed in float32.
        bounded: whether all scale · scores are known to be within ±40 and every query has an allowed key. Then exp
            overflows nowhere, and the usual subtraction of the largest score is left out.
    """
    (scores,) = _float32(scores)
    # -1e9 and not minus infinity: a query without an allowed key, such as padding, gets equal weights and not NaN.
    # `where` and not an addition of -1e9: TensorFlow would fuse the addition with the matrix product before it, and
    # oneDNN takes hundreds of times as long for a product with a broadcast addition
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
    """z Φ(z) for z = x + bias, where Φ is the normal distribution function. Source: Hendrycks and Gimpel 2016."""
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
    """`layer_norm` of x + added: a residual connection and the norm that follows it."""
    return _layer_norm(x + ops.cast(added, x.dtype), scale=scale, offset=offset, epsilon=epsilon, dtype=dtype)
