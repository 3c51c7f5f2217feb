import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.networks.dense import DenseClassifier
from lmkeras.networks.recurrent import lstm_language_model
from lmkeras.networks.transformer import transformer_language_model
from lmkeras.training import fit as harness
from lmkeras.training.devices import precision
from lmkeras.training.fit import Run
from lmkeras.training.settings import ClassifierFitSettings, FitSettings

RULE = np.array([0, 3, 1, 4, 2], np.int32)  # each id is followed by another, always the same


def follow(first, length):
    ids = [first]
    while len(ids) < length:
        ids.append(int(RULE[ids[-1]]) or 1)
    return ids


def batches(count=None, rows=4, length=6):
    rows = np.array([follow(1 + i % 4, length + 1) for i in range(rows)], np.int32)
    dataset = tf.data.Dataset.from_tensors((rows[:, :-1], rows[:, 1:]))
    return dataset.repeat() if count is None else dataset.take(count)


def from_update(dataset):
    """What the harness takes: the batches that come after so many updates."""
    return lambda updates: dataset.skip(updates)


def tiny(**sizes):
    keras.utils.set_random_seed(3)
    return transformer_language_model(5, d_model=16, num_heads=2, num_layers=1, context_length=6, **sizes)


def fit(network, validation=True, run_folder=None, callbacks=(), **settings):
    settings = FitSettings(**{"steps": 12, "evaluate_every": 4, "xla": "off", **settings})
    held_out = batches(1) if validation else None
    run = run_folder and Run(run_folder)
    return harness.fit(network, from_update(batches()), 100, settings, held_out, run, callbacks=callbacks, verbose=0)


def test_training_learns_the_rule():
    network = tiny()
    before = harness.evaluate(network, batches(1))["loss"]
    history = fit(network, steps=40, evaluate_every=10, precision="float32")
    assert len(history) == 4
    assert history[-1]["val_loss"] < 0.2 < before
    assert harness.evaluate(network, batches(1))["loss"] == pytest.approx(min(h["val_loss"] for h in history), rel=1e-5)


@pytest.mark.parametrize("steps", [1, 7, 12])
def test_exactly_the_steps_asked_for(steps):
    network = tiny()
    history = fit(network, steps=steps)
    assert int(network.optimizer.iterations) == steps
    assert len(history) == -(-steps // 4)


def test_the_best_weights_are_kept():
    network, losses, weights = tiny(), [], []

    class Spoil(keras.callbacks.Callback):
        """Notes each evaluation's weights; after the second, the network gets worse for good."""

        def on_epoch_end(self, epoch, logs=None):
            losses.append(logs["val_loss"])
            weights.append(self.model.get_weights())
            if epoch == 1:
                self.model.set_weights([w * 0 for w in self.model.get_weights()])

    history = fit(network, steps=20, callbacks=[Spoil()])
    best = int(np.argmin([h["val_loss"] for h in history]))
    assert best == 1
    for kept, expected in zip(network.get_weights(), weights[best], strict=True):
        np.testing.assert_array_equal(kept, expected)


def test_training_ends_early_when_patience_does():
    network = tiny()
    history = fit(network, steps=100, learning_rate=1e-12, patience=2, evaluate_every=2)
    assert len(history) <= 5


def test_without_validation_there_is_no_validation_loss():
    assert set(fit(tiny(), validation=False)[0]) == {"loss"}


def test_a_loss_that_is_no_number_stops_training():
    network = tiny()
    network.set_weights([w * np.nan for w in network.get_weights()])
    with pytest.raises(InputError, match="the loss became nan at update 1: train with a lower learning_rate"):
        fit(network)


def test_the_best_weights_survive_a_loss_that_is_no_number(tmp_path):
    network, weights = tiny(), []

    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())
            if epoch == 1:
                self.model.set_weights([w * np.nan for w in self.model.get_weights()])

    with pytest.raises(InputError, match="nan at update 9"):
        fit(network, callbacks=[Spoil()], run_folder=tmp_path)
    for kept, best in zip(network.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(kept, best)
    assert (tmp_path / "curves.png").exists()


def test_evaluation_after_mixed_precision_is_in_float32():
    network = tiny()
    fit(network, precision="mixed_bfloat16")
    (ids, targets), *_ = batches(1).as_numpy_iterator()
    logits = network(ids).numpy().astype(float)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -np.take_along_axis(log_p, targets[..., None], -1).mean()
    assert harness.evaluate(network, batches(1))["loss"] == pytest.approx(expected, abs=1e-6)


def test_dropout_starts_from_the_seed_in_every_fit():
    network, start = tiny(dropout=0.5), tiny(dropout=0.5).get_weights()
    results = []
    for seed in (1, 1, 2):
        network.set_weights(start)
        fit(network, seed=seed, validation=False)
        results.append(np.concatenate([w.ravel() for w in network.get_weights()]))
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


def test_the_run_folder(tmp_path):
    history = fit(tiny(), run_folder=tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]
    assert [line["val_loss"] for line in lines] == [h["val_loss"] for h in history]
    assert lines[-1]["learning_rate"] == pytest.approx(0, abs=1e-6)
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    events = list((tmp_path / "run" / "logs").rglob("*tfevents*"))
    scalars = {}
    for file in events:
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                scalars.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    logged = [value for values in scalars.values() for value in values]
    assert all(any(value == pytest.approx(h["val_loss"]) for value in logged) for h in history)


def test_the_same_seed_gives_the_same_weights():
    first, second, other = tiny(dropout=0.2), tiny(dropout=0.2), tiny(dropout=0.2)
    fit(first)
    fit(second)
    fit(other, steps=11)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True))


