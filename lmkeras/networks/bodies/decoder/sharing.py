"""Blocks that are alike, traced once: else TensorFlow would make the graph of the same block dozens of times."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from lmkeras.layers.cache import are_steps_compiled
from lmkeras.layers.published_block import PublishedBlock


class SharedTraces:
    """Calls methods of blocks through functions that take the weights as arguments, one for all blocks that are alike.

    Args:
        blocks: built blocks; two are alike if they have the same window.
    """

    def __init__(self, blocks: Sequence[PublishedBlock]):
        self._first = {}
        for block in blocks:
            self._first.setdefault(block.attention.window, block)
        self._functions = {}

    def call(self, block: PublishedBlock, method: str, **arguments):
        """What a method of a block returns for arguments by name, which are nested tensors or None."""
        key = block.attention.window, method, are_steps_compiled()
        if key not in self._functions:
            self._functions[key] = _function_of(self._first[block.attention.window], method)
        return self._functions[key]([tf.convert_to_tensor(weight.value) for weight in block.weights], **arguments)


def _function_of(example: PublishedBlock, method: str):
    @tf.function(autograph=False)
    def function(weights, **arguments):
        with keras.StatelessScope(state_mapping=list(zip(example.weights, weights, strict=True))):
            return getattr(example, method)(**arguments)

    return function
