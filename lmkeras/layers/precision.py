"""Precision of a training step that other users of the same layers do not see.

A network keeps float32 weights in every precision, so it can be trained in bfloat16 and answer in float32 at the same
time: a thread that traces predictions while another one trains must not get the precision of the training.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence

import keras

from lmkeras.training.keras_contract import set_policies

_in_step = contextvars.ContextVar("in_step", default=False)


@keras.saving.register_keras_serializable("lmkeras")
class StepPolicy(keras.DTypePolicy):
    """A dtype policy that holds while a network's step is traced or run, in that thread; elsewhere another one holds.

    Args:
        name: the policy of the steps, such as "mixed_bfloat16". Weights must be float32 under both policies.
        elsewhere: the policy everywhere else.
    """

    def __init__(self, name: str, elsewhere: keras.DTypePolicy | None = None):
        super().__init__(name)
        self.elsewhere = elsewhere or keras.DTypePolicy("float32")

    @property
    def compute_dtype(self):
        """The precision in which a layer computes here and now."""
        return super().compute_dtype if _in_step.get() else self.elsewhere.compute_dtype


@contextlib.contextmanager
def in_step() -> Iterator[None]:
    """A context, and a decorator for a network's train_step and test_step, within which each `StepPolicy` holds."""
    token = _in_step.set(True)
    try:
        yield
    finally:
        _in_step.reset(token)


@contextlib.contextmanager
def steps_in(policy: str, layers: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """A context in which the steps of a network compute by a policy; afterwards layers have their old policies.

    Args:
        policy: a Keras dtype policy with float32 weights.
        layers: the layers that are to follow it.
    """
    before = [layer.dtype_policy for layer in layers]
    try:
        set_policies(layers, [StepPolicy(policy, elsewhere=old) for old in before])
        yield
    finally:
        set_policies(layers, before)
