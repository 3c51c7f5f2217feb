"""Batches of an iterator as a dataset."""

import itertools
import time

import numpy as np
import tensorflow as tf

from lmkeras.datasets.prefetching import prefetched

SIGNATURE = tf.TensorSpec([2], tf.int32)


def test_every_pass_begins_anew():
    dataset = prefetched(lambda: iter(np.arange(6, dtype=np.int32).reshape(3, 2)), SIGNATURE)
    for _ in range(2):
        assert [batch.tolist() for batch in dataset.as_numpy_iterator()] == [[0, 1], [2, 3], [4, 5]]


def test_next_batches_are_made_while_one_is_used():
    made = []

    def batches():
        for number in itertools.count():
            made.append(number)
            yield np.array([number, number], np.int32)

    iterator = iter(prefetched(batches, SIGNATURE))
    next(iterator)
    end = time.monotonic() + 60
    while len(made) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(made) >= 3


def test_no_thread_tunes_buffers_whatever_is_made_of_the_dataset():
    dataset = prefetched(itertools.repeat, SIGNATURE)
    for made in (dataset, dataset.map(tf.identity), dataset.flat_map(tf.data.Dataset.from_tensors).prefetch(2)):
        assert made.options().autotune.enabled is False
