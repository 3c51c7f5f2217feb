"""Weights of an exported network in the precision in which they were published, which may be half of what it holds."""

import contextlib
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf

from lmkeras.networks.network import Network
from lmkeras.pretrained.precision import in_dtype


class KeptWeights(tf.Module):
    """The weights of a network as an export keeps them.

    A published network may hold a float32 copy of weights that were published in bfloat16. The copy has no digits more,
    so an export keeps bfloat16, and converts the weights when it is called, once for all its steps. Weights that are
    held in fewer digits than they were published in have lost the others, and are kept as they are held.

    Args:
        network: a built network.
        dtype: the precision in which to keep weights of floating point; None for that of the network's own variables,
            which are then kept themselves, without a copy.

    Attributes:
        variables_kept: the tf.Variables that hold the weights.
    """

    def __init__(self, network: Network, dtype: str | None):
        super().__init__()
        # a function, since a SavedModel would hold the network's weights beside the kept ones if they were an attribute
        self._weights = functools.partial(getattr, network, "weights")
        self.variables_kept = [self._kept(weight, dtype) for weight in network.weights]

    @staticmethod
    def _kept(weight: keras.Variable, dtype: str | None) -> tf.Variable:
        of_weight = keras.backend.standardize_dtype(weight.dtype)
        if dtype in (None, of_weight) or not keras.backend.is_float_dtype(of_weight):
            return weight.value
        return tf.Variable(in_dtype(weight.value.numpy(), dtype, weight.path), trainable=False, name=weight.name)

    @contextlib.contextmanager
    def converted(self) -> Iterator[None]:
        """A context in which the network reads the kept weights, converted to the precision of its own variables.

        Enter it inside the function that is exported, and outside its loops, so that they are converted once.
        """
        pairs = zip(self._weights(), self.variables_kept, strict=True)
        other = [(weight, kept) for weight, kept in pairs if kept is not weight.value]
        if not other:
            yield
            return
        with keras.StatelessScope(state_mapping=[(weight, tf.cast(kept, weight.dtype)) for weight, kept in other]):
            yield
