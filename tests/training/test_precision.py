"""Precision of the steps of a training, which others who use the network do not see."""

import threading

import keras
import numpy as np
import pytest

from lmkeras.layers.precision import in_step
from lmkeras.training.devices import precision
from tests.training.test_fit import batches, fit, tiny


def test_other_threads_keep_their_precision_during_a_step():
    network, found = tiny(), {}

    def answer(name):
        found[name] = network(batches(1).get_single_element()[0]).numpy()

    def in_another_thread(name):
        thread = threading.Thread(target=answer, args=[name])
        thread.start()
        thread.join()

    answer("before")
    with precision(network, "mixed_bfloat16"):
        answer("between steps")
        with in_step():
            answer("in a step")
            in_another_thread("elsewhere")
    assert (found["in a step"] != found["before"]).any()
    np.testing.assert_array_equal(found["between steps"], found["before"])
    np.testing.assert_array_equal(found["elsewhere"], found["before"])


@pytest.mark.parametrize(("first", "then"), [("mixed_float16", "float32"), ("float32", "mixed_float16")])
def test_a_run_may_be_resumed_in_another_precision(first, then, tmp_path):
    """Though only mixed_float16 scales its loss, by numbers that belong to the training's state."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), run_folder=tmp_path, callbacks=[Stop()], precision=first)
    network = tiny()
    history = fit(network, run_folder=tmp_path, resume=True, precision=then)
    assert len(history) == 3
    assert history[2]["val_loss"] < history[0]["val_loss"]
