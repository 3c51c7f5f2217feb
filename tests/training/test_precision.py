"""Precision of the steps of a training, which others who use the network do not see."""

import threading

import numpy as np

from lmkeras.layers.precision import in_step
from lmkeras.training.devices import precision
from tests.training.test_fit import batches, tiny


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
