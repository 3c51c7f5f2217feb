from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.layers import vocabulary_loss as module
from lmkeras.layers.vocabulary_loss import vocabulary_loss
from lmkeras.training import policy

TOKENS, WIDTH, VOCABULARY = 300, 8, 50
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(size=(TOKENS, WIDTH)).astype("float32")
KERNEL = RANDOM.normal(size=(WIDTH, VOCABULARY)).astype("float32")
BIAS = RANDOM.normal(size=VOCABULARY).astype("float32")
TARGETS = RANDOM.integers(0, VOCABULARY, TOKENS).astype("int32")
WEIGHTS = RANDOM.random(TOKENS).astype("float32") * (RANDOM.random(TOKENS) < 0.7)
UPSTREAM = 3.0  # the gradient that comes from above, which is not 1 where a loss is scaled


def exact(hidden, kernel, bias, targets, weights, smoothing=0.0):
    """The loss, and UPSTREAM times its gradients, by their closed forms in float64."""
    hidden, kernel, weights = (np.asarray(x, "float64") for x in (hidden, kernel, weights))
    logits = hidden @ kernel + (0 if bias is None else bias)
    logits -= logits.max(axis=-1, keepdims=True)
    log_shares = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    vocabulary = kernel.shape[1]
    wanted = (1 - smoothing) * np.eye(vocabulary)[targets] + smoothing / vocabulary
    d_logits = UPSTREAM * weights[:, None] * (np.exp(log_shares) - wanted)
    loss = -weights @ (wanted * log_shares).sum(axis=-1)
    gradients = [d_logits @ kernel.T, hidden.T @ d_logits, d_logits.sum(axis=0)]
    return [loss, *(gradients[:2] if bias is None else gradients)]


def plain(hidden, kernel, bias, targets=TARGETS, weights=WEIGHTS):
    """What TensorFlow gives for all logits at once."""
    logits = hidden @ kernel + (0 if bias is None else bias)
    return tf.reduce_sum(weights * tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))


def value_and_gradients(loss, *tensors):
    """The loss, and UPSTREAM times its gradient with respect to each tensor that is not None."""
    tensors = [None if tensor is None else tf.convert_to_tensor(tensor) for tensor in tensors]
    real = [tensor for tensor in tensors if tensor is not None]
    with tf.GradientTape() as tape:
        tape.watch(real)
        value = loss(*tensors)
        scaled = UPSTREAM * value
    return [value, *tape.gradient(scaled, real)]


def assert_close(actual, expected, tolerance=1e-5):
    for left, right in zip(actual, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance * max(1e-6, np.abs(right).max(initial=0)))


def hold(monkeypatch, rows, vocabulary_size=VOCABULARY):
    """Makes chunks of at most this many tokens."""
    monkeypatch.setattr(policy.Device, "logits_bytes", 4 * rows * vocabulary_size)


@pytest.fixture(params=[8, 128, 1024], ids=["a loop", "three chunks", "one chunk"])
def chunk(request, monkeypatch):
    hold(monkeypatch, rows=request.param)


@pytest.mark.parametrize("bias", [BIAS, None], ids=["bias", "no bias"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 2**-6)])
def test_loss_and_gradients_are_those_of_all_logits_at_once(chunk, bias, dtype, tolerance):
    def ours(hidden, kernel, bias):
        return vocabulary_loss(hidden, kernel, bias, TARGETS, WEIGHTS, dtype)

    actual = value_and_gradients(ours, HIDDEN, KERNEL, bias)
    assert_close(actual, value_and_gradients(plain, HIDDEN, KERNEL, bias), tolerance)
    assert_close(actual, exact(HIDDEN, KERNEL, bias, TARGETS, WEIGHTS), tolerance)


def test_a_tied_matrix(chunk):
    def ours(hidden, table):
        return vocabulary_loss(hidden, table, None, TARGETS, WEIGHTS, "float32", transposed=True)

    value, d_hidden, d_table = value_and_gradients(ours, HIDDEN, KERNEL.T)
    assert_close([value, d_hidden, tf.transpose(d_table)], exact(HIDDEN, KERNEL, None, TARGETS, WEIGHTS))


