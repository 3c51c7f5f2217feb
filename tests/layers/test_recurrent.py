"""The LSTM with a short loop over time against Keras' own; the networks' tests hold it against its formulas."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.layers import recurrent
from lmkeras.layers.recurrent import LSTM
from lmkeras.training import policy
from tests.layers.formulas import fill

BATCH, WIDTH, UNITS = 3, 4, 5
RANDOM = np.random.default_rng(4)
STATE = [RANDOM.normal(size=(BATCH, UNITS)).astype("float32") for _ in range(2)]
MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [1, 1, 0, 1, 0, 1]], bool)


def texts(length=6):
    return RANDOM.normal(size=(BATCH, length, WIDTH)).astype("float32")


def new(layer_class=LSTM, **arguments):
    layer = layer_class(UNITS, **{"return_sequences": True, "return_state": True, **arguments})
    layer.build((BATCH, None, WIDTH))
    return fill(layer)


def outputs_and_gradients(layer, x, state=STATE, **arguments):
    """Outputs, last states, gradients of inputs, states and weights; each output pulls in a direction of its own."""
    inputs = [tf.convert_to_tensor(value) for value in (x, *state)]
    random = np.random.default_rng(5)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = [tf.cast(y, "float32") for y in layer(inputs[0], initial_state=inputs[1:], **arguments)]
        total = tf.add_n([tf.reduce_sum(y * random.normal(size=np.shape(x)[:1] + y.shape[1:])) for y in outputs])
    return [*outputs, *tape.gradient(total, [*inputs, *layer.trainable_weights])]


def assert_equal(actual, expected, tolerance=1e-5):
    for y, z in zip(actual, expected, strict=True):
        np.testing.assert_allclose(y, z, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, recurrent._UNROLLED_TOKENS + 1])
def test_outputs_and_gradients_are_keras(length, training):
    x = texts(length)
    expected = outputs_and_gradients(new(keras.layers.LSTM), x, training=training)
    assert_equal(outputs_and_gradients(new(), x, training=training), expected)


@pytest.mark.parametrize("training", [False, True])
def test_of_unknown_length_too(training):
    layer, x = new(), texts(7)
    signature = [tf.TensorSpec((None, None, WIDTH)), *[tf.TensorSpec((None, UNITS))] * 2]

    @tf.function(input_signature=signature)
    def outputs(x, h, c):
        return layer(x, initial_state=[h, c], training=training)

    assert_equal(outputs(x, *STATE), new(keras.layers.LSTM)(x, initial_state=STATE))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(outputs(x, *STATE)[0])
    actual = tape.gradient(total, layer.trainable_weights)
    like = new(keras.layers.LSTM)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(like(x, initial_state=STATE)[0])
    assert_equal(actual, tape.gradient(total, like.trainable_weights))


@pytest.mark.parametrize("length", [7, recurrent._UNROLLED_TOKENS + 1])
@pytest.mark.parametrize("training", [False, True])
def test_xla_compiles_the_whole(length, training):
    layer, x = new(), texts(length)
    compiled = tf.function(lambda x: outputs_and_gradients(layer, x, training=training), jit_compile=True)
    assert_equal(compiled(x), outputs_and_gradients(new(keras.layers.LSTM), x))


def test_bfloat16_is_nearer_to_float32_than_one_in_a_hundred():
    x = texts(40)
    expected = outputs_and_gradients(new(keras.layers.LSTM), x)
    actual = outputs_and_gradients(new(dtype="mixed_bfloat16"), x, training=True)
    for y, z in zip(actual, expected, strict=True):
        assert np.linalg.norm(np.asarray(y, "float32") - z) < 0.01 * np.linalg.norm(z)


@pytest.mark.parametrize(
    "arguments",
    [
        {"return_sequences": False},
        {"stateful": True},
        {"go_backwards": True},
        {"activation": "relu"},
        {"recurrent_activation": "hard_sigmoid"},
        {"use_bias": False},
        {"unroll": True},
        {"zero_output_for_mask": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [False, True])
def test_every_argument_means_what_it_means_to_keras(arguments, training):
    ours, theirs = new(**arguments), new(keras.layers.LSTM, **arguments)
    x = texts(2 * BATCH)
    for part in (x[:, :3], x[:, 3:]):  # a stateful layer goes on where it was
        assert_equal(ours(part, training=training), theirs(part, training=training))


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
def test_dropout_inside_is_keras(name):
    x = texts()
    expected = new(keras.layers.LSTM, **{name: 0.5, "seed": 1})(x, training=True)
    assert_equal(new(**{name: 0.5, "seed": 1})(x, training=True), expected)


def test_a_mask_is_heeded_as_keras_does():
    x = texts()
    expected = outputs_and_gradients(new(keras.layers.LSTM), x, mask=MASK)
    assert_equal(outputs_and_gradients(new(), x, mask=MASK, training=True), expected)


@pytest.fixture
def kernel_calls(monkeypatch):
    """The arguments of every call of cuDNN's kernel, which gives zeros here."""
    calls = []

    def kernel(**given):
        calls.append(given)
        zeros = tf.zeros([*given["input"].shape[:2], given["input_h"].shape[-1]], given["input"].dtype)
        return zeros, given["input_h"], given["input_c"], None, None

    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", kernel)
    return calls


