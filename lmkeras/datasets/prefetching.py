"""Batches that a Python iterator makes, as a tf.data.Dataset that makes the next ones meanwhile."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

_AHEAD = 4  # enough for batches that take unequal time, and little memory


def prefetched(batches: Callable[[], Iterator], signature) -> "tf.data.Dataset":
    """A dataset of what `batches()` yields.

    Args:
        batches: called anew for every pass over the dataset.
        signature: a structure of tf.TensorSpec, that of each batch.

    Returns:
        The dataset; up to four batches are made ahead in another thread.
    """
    import tensorflow as tf

    # TensorFlow gives each iterator a thread that tunes buffers and sleeps up to a minute at a time. When the iterator
    # is destroyed, TensorFlow 2.21 may wait until that thread wakes up, and with it everything else in Python.
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(_AHEAD).with_options(options)
