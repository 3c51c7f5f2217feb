"""The mean of the weights at the last evaluations: tables of logits whose mean is known, and a real network."""

import json
import os
import signal

import keras
import ml_dtypes
import numpy as np
import pytest

import lmkeras
from lmkeras.errors import InputError
from lmkeras.training.averaging import mean_of
from lmkeras.training.checkpoints import Checkpoints
from lmkeras.training.interruption import Interrupted
from lmkeras.training.run import Run
from lmkeras.training.settings import TrainingSettings
from tests.training.test_best_weights import MARGINS, follow_the_course, logits

# Each table is wrong about one text or two, and sure of the others: the mean of the last four is right about all.
AROUND = np.array([[1, 1, 1, 1], [4, 4, 4, -2], [4, 4, -2.2, 4], [4, -2.4, 4, 4], [-2.6, 4, 4, 4]]) * 0.5


def losses(margins):
    return np.log1p(np.exp(-margins)).mean(axis=-1)


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_wrong", "val_loss"])
@pytest.mark.parametrize("count", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("margins", [AROUND, MARGINS], ids=["around", "past"])
def test_the_mean_is_kept_unless_it_is_worse_than_the_best(monitor, count, margins):
    network, history = follow_the_course(monitor=monitor, margins=margins, average=count)
    mean = margins[-count:].mean(axis=0)
    line = history[-1]
    assert line["mean_of"] == min(count, 5)
    assert line["mean_val_loss"] == pytest.approx(losses(mean), rel=1e-5)
    assert line["mean_val_accuracy"] == pytest.approx((mean > 0).mean())
    assert line["mean_val_wrong"] == pytest.approx((mean < 0).mean())

    def worth(margins):
        of_monitor = {"val_accuracy": (margins < 0).mean(), "val_wrong": (margins < 0).mean()}
        return of_monitor.get(monitor, 0), round(losses(margins), 6)

    best = min(margins, key=worth)
    kept = mean if worth(mean) <= worth(best) else best
    np.testing.assert_allclose(network.get_weights()[0], logits(kept), atol=1e-6)


def test_both_ends_are_tried():
    kept = [follow_the_course(monitor="val_loss", margins=table, average=4)[0] for table in (AROUND, MARGINS)]
    np.testing.assert_allclose(kept[0].get_weights()[0], logits(AROUND[1:].mean(axis=0)), atol=1e-6)
    np.testing.assert_allclose(kept[1].get_weights()[0], logits(MARGINS[1]), atol=1e-6)


def test_without_validation_the_mean_is_kept_always():
    network, history = follow_the_course(margins=MARGINS, average=3, validated=False)
    np.testing.assert_allclose(network.get_weights()[0], logits(MARGINS[-3:].mean(axis=0)), atol=1e-6)
    assert history[-1]["mean_of"] == 3
    assert not any(name.startswith("mean_val") for name in history[-1])


def test_patience_ends_with_the_mean_of_what_there_was():
    network, history = follow_the_course(monitor="val_loss", margins=AROUND[1:], patience=1, average=2)
    assert len(history) == 2
    np.testing.assert_allclose(network.get_weights()[0], logits(AROUND[1:3].mean(axis=0)), atol=1e-6)


@pytest.mark.parametrize("average", [1, 2, 4])
def test_a_training_that_was_stopped_ends_with_the_same_mean_bit_for_bit(average, tmp_path):
    whole, stopped = Run(tmp_path / "whole"), Run(tmp_path / "stopped", resume=True)
    expected = follow_the_course(whole, "val_loss", margins=AROUND, average=average)
    with pytest.raises(ZeroDivisionError):
        follow_the_course(stopped, "val_loss", margins=AROUND, average=average, dies_after=3)
    half_way = Checkpoints(stopped.folder, 2).newest()
    kept = [logits(table) for table in AROUND[:3][-average:]]
    np.testing.assert_allclose([half_way.arrays[f"last.{place}.0"] for place in range(len(kept))], kept, atol=1e-6)
    assert f"last.{len(kept)}.0" not in half_way.arrays
    for _ in range(2):  # the second time, a training that has ended
        got = follow_the_course(stopped, "val_loss", margins=AROUND, average=average)
        assert got[1] == expected[1]
        assert got[0].get_weights()[0].tobytes() == expected[0].get_weights()[0].tobytes()
        ours, theirs = ((run.folder / "metrics.jsonl").read_text() for run in (stopped, whole))
        assert ours == theirs
    assert json.loads(theirs.splitlines()[-1])["mean_of"] == average
    ours, theirs = (Checkpoints(run.folder, 2).newest() for run in (stopped, whole))
    assert ours.facts == theirs.facts
    assert {name: array.tobytes() for name, array in ours.arrays.items()} == {
        name: array.tobytes() for name, array in theirs.arrays.items()
    }


def test_a_training_that_is_interrupted_makes_no_mean(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    run = Run(tmp_path, resume=True)
    with pytest.raises(Interrupted):
        follow_the_course(run, "val_loss", margins=AROUND, average=3, others=[Stop()])
    assert "mean_of" not in (tmp_path / "metrics.jsonl").read_text()
    network, _ = follow_the_course(run, "val_loss", margins=AROUND, average=3)
    np.testing.assert_allclose(network.get_weights()[0], logits(AROUND[2:].mean(axis=0)), atol=1e-6)


class Seen(keras.callbacks.Callback):
    """Notes the weights at every evaluation, and those at the end."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())

    def on_train_end(self, logs=None):
        self.end = self.model.get_weights()


TEXTS = [f"the cat {number % 7} sat on the mat {number * number % 13}. " for number in range(60)]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_model_becomes_the_mean_and_is_judged_by_it(precision, capsys):
    seen = Seen()
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=8, units=8)
    how = {"steps": 40, "evaluate_every": 5, "average_checkpoints": 3, "schedule": "constant", "learning_rate": 0.03}
    history = model.fit(TEXTS, **how, precision=precision, callbacks=[seen], verbose=2)
    outcome, line = history.outcome, history[-1]
    means = [np.mean(arrays, axis=0, dtype="float64") for arrays in zip(*seen.weights[-3:], strict=True)]
    best = min(line["val_loss"] for line in history)
    assert (outcome.mean.evaluations, outcome.mean.value, outcome.mean.best) == (3, line["mean_val_loss"], best)
    assert outcome.mean.kept == (line["mean_val_loss"] <= best)
    if outcome.mean.kept:
        assert (
            f"the mean of the weights of the last 3 evaluations: val_loss {outcome.value:.4g}"
            in capsys.readouterr().out
        )
        assert history.kept["val_loss"] == outcome.value == line["mean_val_loss"]
    weights = means if outcome.mean.kept else seen.weights[[line["val_loss"] for line in history].index(best)]
    for ours, expected, at_end in zip(model.network.get_weights(), weights, seen.end, strict=True):
        assert ours.dtype == "float32"
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(ours, at_end)


def test_a_mean_keeps_its_dtype_and_equal_weights_stay_as_they_are():
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float16", ml_dtypes.bfloat16):
        arrays = [rng.normal(size=50).astype(dtype) for _ in range(7)]
        expected = np.mean([array.astype("float64") for array in arrays], axis=0).astype(dtype)
        assert mean_of(arrays).dtype == dtype
        np.testing.assert_array_equal(mean_of(arrays), expected)
        np.testing.assert_array_equal(mean_of(arrays[:1] * 7), arrays[0])
    counts = [np.array([3, 4]), np.array([5, 9])]
    np.testing.assert_array_equal(mean_of(counts), [5, 9])


def test_a_number_that_is_none_is_refused():
    with pytest.raises(InputError, match="average_checkpoints must be at least 0, got -1"):
        TrainingSettings(average_checkpoints=-1)
    with pytest.raises(InputError, match=r"average_checkpoints must be a whole number, got 1\.5"):
        TrainingSettings(average_checkpoints=1.5)