GPU = policy.Device(True, compute_capability=(8, 0))


def test_on_a_gpu_cudnn_gets_what_keras_gives_it(monkeypatch, kernel_calls):
    layer, x = new(), texts()
    with policy.working_on(GPU):
        outputs, *_ = layer(x, training=True)
    keras_rnn = sys.modules["keras.src.backend.tensorflow.rnn"]
    monkeypatch.setattr(keras_rnn, "cudnn_ok", lambda *args, **kwargs: True)
    new(keras.layers.LSTM, use_cudnn=True)(x)
    ours, expected = kernel_calls
    assert outputs.shape == (*x.shape[:2], UNITS)
    for name in ("input", "input_h", "input_c", "params", "sequence_lengths"):
        np.testing.assert_array_equal(ours[name], expected[name])
    assert {name: ours[name] for name in ("rnn_mode", "is_training", "time_major")} == {
        "rnn_mode": "lstm",
        "is_training": True,
        "time_major": False,
    }


@pytest.mark.parametrize(
    ("precision", "multiplied"), [("mixed_bfloat16", "float32"), ("mixed_float16", "float16"), ("float32", "float32")]
)
def test_cudnn_multiplies_in_a_precision_that_it_has(kernel_calls, precision, multiplied):
    with policy.working_on(GPU):
        outputs, *_ = new(dtype=precision)(texts())
    dtypes = {tensor.dtype.name for tensor in kernel_calls[0].values() if tf.is_tensor(tensor)}
    assert dtypes == {multiplied, "int32"}
    assert outputs.dtype == precision.removeprefix("mixed_")


def test_cudnn_is_not_asked_on_cpus_for_exports_or_with_masks(kernel_calls):
    layer, x = new(), texts()
    with policy.working_on(policy.cpu()):
        expected = layer(x)
    with policy.working_on(GPU), policy.without_cudnn():
        assert_equal(layer(x), expected, 0)
        masked = layer(x, mask=MASK)
    assert_equal(masked, new(keras.layers.LSTM)(x, mask=MASK))
    assert not kernel_calls


def test_a_saved_layer_is_the_same_and_keras_weights_fit(tmp_path):
    inputs = keras.Input((None, WIDTH))
    for name, layer_class in {"ours": LSTM, "keras": keras.layers.LSTM}.items():
        model = keras.Model(inputs, new(layer_class)(inputs))
        model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
    x, expected = texts(), new()
    loaded = keras.saving.load_model(tmp_path / "ours.keras")
    assert type(loaded.layers[-1]) is LSTM
    assert_equal(loaded(x), expected(x), 0)
    assert [weight.name for weight in loaded.weights] == [weight.name for weight in model.weights]
    for weight in loaded.weights:
        weight.assign(0 * weight)
    loaded.load_weights(tmp_path / "keras.weights.h5")
    assert_equal(loaded(x), expected(x), 0)


def needs_a_compiler(function):
    definition = function.get_concrete_function().graph.as_graph_def()
    return any(
        "_XlaMustCompile" in each.attr and each.attr["_XlaMustCompile"].b for each in definition.library.function
    )


def test_what_is_exported_runs_where_there_is_no_compiler():
    layer, x = new(), texts()
    assert needs_a_compiler(tf.function(lambda: layer(x, training=True)))
    assert not needs_a_compiler(tf.function(lambda: layer(x)))