def test_xla_changes_no_loss():
    histories = (fit(tiny(), xla=xla, precision="float32") for xla in ("on", "off"))
    for a, b in zip(*histories, strict=True):
        assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-3)


def test_xla_is_on_where_it_was_measured_to_help():
    assert harness.uses_xla(tiny(), "auto") is True
    assert harness.uses_xla(lstm_language_model(5, 4, 4), "auto") is False
    assert harness.uses_xla(tiny(), "off") is False
    assert harness.uses_xla(lstm_language_model(5, 4, 4), "on") is True


def test_mixed_precision_trains_and_leaves_a_float32_network():
    network = tiny()
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.blocks[0].compute_dtype)

    history = fit(network, precision="mixed_bfloat16", steps=30, evaluate_every=30, callbacks=[Watch()])
    assert set(seen) == {"bfloat16"}
    assert network.blocks[0].compute_dtype == "float32"
    assert {str(w.dtype) for w in network.weights} == {"float32"}
    assert history[-1]["val_loss"] < 0.5


def test_precision_is_put_back_after_an_error():
    network = tiny()
    during = []

    def fail():
        with precision(network, "mixed_bfloat16"):
            during.append(network.head.compute_dtype)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert during == ["bfloat16"]
    assert network.head.compute_dtype == "float32"


def test_recurrent_networks_train_by_the_same_function():
    keras.utils.set_random_seed(0)
    history = fit(lstm_language_model(5, 8, 16), steps=60, evaluate_every=20, learning_rate=0.03)
    assert history[-1]["val_loss"] < 0.5


# Four texts of an id each, all of class 0. A table of their logits is the network, so that a course of tables is one of
# accuracies and losses: the most accurate table, the third, is unsure; the second errs once and is sure of the rest.
MARGINS = np.array([[-1, -1, 1, 1], [4, 4, 4, -0.5], [0.1, 0.1, 0.1, 0.1], [2, 2, 2, -0.5], [1, 1, -1, -1]])
ACCURACIES = [0.5, 0.75, 1.0, 0.75, 0.5]
LOSSES = np.log1p(np.exp(-MARGINS))  # two classes: -log P = log(1 + exp(-margin))


