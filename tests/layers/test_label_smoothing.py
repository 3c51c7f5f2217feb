"""Label smoothing in the loss over a vocabulary, beside its closed form and Keras' loss of smoothed one-hot rows."""

import collections

import keras
import pytest
import tensorflow as tf

from lmkeras.layers.vocabulary_loss import vocabulary_loss
from tests.layers.test_vocabulary_loss import (
    BIAS,
    HIDDEN,
    KERNEL,
    TARGETS,
    TOKENS,
    VOCABULARY,
    WEIGHTS,
    WIDTH,
    assert_close,
    exact,
    hold,
    operations,
    value_and_gradients,
)


@pytest.fixture(params=[8, 128, 1024], ids=["a loop", "three chunks", "one chunk"])
def chunk(request, monkeypatch):
    hold(monkeypatch, rows=request.param)


SMOOTHINGS = [0.1, 1.0]


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("bias", [BIAS, None], ids=["bias", "no bias"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 2**-6)])
def test_smoothed_labels_are_their_closed_form(chunk, smoothing, bias, dtype, tolerance):
    def ours(hidden, kernel, bias):
        return vocabulary_loss(hidden, kernel, bias, TARGETS, WEIGHTS, dtype, label_smoothing=smoothing)

    def of_keras(hidden, kernel, bias):
        logits = hidden @ kernel + (0 if bias is None else bias)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
        return tf.reduce_sum(WEIGHTS * loss(tf.one_hot(TARGETS, VOCABULARY), logits))

    actual = value_and_gradients(ours, HIDDEN, KERNEL, bias)
    assert_close(actual, exact(HIDDEN, KERNEL, bias, TARGETS, WEIGHTS, smoothing), tolerance)
    assert_close(actual, value_and_gradients(of_keras, HIDDEN, KERNEL, bias), tolerance)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_smoothed_labels_of_a_tied_matrix(chunk, smoothing):
    def ours(hidden, table):
        options = {"transposed": True, "label_smoothing": smoothing}
        return vocabulary_loss(hidden, table, None, TARGETS, WEIGHTS, "float32", **options)

    value, d_hidden, d_table = value_and_gradients(ours, HIDDEN, KERNEL.T)
    assert_close([value, d_hidden, tf.transpose(d_table)], exact(HIDDEN, KERNEL, None, TARGETS, WEIGHTS, smoothing))


def test_evaluation_smooths_no_labels_but_training_in_which_all_is_frozen_does(chunk):
    kernel = keras.Variable(KERNEL, trainable=False)
    losses = {
        training: float(
            vocabulary_loss(
                HIDDEN,
                kernel,
                None,
                targets=TARGETS,
                weights=WEIGHTS,
                dtype="float32",
                training=training,
                hidden_trainable=False,
                label_smoothing=0.3,
            )
        )
        for training in (False, True)
    }
    for training, smoothing in ((False, 0.0), (True, 0.3)):
        expected = exact(HIDDEN, KERNEL, None, TARGETS, WEIGHTS, smoothing)[0]
        assert losses[training] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rows", [TOKENS, None], ids=["one chunk", "a loop"])
def test_smoothing_is_one_more_mean_over_the_vocabulary_and_nothing_where_it_is_0(rows):
    def operations_with(**options):
        def step(hidden, targets, weights):
            with tf.GradientTape() as tape:
                tape.watch(hidden)
                loss = vocabulary_loss(hidden, KERNEL, None, targets, weights, "float32", **options)
            return loss, tape.gradient(loss, hidden)

        specs = tf.TensorSpec([rows, WIDTH]), tf.TensorSpec([rows], "int32"), tf.TensorSpec([rows])
        return collections.Counter(operations(step, *specs))

    without = operations_with()
    assert operations_with(label_smoothing=0.0) == without
    assert operations_with(label_smoothing=0.1, training=False) == operations_with(training=False)
    more = operations_with(label_smoothing=0.1) - without
    assert more["Mean"] + more["Sum"] == 1
    assert more["MatMul"] == 0
