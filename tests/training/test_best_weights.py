"""Which weights a training keeps: a network that is a table of logits shows any course of accuracies and losses."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.networks.contract import Body
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.training import fit as harness
from lmkeras.training.checkpoints import Checkpoints
from lmkeras.training.run import Batches, Judgement, Run
from lmkeras.training.settings import TrainingSettings

# Four texts of an id each, all of class 0. A table of their logits is the network, so that a course of tables is one of
# accuracies and losses: the most accurate table, the third, is unsure; the second errs once and is sure of the rest.
MARGINS = np.array([[-1, -1, 1, 1], [4, 4, 4, -0.5], [0.1, 0.1, 0.1, 0.1], [2, 2, 2, -0.5], [1, 1, -1, -1]])
ACCURACIES = [0.5, 0.75, 1.0, 0.75, 0.5]
LOSSES = np.log1p(np.exp(-MARGINS))  # two classes: -log P = log(1 + exp(-margin))

# All texts right from the first table on, and ever surer of it: the loss falls from 0.43 to 0.02.
SURER_LOSSES = np.array([0.43, 0.2, 0.1, 0.05, 0.02])
SURER = np.repeat(-np.log(np.expm1(SURER_LOSSES))[:, None], 4, axis=1)


class Table(Body, keras.layers.Layer):
    """Two numbers for each of four ids."""

    vocabulary_size, dropout, summary_size = 4, 0.0, 2

    def build(self, input_shape):
        self.embedding = keras.layers.Embedding(4, 2)
        self.embedding.build(input_shape)
        self.built = True

    def states(self, inputs, training=False):
        return self.embedding(inputs["input_ids"])


class Bare(ClassesHead):
    """Logits that the body gives already."""

    def build(self, input_shape):
        self.built = True

    def call(self, summary, training=False):
        return summary


class Wrong(keras.metrics.MeanMetricWrapper):
    """The share of texts that got a wrong class: a metric that is better where it is lower."""

    def __init__(self):
        def wrong(targets, logits):
            return tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) != tf.cast(targets, tf.int32), tf.float32)

        super().__init__(wrong, name="wrong")


def metrics():
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy"), Wrong()]


def logits(margins):
    return np.stack([margins, np.zeros(4)], axis=1)


class Course(keras.callbacks.Callback):
    """Gives the network the next table of logits after every evaluation; may die in the update after one."""

    def __init__(self, margins, dies_after=None):
        super().__init__()
        self.margins, self.dies_after = margins, dies_after

    def on_train_batch_end(self, batch, logs=None):
        if self.dies_after is not None and int(self.model.optimizer.iterations) > self.dies_after:
            raise ZeroDivisionError

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([logits(self.margins[min(epoch + 1, len(self.margins) - 1)])])


def follow_the_course(
    run=None,
    monitor="val_accuracy",
    patience=None,
    weights=(1, 1, 1, 1),
    margins=MARGINS,
    dies_after=None,
    average=0,
    validated=True,
    others=(),
):
    network = Network(Table(), Bare(2))
    network.set_weights([logits(margins[0])])
    ids, classes = np.arange(4, dtype=np.int32)[:, None], np.zeros(4, np.int32)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    train, held_out = (
        tf.data.Dataset.from_tensors((inputs, classes, np.array(weight, np.float32))) for weight in (weights, [1] * 4)
    )
    still = {"steps": 5, "evaluate_every": 1, "learning_rate": 1e-30, "xla": "off", "tensorboard": False}
    still = TrainingSettings(**still, patience=patience, average_checkpoints=average)
    judged = (lambda share: held_out) if validated else None
    read = Batches(lambda updates: train.repeat().skip(updates), 5, judged)
    options = {"judgement": Judgement(metrics, monitor, monitor == "val_accuracy"), "run": run, "verbose": 0}
    callbacks = [Course(margins, dies_after), *others]
    return network, harness.fit(network, read, still, callbacks=callbacks, **options)


@pytest.mark.parametrize(("monitor", "best"), [("val_accuracy", 2), ("val_wrong", 2), ("val_loss", 1)])
def test_the_best_weights_are_those_of_the_monitor(monitor, best):
    assert best == (np.argmin(LOSSES.mean(axis=1)) if monitor == "val_loss" else np.argmax(ACCURACIES))
    network, history = follow_the_course(monitor=monitor)
    assert [h["val_accuracy"] for h in history] == ACCURACIES
    assert [h["val_wrong"] for h in history] == [1 - accuracy for accuracy in ACCURACIES]
    assert [h["val_loss"] for h in history] == pytest.approx(LOSSES.mean(axis=1), rel=1e-5)
    np.testing.assert_allclose(network.get_weights()[0], logits(MARGINS[best]), atol=1e-6)


@pytest.mark.parametrize(("monitor", "evaluations"), [("val_accuracy", 4), ("val_wrong", 4), ("val_loss", 3)])
def test_patience_waits_for_the_monitor(monitor, evaluations):
    assert len(follow_the_course(monitor=monitor, patience=1)[1]) == evaluations


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_wrong"])
@pytest.mark.parametrize(("order", "best", "evaluations"), [(1, 4, 5), (-1, 0, 2)])
def test_where_the_monitor_is_equal_the_lower_loss_is_better(monitor, order, best, evaluations):
    course = SURER[::order]
    network, history = follow_the_course(monitor=monitor, margins=course)
    assert [h[monitor] for h in history] == [float(monitor == "val_accuracy")] * 5
    assert [h["val_loss"] for h in history] == pytest.approx(SURER_LOSSES[::order], rel=1e-5)
    np.testing.assert_allclose(network.get_weights()[0], logits(course[best]), atol=1e-6)
    # and patience waits as long as the loss falls
    assert len(follow_the_course(monitor=monitor, margins=course, patience=1)[1]) == evaluations


@pytest.mark.parametrize(
    ("monitor", "margins"),
    [("val_accuracy", SURER), ("val_wrong", SURER), ("val_accuracy", SURER[::-1]), ("val_wrong", MARGINS)],
    ids=["accuracy, surer", "wrong, surer", "accuracy, less sure", "wrong, mixed"],
)
def test_the_best_so_far_goes_on_after_a_stop_bit_for_bit(monitor, margins, tmp_path):
    whole, stopped = Run(tmp_path / "whole"), Run(tmp_path / "stopped", resume=True)
    expected = follow_the_course(whole, monitor, margins=margins)
    with pytest.raises(ZeroDivisionError):
        follow_the_course(stopped, monitor, margins=margins, dies_after=3)
    half_way = Checkpoints(stopped.folder, 2).newest()
    assert half_way.facts["step"] == 3
    sign = -1 if monitor == "val_accuracy" else 1
    values = [[sign * line[monitor], line["val_loss"]] for line in half_way.facts["lines"]]
    wait = 2 - values.index(min(values))
    assert half_way.facts["best"] == {"wait": wait, "best": min(values)}
    np.testing.assert_allclose(half_way.arrays["best.0"], logits(margins[2 - wait]), atol=1e-6)
    got = follow_the_course(stopped, monitor, margins=margins)
    assert got[1] == expected[1]
    assert got[0].get_weights()[0].tobytes() == expected[0].get_weights()[0].tobytes()
    ours, theirs = (Checkpoints(run.folder, 2).newest() for run in (stopped, whole))
    assert ours.facts == theirs.facts
    assert {name: array.tobytes() for name, array in ours.arrays.items()} == {
        name: array.tobytes() for name, array in theirs.arrays.items()
    }


def test_metrics_are_reported_and_written(tmp_path):
    weights = [2, 1, 1, 0]
    _, history = follow_the_course(Run(tmp_path), weights=weights)
    assert set(history[0]) == {"loss", "accuracy", "wrong", "val_loss", "val_accuracy", "val_wrong"}
    # a metric counts every target that has a weight, once
    assert [h["accuracy"] for h in history] == pytest.approx((MARGINS[:, :3] > 0).mean(axis=1))
    assert [h["val_accuracy"] for h in history] == ACCURACIES
    assert [h["loss"] for h in history] == pytest.approx((LOSSES * weights).sum(axis=1) / 4, rel=1e-5)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [{name: line[name] for name in history[0]} for line in lines] == history


def test_the_loss_is_over_the_sum_of_the_weights():
    _, history = follow_the_course(weights=[3, 0.5, 0.25, 0])
    expected = (LOSSES * [3, 0.5, 0.25, 0]).sum(axis=1) / 3.75
    assert [h["loss"] for h in history] == pytest.approx(expected, rel=1e-5)
