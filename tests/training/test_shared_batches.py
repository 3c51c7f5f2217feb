"""Which replica gets which rows of a batch, and that a training does not depend on it."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.datasets.prefetching import prefetched
from lmkeras.datasets.windows import TrainingWindows
from lmkeras.errors import InputError
from lmkeras.training.distribution import shared_batches
from tests.datasets.test_windows import stream_of

ROOT = Path(__file__).parents[2]


class Recorder:
    """A strategy that only keeps the function that makes each worker's batches."""

    def __init__(self, replicas):
        self.num_replicas_in_sync = replicas

    def distribute_datasets_from_function(self, function):
        return function


@pytest.mark.parametrize(("workers", "local"), [(1, 1), (1, 2), (2, 1), (3, 1), (2, 2)])
@pytest.mark.parametrize("sizes", [(4, 8, 12), (7, 1, 5, 4)])
def test_every_row_is_of_one_replica_and_in_order(workers, local, sizes):
    made = []

    def dataset(share):
        def batches():
            first = 0
            for size in sizes:
                rows = np.array(share.part(range(first, first + size)), np.int32)
                made.append((share, len(rows)))
                yield {"ids": np.repeat(rows[:, None], 3, axis=1)}, rows, rows / 8
                first += size

        of_rows = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
        spec = {"ids": tf.TensorSpec((None, 3), tf.int32)}, *of_rows
        return prefetched(batches, spec).apply(tf.data.experimental.assert_cardinality(len(sizes)))

    make = shared_batches(dataset, Recorder(workers * local))
    parts = []
    for number in range(workers):
        shared = make(tf.distribute.InputContext(workers, number, workers * local))
        assert int(shared.cardinality()) == len(sizes) * local
        elements = list(shared.as_numpy_iterator())
        parts.append([elements[first : first + local] for first in range(0, len(elements), local)])
    assert sum(count for _, count in made) == sum(sizes), "no row is made twice"
    for step in range(len(sizes)):
        of_step = list(itertools.chain.from_iterable(part[step] for part in parts))
        rows = [targets for _, targets, _ in of_step]
        assert np.concatenate(rows).tolist() == list(range(sum(sizes[:step]), sum(sizes[: step + 1])))
        assert max(map(len, rows)) - min(map(len, rows)) <= 1
        for inputs, targets, weights in of_step:
            assert inputs["ids"].tolist() == [[row] * 3 for row in targets]
            assert weights.tolist() == [row / 8 for row in targets]


def test_known_sizes_stay_known():
    def dataset(share):
        rows = share.part(np.zeros((6, 5), np.int32))
        return tf.data.Dataset.from_tensors((rows, rows)).repeat()

    shared = shared_batches(dataset, Recorder(2))(tf.distribute.InputContext(2, 1, 2))
    assert [tuple(spec.shape) for spec in shared.element_spec] == [(3, 5), (3, 5)]
    assert int(shared.cardinality()) == tf.data.INFINITE_CARDINALITY


def test_batches_without_end_are_read_without_end():
    windows = TrainingWindows(stream_of([90]), 4, 6, 1)
    make = shared_batches(lambda share: windows.dataset(0, share), Recorder(2))
    shared = make(tf.distribute.InputContext(1, 0, 2))
    assert shared.cardinality() == tf.data.INFINITE_CARDINALITY
    parts = list(itertools.islice(shared.as_numpy_iterator(), 12))
    whole = list(itertools.islice(windows.dataset().as_numpy_iterator(), 6))
    for first, second, (inputs, _, _) in zip(parts[::2], parts[1::2], whole, strict=True):
        halves = [part[0]["input_ids"] for part in (first, second)]
        np.testing.assert_array_equal(np.concatenate(halves), inputs["input_ids"])


UNEVEN = """
import json
import keras, numpy as np
import tensorflow as tf
parts = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
from lmkeras.datasets import EncodedExamples, TrainingExamples, evaluation_batches
from lmkeras.datasets.sharing import WHOLE
from lmkeras.networks.bodies.transformer import transformer_classifier
from lmkeras.training import fit as harness
from lmkeras.training.run import Batches, Judgement
from lmkeras.training.settings import TrainingSettings

random = np.random.default_rng(5)
lengths = random.integers(1, 9, 13)
examples = EncodedExamples(random.integers(1, 20, lengths.sum()).astype("int32"), np.cumsum([0, *lengths]), None)
targets = random.integers(0, 3, 13).astype("int32")
weights = np.array([3.0, 0.0, 0.25, 1.0, 0.0, 2.0, 0.0, 0.5, 4.0, 0.0, 1.0, 0.125, 0.0], "float32")
train = TrainingExamples(examples, targets, 3, 1, weights)  # batches of 3, and one of a single text
held_out = lambda share: evaluation_batches(examples, targets, weights, batch_ids=16, share=share)
sizes = {tuple(batch[1].shape) for batch in train.dataset().take(train.steps_per_epoch)}
sizes |= {tuple(batch[1].shape) for batch in held_out(WHOLE)}
metrics = lambda: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
found = {"sizes": sorted(sizes)}
network = transformer_classifier(20, 3, 8, dropout=0.0)
start = network.get_weights()
for distribute in ("none", "mirrored"):
    network.set_weights(start)
    how = {"steps": 12, "evaluate_every": 5, "optimizer": "adam", "learning_rate": 0.01, "clip_norm": 0.05}
    settings = TrainingSettings(**how, distribute=distribute, precision="float32", xla="off")
    read = Batches(train.dataset, train.steps_per_epoch, held_out)
    judgement = Judgement(metrics, "val_accuracy", True)
    history = harness.fit(network, read, settings, judgement=judgement, verbose=0)
    moved = [float(np.abs(new - old).max()) for new, old in zip(network.get_weights(), start)]
    found[distribute] = history, [w.ravel().tolist() for w in network.get_weights()], max(moved)
print(json.dumps(found))
"""


def test_uneven_rows_and_weights_count_as_in_one_batch():
    """Rows that two replicas cannot share evenly, one of them perhaps none, and targets of every weight."""
    done = subprocess.run([sys.executable, "-c", UNEVEN], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert {size[0] % 2 for size in found["sizes"]} == {0, 1}
    assert [1] in found["sizes"], "of which one replica gets nothing"
    (expected, alone, moved), (history, together, _) = found["none"], found["mirrored"]
    assert len(history) == 3
    assert moved > 0.01
    for line, other in zip(history, expected, strict=True):
        assert set(line) == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert line == pytest.approx(other, abs=1e-5)
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_windows_that_cannot_be_shared_evenly_are_refused():
    dataset = tf.data.Dataset.from_tensors((np.zeros((7, 5), np.int32),) * 2)
    with pytest.raises(InputError, match="batches of 7 windows cannot be shared among 2 replicas"):
        shared_batches(lambda share: dataset, Recorder(2))
