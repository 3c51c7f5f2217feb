"""Batches that a Python iterator makes, as a tf.data.Dataset that makes the next ones meanwhile."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

_watchers: list[list[Exception]] = []  # one list for each context that waits for failures
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

    def noting_failures():
        try:
            yield from batches()
        except Exception as error:
            for failures in _watchers:
                failures.append(error)
            raise

    # TensorFlow gives each iterator a thread that tunes buffers and sleeps up to a minute at a time. When the iterator
    # is destroyed, TensorFlow 2.21 may wait until that thread wakes up, and with it everything else in Python.
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(noting_failures, output_signature=signature)
    return dataset.prefetch(_AHEAD).with_options(options)


@contextlib.contextmanager
def failures_of_batches() -> Iterator[None]:
    """A context in which an error that stops a dataset's batches comes out as it was raised, such as an InputError.

    TensorFlow would raise an error of its own instead, with the traceback of the other one as its text.
    """
    import tensorflow as tf

    failures: list[Exception] = []
    _watchers.append(failures)
    try:
        yield
    except tf.errors.OpError:
        if failures:
            raise failures[0] from None
        raise
    finally:
        _watchers[:] = [other for other in _watchers if other is not failures]
