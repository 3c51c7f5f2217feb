"""Keras' LSTM with as little work as possible inside its loop over the tokens.

Keras multiplies each token's vector by the input kernel inside the loop, and TensorFlow's gradient of the loop computes
each weight's gradient by one matrix product for each token. Many small products are slower than one large product. So
here one product before the loop multiplies the vectors of all tokens by the input kernel, and one product for each
weight, after the backward loop, gives the weight's gradient. Inside the loop stay the product of the previous output
with the recurrent kernel, and the gates, whose element-wise operations XLA compiles into one.

"Time" t is the position of a token: the loop goes from time 0 to time T - 1, the backward loop from T - 1 to 0.

Shape letters: B batch, T tokens, D width, U units.
"""

import keras
import tensorflow as tf

from lmkeras.training import policy

_UNROLLED_TOKENS = 64  # up to this length each time has operations of its own in the graph, faster than a loop
_IS_ROCM = tf.sysconfig.get_build_info()["is_rocm_build"]  # AMD's kernel orders weights otherwise than cuDNN


def _cell(inputs, recurrent, bias, c):
    """One time of an LSTM.

    Args:
        inputs: the token's vectors times the input kernel [B, 4U].
        recurrent: the previous output times the recurrent kernel [B, 4U].
        bias: [4U].
        c: float32, the previous cell state [B, U].

    Returns:
        The output, the new cell state, and what `_cell_gradient` needs: the gates i, f, g, o and tanh of the new cell
        state, each [B, U].
    """
    z = tf.cast(inputs, "float32") + tf.cast(recurrent, "float32") + tf.cast(bias, "float32")
    i, f, g, o = tf.split(z, 4, axis=-1)
    i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
    c = f * c + i * g
    squashed = tf.tanh(c)
    return tf.cast(o * squashed, inputs.dtype), c, i, f, g, o, squashed


def _cell_gradient(dh, later, dc, c, i, f, g, o, squashed):
    """The gradient of `_cell`. "Gradient of x" is the gradient of the training loss with respect to x.

    Args:
        dh: gradient of the output, as far as the layers above use the output.
        later: gradient of the output, as far as later times use the output.
        dc: gradient of the new cell state.
        c: the previous cell state.
        i, f, g, o: the gates.
        squashed: tanh of the new cell state.

    Returns:
        The gradient of the previous cell state [B, U], and that of inputs + recurrent + bias [B, 4U].
    """
    dh = tf.cast(dh, "float32") + tf.cast(later, "float32")
    dc = dc + dh * o * (1 - squashed * squashed)
    dz = [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * squashed * o * (1 - o)]
    # stack and reshape give what tf.concat(dz, axis=-1) gives, in two thirds of the time that XLA takes for concat
    return dc * f, tf.reshape(tf.cast(tf.stack(dz, axis=1), later.dtype), (-1, 4 * c.shape[-1]))


_compiled_cell = tf.function(_cell, jit_compile=True, autograph=False)
_compiled_cell_gradient = tf.function(_cell_gradient, jit_compile=True, autograph=False)


def _loop(length, step, state, arrays, backward=False):
    """Calls step(t, *state) → (new state, outputs) for each time.

    Args:
        length: number of times: an int, or a scalar tensor where it is unknown.
        step: the function.
        state: tuple of tensors, the state that the first call gets.
        arrays: one TensorArray for each output of a step, which is written into it at index t.
        backward: whether the times go from the last one to 0.

    Returns:
        The last state and the arrays.
    """

    def body(k, state, arrays):
        t = length - 1 - k if backward else k
        state, outputs = step(t, *state)
        return k + 1, state, [array.write(t, y) for array, y in zip(arrays, outputs, strict=False)]

    loop = 0, state, arrays
    if isinstance(length, int) and length <= _UNROLLED_TOKENS:
        for _ in range(length):
            loop = body(*loop)
    else:
        loop = tf.while_loop(lambda k, *_: k < length, body, loop, maximum_iterations=length)
    return loop[1:]


def _arrays(like, length, count=1):
    """`count` TensorArrays, each for `length` tensors of the shape and dtype of `like`."""
    return [tf.TensorArray(like.dtype, length, element_shape=like.shape) for _ in range(count)]


def _reader(x):
    """Function t → x[t]."""
    return tf.TensorArray(x.dtype, _length(x), element_shape=x.shape[1:]).unstack(x).read


def _length(x):
    return tf.shape(x)[0] if x.shape[0] is None else x.shape[0]


def _outputs(inputs, kernel, bias, h, c):
    """The LSTM over all times in plain TensorFlow operations, so that an exported model needs no XLA to run.

    Args:
        inputs: the vectors of all tokens times the input kernel [T, B, 4U], the gates in the order i, f, g, o.
        kernel: the recurrent kernel [U, 4U].
        bias: [4U].
        h: the output before the first time [B, U].
        c: float32, the cell state before the first time [B, U].

    Returns:
        Outputs [T, B, U], the last output, the last cell state.
    """
    read, length = _reader(inputs), _length(inputs)

    def step(t, h, c):
        h, c, *_ = _cell(read(t), tf.matmul(h, kernel), bias=bias, c=c)
        return (h, c), (h,)

    (h, c), (outputs,) = _loop(length, step, state=(h, c), arrays=_arrays(h, length))
    return outputs.stack(), h, c