def test_large_logits_stay_finite():
    value, *gradients = value_and_gradients(
        lambda hidden, kernel: vocabulary_loss(hidden, kernel, None, TARGETS, WEIGHTS, "float32"), 1e3 * HIDDEN, KERNEL
    )
    expected, *_ = exact(1e3 * HIDDEN, KERNEL, None, TARGETS, WEIGHTS)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_tokens_of_weight_0_count_for_nothing(chunk):
    def ours(hidden, kernel, bias):
        return vocabulary_loss(hidden, kernel, bias, TARGETS, np.zeros(TOKENS, "float32"), "float32")

    assert all(not np.any(found) for found in value_and_gradients(ours, HIDDEN, KERNEL, BIAS))


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "XLA"])
def test_one_graph_serves_every_number_of_tokens(compiled, monkeypatch):
    hold(monkeypatch, rows=16)
    traces = []

    @tf.function(
        input_signature=[tf.TensorSpec([None, WIDTH]), tf.TensorSpec([None], "int32"), tf.TensorSpec([None])],
        jit_compile=compiled,
    )
    def ours(hidden, targets, weights):
        traces.append(hidden.shape)

        def loss(*tensors):
            return vocabulary_loss(*tensors, targets, weights, "float32")

        return value_and_gradients(loss, hidden, KERNEL, BIAS)

    for count in (1, 2, 16, 17, 97, 300, 0):
        part = slice(0, count)
        actual = ours(HIDDEN[part], TARGETS[part], WEIGHTS[part])
        assert_close(actual, exact(HIDDEN[part], KERNEL, BIAS, TARGETS[part], WEIGHTS[part]))
    assert len(traces) == 1


@pytest.mark.parametrize("count", [0, 1, 7, 64, 65, 131, 300])
def test_any_known_number_of_tokens(count, monkeypatch):
    hold(monkeypatch, rows=16)
    part = slice(0, count)

    def loss(*tensors):
        return vocabulary_loss(*tensors, TARGETS[part], WEIGHTS[part], "float32")

    actual = tf.function(value_and_gradients)(loss, HIDDEN[part], KERNEL, BIAS)
    assert_close(actual, exact(HIDDEN[part], KERNEL, BIAS, TARGETS[part], WEIGHTS[part]))


@pytest.mark.parametrize("rows", [8, 128], ids=["a loop", "three chunks"])
def test_xla_gives_the_same(rows, monkeypatch):
    hold(monkeypatch, rows)

    def ours(hidden, kernel, bias):
        return value_and_gradients(
            lambda *tensors: vocabulary_loss(*tensors, TARGETS, WEIGHTS, "float32"), hidden, kernel, bias
        )

    expected = tf.function(ours)(HIDDEN, KERNEL, BIAS)
    assert_close(tf.function(ours, jit_compile=True)(HIDDEN, KERNEL, BIAS), expected)


def operations(function, *specs):
    """The types of all operations of a function's graph, loops and inner functions included."""
    graph = tf.function(function, autograph=False).get_concrete_function(*specs).graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return [node.op for node in nodes]


def products(rows, hidden_trainable, kernel_trainable, bias_trainable, training=True):
    """How many matrix products a step over `rows` tokens has, and which of the three have a gradient."""
    kernel = keras.Variable(KERNEL, trainable=kernel_trainable)
    bias = keras.Variable(BIAS, trainable=bias_trainable)
    given = []

    def step(hidden, targets, weights):
        tensors = [hidden, kernel.value, bias.value]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            options = {"hidden_trainable": hidden_trainable, "training": training}
            loss = vocabulary_loss(hidden, kernel, bias, targets, weights, "float32", **options)
        gradients = tape.gradient(loss, tensors)
        given[:] = [gradient is not None for gradient in gradients]
        return loss, [gradient for gradient in gradients if gradient is not None]

    specs = tf.TensorSpec([rows, WIDTH]), tf.TensorSpec([rows], "int32"), tf.TensorSpec([rows])
    return operations(step, *specs).count("MatMul"), given


@pytest.mark.parametrize("rows", [TOKENS, None], ids=["one chunk", "a loop"])
@pytest.mark.parametrize("trainable", list(np.ndindex(2, 2, 2)), ids=str)
def test_what_is_frozen_costs_nothing(rows, trainable):
    assert products(rows, *map(bool, trainable)) == (1 + sum(trainable), [bool(one) for one in trainable])


@pytest.mark.parametrize("rows", [TOKENS, None], ids=["one chunk", "a loop"])
def test_evaluation_makes_logits_alone(rows):
    assert products(rows, True, True, True, training=False) == (1, [False, False, False])


