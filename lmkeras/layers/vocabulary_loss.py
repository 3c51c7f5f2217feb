"""The loss of a language model's last layer, without ever holding the logits of all tokens.

The logits of a large vocabulary would be most of what a training step keeps in memory. So tokens are taken in chunks:
the logits of one chunk are computed, its loss and its gradients are computed from them, and these logits are dropped
before the next chunk begins.

Shape letters: N tokens, n tokens of one chunk, D width, V vocabulary.
"""

import dataclasses

import tensorflow as tf
from keras import ops

from lmkeras.layers.fused import product
from lmkeras.training import policy

_UNROLLED_CHUNKS = 4  # up to here each chunk has operations of its own in the graph; more chunks are a loop
_ROUNDED_ROWS = 64  # chunks of a number of tokens that is not known have a multiple of this many rows


def vocabulary_loss(
    hidden,
    kernel,
    bias,
    targets,
    weights,
    dtype,
    *,
    transposed=False,
    training=True,
    hidden_trainable=True,
    label_smoothing=0.0,
):
    """The weighted sum of -log softmax(hidden · kernel + bias)[target] over tokens.

    The gradients are computed along with the loss, so that logits are neither kept nor computed again. A gradient that
    is not needed is not computed and is None: for a kernel or a bias that is a variable with `trainable` False, for
    `hidden` where the caller says so, and for all of them outside training.

    Args:
        hidden: [N, D]; N may be unknown when a graph is traced.
        kernel: variable or tensor [D, V].
        bias: variable or tensor [V], or None.
        targets: int32 [N].
        weights: float32 [N], how much each token counts; they get no gradient.
        dtype: precision of the matrix products and of the logits; what is summed over the vocabulary is float32.
        transposed: whether the kernel is [V, D].
        training: whether any gradient will be asked for.
        hidden_trainable: whether anything that `hidden` was computed from is trained.
        label_smoothing: share e, in [0, 1]. In training, the loss of a token is (1 - e) times that of its target plus e
            times the mean of what all V ids would have as its target; otherwise it is that of the target alone.

    Returns:
        float32 scalar, in nats.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", 7 (label smoothing).
    """
    trainable = {"hidden": hidden_trainable, "kernel": _is_trainable(kernel), "bias": _is_trainable(bias)}
    given = {"hidden": hidden, "kernel": kernel} | ({} if bias is None else {"bias": bias})
    given = {name: tf.convert_to_tensor(tensor) for name, tensor in given.items()}
    wanted = [name for name in given if training and trainable[name]]
    rows = _rows_of_a_chunk(vocabulary_size=kernel.shape[0 if transposed else 1])
    few = hidden.shape[0] is not None and hidden.shape[0] <= _UNROLLED_CHUNKS * rows

    @tf.custom_gradient
    def loss(hidden, kernel, bias=None):
        options = {"bias": bias, "transposed": transposed, "wanted": wanted}
        layer = _LastLayer(ops.cast(kernel, dtype), **options, smoothing=label_smoothing if training else 0.0)
        tokens = ops.cast(hidden, dtype), targets, weights
        total, gradients = (_unrolled if few else _looped)(layer, tokens, rows)

        def gradient(upstream):
            return [
                ops.cast(upstream * ops.cast(gradients[name], "float32"), tensor.dtype) if name in wanted else None
                for name, tensor in given.items()
            ]

        return total, gradient

    return loss(*given.values())


def _is_trainable(weight) -> bool:
    """Whether a weight is trained; a tensor counts as trained, since it may be computed from variables that are."""
    return getattr(weight, "trainable", True)