def logits(number):
    return np.stack([MARGINS[number], np.zeros(4)], axis=1)


class Course(keras.callbacks.Callback):
    """Gives the network the next table of logits after every evaluation."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([logits(min(epoch + 1, len(MARGINS) - 1))])


def follow_the_course(run_folder=None, monitor="val_accuracy", patience=None, weights=(1, 1, 1, 1)):
    table = [keras.Input((1,), dtype="int32"), keras.layers.Embedding(4, 2), keras.layers.Flatten()]
    network = keras.Sequential(table)
    network.set_weights([logits(0)])
    texts, classes = np.arange(4, dtype=np.int32)[:, None], np.zeros(4, np.int32)
    train, held_out = (
        tf.data.Dataset.from_tensors((texts, classes, np.array(weight, np.float32))) for weight in (weights, [1] * 4)
    )
    still = ClassifierFitSettings(steps=5, evaluate_every=1, learning_rate=1e-30, xla="off", patience=patience)
    run = run_folder and Run(run_folder)
    options = {"callbacks": [Course()], "verbose": 0, "accuracy": True, "monitor": monitor}
    return network, harness.fit(network, from_update(train.repeat()), 5, still, held_out, run, **options)


@pytest.mark.parametrize(("monitor", "best"), [("val_accuracy", 2), ("val_loss", 1)])
def test_the_best_weights_are_those_of_the_monitor(monitor, best):
    assert best == (np.argmax(ACCURACIES) if monitor == "val_accuracy" else np.argmin(LOSSES.mean(axis=1)))
    network, history = follow_the_course(monitor=monitor)
    assert [h["val_accuracy"] for h in history] == ACCURACIES
    assert [h["val_loss"] for h in history] == pytest.approx(LOSSES.mean(axis=1), rel=1e-5)
    np.testing.assert_allclose(network.get_weights()[0], logits(best), atol=1e-6)


@pytest.mark.parametrize(("monitor", "evaluations"), [("val_accuracy", 4), ("val_loss", 3)])
def test_patience_waits_for_the_monitor(monitor, evaluations):
    assert len(follow_the_course(monitor=monitor, patience=1)[1]) == evaluations


def test_metrics_are_reported_and_written(tmp_path):
    _, history = follow_the_course(tmp_path, weights=(2, 1, 1, 0))
    assert set(history[0]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert [h["accuracy"] for h in history] == ACCURACIES
    assert [h["loss"] for h in history] == pytest.approx((LOSSES * [2, 1, 1, 0]).mean(axis=1), rel=1e-5)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [{name: line[name] for name in history[0]} for line in lines] == history


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_weight_learns_at_its_factor_of_the_rate(optimizer):
    factors = {"dense/embedding/embeddings": 0.0, "dense/hidden/kernel": 0.5}
    texts = tf.data.Dataset.from_tensors((np.array([[1, 2], [3, 4]], np.int32), np.array([0, 1], np.int32))).repeat()
    settings = ClassifierFitSettings(steps=1, optimizer=optimizer, schedule="constant", xla="off")
    moves = []
    for rate_factors in (None, factors):
        keras.utils.set_random_seed(3)
        network = DenseClassifier(5, 2, embedding_dim=4, units=4, dropout=0.0, name="dense")
        network.build((None, None))
        before = network.get_weights()
        harness.fit(network, from_update(texts), 1, settings, verbose=0, rate_factors=rate_factors)
        moves.append([new - old for new, old in zip(network.get_weights(), before, strict=True)])
    assert set(factors) < {weight.path for weight in network.weights}
    for weight, whole, part in zip(network.weights, *moves, strict=True):
        assert np.abs(whole).max() > 1e-4
        np.testing.assert_allclose(part, factors.get(weight.path, 1.0) * whole, atol=1e-6, err_msg=weight.path)
