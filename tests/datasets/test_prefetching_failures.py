import numpy as np
import pytest
import tensorflow as tf

from lmkeras.datasets.prefetching import failures_of_batches, prefetched
from lmkeras.errors import InputError


def failing(error):
    def batches():
        yield np.zeros(3, np.float32)
        raise error

    return prefetched(batches, tf.TensorSpec([3]))


@pytest.mark.parametrize("error", [InputError("line 3: no number"), OSError(5, "Input/output error", "a.txt")])
def test_an_error_in_a_batch_comes_out_as_it_was_raised(error):
    with pytest.raises(type(error)) as caught, failures_of_batches():
        list(failing(error))
    assert caught.value is error


def test_other_errors_of_tensorflow_stay_theirs():
    with pytest.raises(tf.errors.InvalidArgumentError), failures_of_batches():
        tf.debugging.assert_equal(1, 2)
    with pytest.raises(tf.errors.OpError, match="no number"):
        list(failing(InputError("no number")))
    with pytest.raises(tf.errors.InvalidArgumentError), failures_of_batches():
        tf.debugging.assert_equal(1, 2)