@tf.custom_gradient
def _trained_outputs(inputs, kernel, bias, h, c):
    """`_outputs` for training: XLA compiles the gates, and the gradient is the module's own instead of TensorFlow's."""
    read, length, first = _reader(inputs), _length(inputs), h

    def step(t, h, c):
        h, new_c, *gates = _compiled_cell(read(t), tf.matmul(h, kernel), bias=bias, c=c)
        return (h, new_c), (h, c, *gates)

    arrays = [*_arrays(h, length), *_arrays(c, length, count=6)]
    (h, c), (outputs, *kept) = _loop(length, step, state=(h, c), arrays=arrays)
    outputs = outputs.stack()

    def gradient(d_outputs, dh, dc):
        read = _reader(d_outputs)

        def step(t, dh, dc):
            dc, dz = _compiled_cell_gradient(read(t), dh, dc, *(array.read(t) for array in kept))
            return (tf.matmul(dz, kernel, transpose_b=True), dc), (dz,)

        (dh, dc), (dz,) = _loop(length, step, state=(dh, dc), arrays=_arrays(inputs[0], length), backward=True)
        dz = dz.stack()
        before = tf.reshape(tf.concat([first[None], outputs[:-1]], axis=0), (-1, kernel.shape[0]))  # [T·B, U]
        rows = tf.reshape(dz, (-1, kernel.shape[1]))  # [T·B, 4U]
        d_bias = tf.matmul(tf.ones_like(rows[:, :1]), rows, transpose_a=True)[0]  # faster than tf.reduce_sum
        return dz, tf.matmul(before, rows, transpose_a=True), tf.cast(d_bias, bias.dtype), dh, dc

    return (outputs, h, c), gradient


def _outputs_of_cudnn(sequences, kernel, recurrent_kernel, bias, h, c):
    """The LSTM over all times by cuDNN's kernel, which only NVIDIA's GPUs have.

    Args:
        sequences: float32 or float16 [B, T, D], as all other arguments.
        kernel: the input kernel [D, 4U], the gates in the order i, f, g, o.
        recurrent_kernel: [U, 4U].
        bias: [4U].
        h: the output before the first time [B, U].
        c: the cell state before the first time [B, U].

    Returns:
        Outputs [B, T, U], the last output, the last cell state.
    """
    # one vector: the matrices of the input's gates and of the recurrence's, [U, D] and [U, U], then a bias for each.
    # cuDNN adds two biases at each gate, of which the first is 0 here
    gates = [*tf.split(kernel, 4, axis=1), *tf.split(recurrent_kernel, 4, axis=1)]
    matrices = [tf.reshape(tf.transpose(gate), [-1]) for gate in gates]
    outputs, h, c, *_ = tf.raw_ops.CudnnRNNV3(
        input=sequences,
        input_h=h[:, None],
        input_c=c[:, None],
        params=tf.concat([*matrices, tf.zeros_like(bias), bias], axis=0),
        sequence_lengths=tf.repeat(tf.shape(sequences)[1], tf.shape(sequences)[0]),
        rnn_mode="lstm",
        is_training=True,  # the gradient needs what it keeps, and gradients are asked for outside training too
        time_major=False,
    )
    return outputs, h[:, 0], c[:, 0]


class _ChoosesKernel:
    """Mixin for Keras' recurrent layers: whether cuDNN's kernel may run is decided when the layer is called."""

    @property
    def use_cudnn(self):
        """Keras' argument of this name: "auto" where the policy lets cuDNN run, else False."""
        return "auto" if policy.uses_cudnn() else False

    @use_cudnn.setter
    def use_cudnn(self, value):
        pass  # Keras' constructor sets it


@keras.saving.register_keras_serializable("lmkeras")
class GRU(_ChoosesKernel, keras.layers.GRU):
    """Keras' GRU with the same arguments, weights, states and outputs, whose graphs can be traced for any device."""


@keras.saving.register_keras_serializable("lmkeras")
class LSTM(_ChoosesKernel, keras.layers.LSTM):
    """Keras' LSTM with the same arguments, weights, states and outputs, which trains faster on a CPU.

    Gates and cell states are computed in float32 in every precision but float16; under mixed_bfloat16 the matrix
    products and the outputs are bfloat16. On GPUs cuDNN's kernel does the work; so that cell states stay float32, it
    gets float32 there, of numbers that were rounded to bfloat16. Keras' own LSTM does the work where an argument asks
    for other activations, for dropout, for no bias, for the reverse direction or unrolling, or where there is a mask.

    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 for the forget gate.

    Example:
        >>> LSTM(5, return_sequences=True)(np.zeros((2, 7, 3))).shape
        TensorShape([2, 7, 5])
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """The loop over time, which Keras calls: sequences [B, T, D] → last output, all outputs, last states."""
        if mask is not None or not self._is_plain() or (policy.uses_cudnn() and _IS_ROCM):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        dtype, cell = self.compute_dtype, self.cell
        kernel, recurrent_kernel, bias = (
            tf.cast(weight, dtype) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
        )
        h, c = initial_state
        if policy.uses_cudnn():
            given = sequences, kernel, recurrent_kernel, bias, h, c
            wide = [tf.cast(tensor, "float16" if dtype == "float16" else "float32") for tensor in given]
            outputs, h, c = _outputs_of_cudnn(*wide)
            outputs, h = tf.cast(outputs, dtype), tf.cast(h, dtype)
            return h, outputs, [h, c]
        inputs = tf.tensordot(tf.transpose(sequences, (1, 0, 2)), kernel, axes=1)  # [T, B, 4U]
        recur = _trained_outputs if training else _outputs
        outputs, h, c = recur(inputs, recurrent_kernel, bias, h, tf.cast(c, "float32"))
        return h, tf.transpose(outputs, (1, 0, 2)), [h, c]

    def _is_plain(self) -> bool:
        activations = self.activation is keras.activations.tanh, self.recurrent_activation is keras.activations.sigmoid
        others = self.dropout, self.recurrent_dropout, self.go_backwards, self.unroll, self.zero_output_for_mask
        return all(activations) and self.use_bias and not any(others)