@pytest.mark.parametrize("rows", [8, 128], ids=["a loop", "three chunks"])
def test_evaluation_gives_the_loss_of_training(rows, monkeypatch):
    hold(monkeypatch, rows)
    losses = [
        float(vocabulary_loss(HIDDEN, KERNEL, BIAS, TARGETS, WEIGHTS, "float32", training=training))
        for training in (False, True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


@pytest.mark.parametrize("trainable", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 1)], ids=str)
def test_what_is_left_to_train_has_the_same_gradients(chunk, trainable):
    kernel = keras.Variable(KERNEL, trainable=bool(trainable[1]))
    bias = keras.Variable(BIAS, trainable=bool(trainable[2]))

    def ours(hidden, *_):
        options = {"hidden_trainable": bool(trainable[0])}
        return vocabulary_loss(hidden, kernel, bias, TARGETS, WEIGHTS, "float32", **options)

    hidden = tf.constant(HIDDEN)
    with tf.GradientTape() as tape:
        tape.watch([hidden, kernel.value, bias.value])
        loss = UPSTREAM * ours(hidden)
    gradients = tape.gradient(loss, [hidden, kernel.value, bias.value])
    assert [gradient is not None for gradient in gradients] == [bool(one) for one in trainable]
    expected = exact(HIDDEN, KERNEL, BIAS, TARGETS, WEIGHTS)[1:]
    kept = [(left, right) for left, right in zip(gradients, expected, strict=True) if left is not None]
    assert_close(*zip(*kept, strict=True))


def test_the_graph_grows_neither_with_tokens_nor_with_the_vocabulary():
    def size(count, vocabulary_size):
        def step(hidden, kernel, targets, weights):
            with tf.GradientTape() as tape:
                tape.watch([hidden, kernel])
                loss = vocabulary_loss(hidden, kernel, None, targets, weights, "float32")
            return tape.gradient(loss, [hidden, kernel])

        shapes = [count, WIDTH], [WIDTH, vocabulary_size]
        specs = tf.TensorSpec([count], "int32"), tf.TensorSpec([count])
        return len(operations(step, *map(tf.TensorSpec, shapes), *specs))

    sizes = {size(count, vocabulary) for count in (1 << 14, 1 << 20) for vocabulary in (50_000, 5_000_000)}
    assert len(sizes) == 1


def test_the_logits_of_a_chunk_have_a_bounded_size_however_large_the_vocabulary_is(monkeypatch):
    seen = []
    real = module.product

    def watched(x, kernel, *arguments, **options):
        y = real(x, kernel, *arguments, **options)
        seen.append(y.shape)
        return y

    monkeypatch.setattr(module, "product", watched)
    for vocabulary in (100, 50_000, 151_936, 2_000_000, 20_000_000):
        seen.clear()
        specs = tf.TensorSpec([1 << 20, 2]), tf.TensorSpec([2, vocabulary]), tf.TensorSpec([1 << 20], "int32")
        operations(
            lambda hidden, kernel, targets: vocabulary_loss(
                hidden, kernel, None, targets, tf.ones(1 << 20), "float32", training=False
            ),
            *specs,
        )
        assert seen, "the loss makes its logits by `product`"
        for rows, columns in seen:
            assert columns == vocabulary
            assert rows == 1 or 4 * rows * columns <= policy.cpu().logits_bytes


def most_memory():
    """The most bytes of memory that this process ever held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts memory as Linux does")
def test_a_loop_takes_no_more_memory_than_separate_chunks(monkeypatch):
    width, vocabulary = 512, 50_000
    hold(monkeypatch, rows=16, vocabulary_size=vocabulary)
    kernel = tf.Variable(tf.zeros((width, vocabulary)))

    def after_a_step(unrolled_chunks):
        monkeypatch.setattr(module, "_UNROLLED_CHUNKS", unrolled_chunks)

        @tf.function
        def step(hidden, targets, weights):
            with tf.GradientTape() as tape:
                loss = vocabulary_loss(hidden, kernel, None, targets, weights, "float32")
            kernel.assign_sub(tape.gradient(loss, kernel))

        step(tf.ones((64, width)), tf.zeros(64, "int32"), tf.ones(64))
        return most_memory()

    separate = after_a_step(unrolled_chunks=4)
    assert after_a_step(unrolled_chunks=0) < separate + 4 * width * vocabulary / 2