def _rows_of_a_chunk(vocabulary_size: int) -> int:
    """How many tokens' logits fit into a chunk: a power of two, at least 1."""
    return 1 << max(1, policy.device_in_use().logits_bytes // (4 * vocabulary_size)).bit_length() - 1


@dataclasses.dataclass(frozen=True)
class _LastLayer:
    """The last layer, and what is computed for one chunk of tokens.

    Args:
        kernel: [D, V], in the precision of the products.
        bias: [V], or None.
        transposed: whether the kernel is [V, D].
        wanted: names of the gradients to compute: "hidden", "kernel", "bias".
        smoothing: the share of the loss that is the mean over the vocabulary, see `label_smoothing` above.
    """

    kernel: tf.Tensor
    bias: tf.Tensor | None
    transposed: bool
    wanted: list[str]
    smoothing: float

    def chunk(self, hidden, targets, weights):
        """The loss of one chunk and its gradients.

        Args:
            hidden: [n, D], in the precision of the products.
            targets: int32 [n].
            weights: float32 [n].

        Returns:
            The chunk's loss; a list of its gradient with respect to `hidden` [n, D], empty where that is not wanted;
            a dictionary of its float32 gradients with respect to the kernel and the bias, as far as they are wanted.
        """
        dtype = hidden.dtype
        logits = product(hidden, self.kernel, dtype, transpose=self.transposed)
        wide = ops.cast(logits, "float32") + (0.0 if self.bias is None else self.bias)
        # conversions and the maximum are faster outside XLA
        largest = tf.reduce_max(wide, axis=-1, keepdims=True)
        counted = {"targets": targets, "weights": weights, "smoothing": self.smoothing}
        if not self.wanted:
            return _compiled_loss(wide, largest, **counted), [], {}
        loss, d_logits = _compiled_loss_and_gradient(wide, largest, **counted)
        d_logits = ops.cast(d_logits, dtype)
        d_hidden, d_weights = [], {}
        if "hidden" in self.wanted:
            d_hidden.append(product(d_logits, self.kernel, dtype, transpose=not self.transposed))
        if "kernel" in self.wanted:
            factors = (d_logits, hidden) if self.transposed else (hidden, d_logits)
            d_weights["kernel"] = ops.cast(tf.matmul(*factors, transpose_a=True), "float32")
        if "bias" in self.wanted:
            d_weights["bias"] = self._sum_over_tokens(d_logits)
        return loss, d_hidden, d_weights

    @staticmethod
    def _sum_over_tokens(d_logits):
        """[n, V] → float32 [V]; by a product where that is faster and as exact."""
        if policy.device_in_use().rounds_products:
            return tf.reduce_sum(ops.cast(d_logits, "float32"), axis=0)
        ones = tf.ones((1, ops.shape(d_logits)[0]), d_logits.dtype)
        return ops.cast(tf.matmul(ones, d_logits)[0], "float32")


def _unrolled(layer: _LastLayer, tokens, rows: int):
    """Loss and gradients of a known number of tokens.

    Args:
        layer: the last layer.
        tokens: `hidden` [N, D], targets [N] and weights [N].
        rows: the most tokens of a chunk.

    Returns:
        The loss and a dictionary of the wanted gradients.
    """
    total, d_hidden, d_weights = 0.0, [], {}
    for start in range(0, max(1, tokens[0].shape[0]), rows):
        # each chunk waits for the one before: chunks that ran side by side would hold the logits of all tokens
        before = [total, *d_hidden[-1:], *d_weights.values()] if start else []
        with tf.control_dependencies(before):
            loss, d_rows, d_chunk = layer.chunk(*(tf.identity(tensor[start : start + rows]) for tensor in tokens))
            total = total + loss
            d_hidden += d_rows
            d_weights = {name: d_weights.get(name, 0.0) + d for name, d in d_chunk.items()}
    return total, d_weights | ({"hidden": ops.concatenate(d_hidden, axis=0)} if d_hidden else {})


def _looped(layer: _LastLayer, tokens, rows: int):
    """What `_unrolled` gives, for any number of tokens, by a graph that has the operations of one chunk only.

    Tokens of weight 0 are added at the end, so that all chunks have the same number of rows.
    """
    hidden = tokens[0]
    count = ops.shape(hidden)[0]
    chunks, rows = _even_chunks(count, rows)
    tokens = [_in_chunks(tensor, chunks, rows) for tensor in tokens]
    arrays = []
    if "hidden" in layer.wanted:
        arrays.append(tf.TensorArray(hidden.dtype, chunks, element_shape=tokens[0].shape[1:]))
    weights = {"kernel": layer.kernel, "bias": layer.bias}
    # not tf.zeros: TensorFlow makes a constant of those, which would be held in memory beside the sum
    d_weights = {
        name: tf.raw_ops.Empty(shape=weight.shape, dtype="float32", init=True)
        for name, weight in weights.items()
        if name in layer.wanted
    }

    def body(k, total, arrays, d_weights):
        loss, d_rows, d_chunk = layer.chunk(*(tf.gather(tensor, k) for tensor in tokens))
        arrays = [array.write(k, d) for array, d in zip(arrays, d_rows, strict=True)]
        return k + 1, total + loss, arrays, {name: d_weights[name] + d for name, d in d_chunk.items()}

    start = tf.constant(0), tf.constant(0.0), arrays, d_weights
    # one chunk at a time, for the memory
    _, total, arrays, d_weights = tf.while_loop(lambda k, *_: k < chunks, body, start, parallel_iterations=1)
    for array in arrays:
        d_weights["hidden"] = tf.reshape(array.stack(), (-1, hidden.shape[1]))[:count]
    return total, d_weights


def _even_chunks(count, rows: int):
    """(number of chunks, rows of each) for `count` tokens, an int or, where it is unknown, a scalar tensor.

    There are as few chunks as `rows` permits, each as small as their number permits. XLA compiles the operations of a
    chunk anew for each new number of rows. So if `count` is a tensor, the number of rows is rounded up, which makes
    different numbers rare.
    """

    def quotient(a, b):
        return -(-a // b)

    if isinstance(count, int):
        chunks = quotient(count, rows)
        return chunks, quotient(count, chunks)
    count = tf.maximum(count, 1)
    even = quotient(count, quotient(count, rows))
    rows = tf.minimum(rows, quotient(even, _ROUNDED_ROWS) * _ROUNDED_ROWS)
    return quotient(count, rows), rows


def _in_chunks(tensor, chunks, rows):
    """[N, ...] → [chunks, rows, ...], filled up with zeros."""
    missing = chunks * rows - ops.shape(tensor)[0]
    if not isinstance(missing, int) or missing:
        tensor = tf.pad(tensor, [[0, missing], *[[0, 0]] * (len(tensor.shape) - 1)])
    return tf.reshape(tensor, (chunks, rows, *tensor.shape[1:]))


def _loss(logits, largest, targets, weights, smoothing):
    return _parts(logits, largest=largest, targets=targets, weights=weights, smoothing=smoothing)[0]


def _loss_and_gradient(logits, largest, targets, weights, smoothing):
    """The loss of some tokens, and its gradient with respect to their logits [n, V]."""
    loss, powers, total = _parts(logits, largest=largest, targets=targets, weights=weights, smoothing=smoothing)
    hit = ops.arange(logits.shape[-1])[None] == targets[:, None]
    wanted = ops.where(hit, weights[:, None], 0.0)
    if smoothing:
        wanted = (1 - smoothing) * wanted + (smoothing / logits.shape[-1]) * weights[:, None]
    return loss, powers * (weights[:, None] / total) - wanted


def _parts(logits, largest, targets, weights, smoothing):
    powers = ops.exp(logits - largest)
    total = ops.sum(powers, axis=-1, keepdims=True)
    chosen = ops.take_along_axis(logits, targets[:, None], axis=1)
    if smoothing:
        chosen = (1 - smoothing) * chosen + smoothing * ops.mean(logits, axis=-1, keepdims=True)
    losses = ops.squeeze(ops.log(total) + largest - chosen, -1)
    return ops.sum(losses * weights), powers, total


_compiled_loss = tf.function(_loss, jit_compile=True, autograph=False)
_compiled_loss_and_gradient = tf.function(_loss_and_gradient, jit_compile=True, autograph=False)
