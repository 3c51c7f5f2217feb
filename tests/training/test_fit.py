import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmkeras.errors import InputError
from lmkeras.layers.precision import in_step
from lmkeras.networks.bodies.dense import dense_classifier
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.networks.bodies.transformer import transformer_language_model
from lmkeras.training import fit as harness
from lmkeras.training.devices import precision
from lmkeras.training.run import Batches, Run
from lmkeras.training.settings import FitSettings, TrainingSettings

RULE = np.array([0, 3, 1, 4, 2], np.int32)  # each id is followed by another, always the same


def follow(first, length):
    ids = [first]
    while len(ids) < length:
        ids.append(int(RULE[ids[-1]]) or 1)
    return ids


def batches(count=None, rows=4, length=6):
    rows = np.array([follow(1 + i % 4, length + 1) for i in range(rows)], np.int32)
    inputs, targets = {"input_ids": rows[:, :-1]}, rows[:, 1:]
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread can hold up the end of an iterator for a minute
    dataset = tf.data.Dataset.from_tensors((inputs, targets, np.ones(targets.shape, np.float32))).with_options(options)
    return dataset.repeat() if count is None else dataset.take(count)


def from_update(dataset):
    """What the harness takes: the batches that come after so many updates."""
    return lambda updates: dataset.skip(updates)


def tiny(**sizes):
    keras.utils.set_random_seed(3)
    return transformer_language_model(5, d_model=16, num_heads=2, num_layers=1, context_length=6, **sizes)


def fit(network, validation=True, run_folder=None, callbacks=(), resume=False, an_epoch=100, **settings):
    settings = FitSettings(**{"steps": 12, "evaluate_every": 4, "xla": "off", **settings})
    read = Batches(from_update(batches()), an_epoch, (lambda share: batches(1)) if validation else None)
    run = run_folder and Run(run_folder, resume)
    return harness.fit(network, read, settings, run=run, callbacks=callbacks, verbose=0)


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


def test_training_ends_early_by_default_and_not_if_told_so():
    for patience, evaluations in (("auto", 51), ("never", 55), (None, 55)):  # 50 evaluations are two passes here
        still = FitSettings(steps=220, evaluate_every=4, learning_rate=1e-30, patience=patience, xla="off")
        read = Batches(from_update(batches()), 100, lambda share: batches(1))
        assert len(harness.fit(tiny(), read, still, verbose=0)) == evaluations


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
    (inputs, targets, _), *_ = batches(1).as_numpy_iterator()
    logits = network(inputs).numpy().astype(float)
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


def test_mixed_precision_trains_and_leaves_a_float32_network():
    network = tiny()
    seen, outside = [], []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            with in_step():
                seen.append(self.model.body.blocks[0].compute_dtype)
            outside.append(self.model.body.blocks[0].compute_dtype)

    history = fit(network, precision="mixed_bfloat16", steps=30, evaluate_every=30, callbacks=[Watch()])
    assert (set(seen), set(outside)) == ({"bfloat16"}, {"float32"})
    assert network.body.blocks[0].compute_dtype == "float32"
    assert {str(w.dtype) for w in network.weights} == {"float32"}
    assert history[-1]["val_loss"] < 0.5


def test_precision_is_put_back_after_an_error():
    network = tiny()
    during = []

    def fail():
        with precision(network, "mixed_bfloat16"), in_step():
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


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_each_weight_learns_at_its_factor_of_the_rate(optimizer):
    ids, ones = np.array([[1, 2], [3, 4]], np.int32), np.ones((2, 2), np.int32)
    inputs, targets = {"input_ids": ids, "attention_mask": ones}, np.array([0, 1], np.int32)
    texts = tf.data.Dataset.from_tensors((inputs, targets, np.ones(2, np.float32))).repeat()
    settings = TrainingSettings(steps=1, optimizer=optimizer, schedule="constant", xla="off")
    moves = []
    for layered in (False, True):
        keras.utils.set_random_seed(3)
        network = dense_classifier(5, 2, embedding_dim=4, units=4, dropout=0.0)
        body, before = network.body, network.get_weights()
        factors = {body.embedding.embeddings.path: 0.0, body.hidden.kernel.path: 0.5}
        read, rate_factors = Batches(from_update(texts), 1), factors if layered else None
        harness.fit(network, read, settings, verbose=0, rate_factors=rate_factors)
        moves.append([new - old for new, old in zip(network.get_weights(), before, strict=True)])
    assert set(factors) < {weight.path for weight in network.weights}
    for weight, whole, part in zip(network.weights, *moves, strict=True):
        assert np.abs(whole).max() > 1e-4
        np.testing.assert_allclose(part, factors.get(weight.path, 1.0) * whole, atol=1e-6, err_msg=weight.path)


def test_the_loss_of_a_batch_is_the_weighted_mean_over_its_targets():
    """Two batches of one epoch, whose weights have other sums: the mean is over all targets, not over batches."""
    network, random = tiny(), np.random.default_rng(4)
    rows = np.array([follow(1 + i % 4, 7) for i in range(8)], np.int32).reshape(2, 4, 7)
    inputs, targets = rows[..., :-1], random.integers(0, 5, (2, 4, 6), dtype=np.int32)
    weights = (random.random((2, 4, 6)) * np.array([3.0, 0.2])[:, None, None]).astype(np.float32)
    weights[0, 1], weights[1, :, 2] = 0.0, 0.0
    log_p = tf.nn.log_softmax(np.stack([network(part) for part in inputs]), axis=-1).numpy()
    losses = -np.take_along_axis(log_p, targets[..., None], -1)[..., 0]
    expected = (losses * weights).sum() / weights.sum()
    assert abs(expected - np.mean([(a * b).sum() / b.sum() for a, b in zip(losses, weights, strict=True)])) > 0.01
    dataset = tf.data.Dataset.from_tensor_slices(({"input_ids": inputs}, targets, weights))
    still = FitSettings(steps=2, evaluate_every=2, learning_rate=1e-30, xla="off", precision="float32")
    (line,) = harness.fit(network, Batches(from_update(dataset.repeat()), 2, lambda share: dataset), still, verbose=0)
    assert [line["loss"], line["val_loss"]] == pytest.approx([expected] * 2, rel=1e-5)
