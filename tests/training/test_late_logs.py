"""The losses of updates that a GPU still works on are read one update later."""

import keras
import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.training import policy
from tests.training.test_fit import fit, tiny


class SpoilBefore(keras.callbacks.Callback):
    """Makes the loss of one update NaN, and notes the loss that Keras gets after each update."""

    def __init__(self, update):
        super().__init__()
        self.update, self.done, self.losses = update, 0, []

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        self.losses.append(logs["loss"])
        if self.done == self.update - 1:
            self.model.set_weights([w * np.nan for w in self.model.get_weights()])


@pytest.mark.parametrize("update", [2, 3, 4, 6, 12])
@pytest.mark.parametrize("is_gpu", [False, True])
def test_the_update_whose_loss_is_no_number_is_named_though_it_is_read_late(is_gpu, update):
    """Each evaluation, after updates 4, 8 and 12, ends what Keras calls an epoch."""
    spoil = SpoilBefore(update)
    with (
        policy.working_on(policy.Device(is_gpu)),
        pytest.raises(InputError, match=f"loss became nan at update {update}:"),
    ):
        fit(tiny(), callbacks=[spoil], precision="float32")
    assert spoil.done == update + (is_gpu and update % 4 != 0)  # found one update later, but no later than that


def test_losses_that_are_read_late_change_no_number():
    def trained(is_gpu):
        watch = SpoilBefore(0)
        with policy.working_on(policy.Device(is_gpu)):
            history = fit(tiny(), callbacks=[watch], precision="float32")
        return history, watch.losses

    (expected, losses), (history, late) = trained(False), trained(True)
    for after, before in zip(history, expected, strict=True):
        assert after == pytest.approx(before, rel=1e-5)
    for first in range(0, 12, 4):  # from one evaluation to the next
        assert late[first : first + 4] == pytest.approx([losses[first], *losses[first : first + 3]], rel=1e-5)
