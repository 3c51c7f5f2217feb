"""How texts are generated: the settings, their defaults, which are the same everywhere, and their limits.

This module imports no TensorFlow, so that the command line checks numbers before it waits for TensorFlow's start.
"""

import dataclasses
import math
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from lmkeras.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

#: the most tokens that are added to a text, if the user names no other number
MAX_NEW_TOKENS = 200


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float = 0.8
    """0: always the likeliest token; below 1: likely tokens more often; 1: the model's probabilities; above 1: unlikely
    tokens more often."""
    top_k: int = 0
    """Draw only from this many of the likeliest tokens; 0: from all."""
    top_p: float = 1.0
    """Draw only from the likeliest tokens whose probabilities together reach this value; 1: from all."""
    repetition_penalty: float = 1.0
    """Above 1, tokens that are already in the text become less likely; 1: no penalty."""
    seed: int = 0
    """The same seed gives the same text."""

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"temperature must be 0 or more, got {self.temperature}")
        if self.top_k < 0:
            raise InputError(f"top_k must be 0 (all) or more, got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be greater than 0 and at most 1, got {self.top_p}")
        if not 0 < self.repetition_penalty < math.inf:
            raise InputError(f"repetition_penalty must be greater than 0, got {self.repetition_penalty}")
        if not isinstance(self.seed, Integral):
            raise InputError(f"seed must be a whole number, got {self.seed!r}")
        if not -(2**31) <= self.seed < 2**31:
            raise InputError(f"seed must fit in 32 bits, got {self.seed}")

    def tensors(self) -> "dict[str, tf.Tensor]":
        """The settings as scalar tensors, so that other values, such as another temperature, need no new trace."""
        import tensorflow as tf

        return {
            field.name: tf.constant(getattr(self, field.name), tf.int32 if field.type is int else tf.float32)
            for field in dataclasses.fields(self)
        }


def require_counts(max_new_tokens: int, num_samples: int) -> None:
    """Raises InputError if one of the numbers is below 1 or beyond what a text in memory may have."""
    for name, value in (("num_samples", num_samples), ("max_new_tokens", max_new_tokens)):
        if not 1 <= value < 1 << 24:
            raise InputError(f"{name} must be at least 1 and less than {1 << 24}, got {value}")


def stop_texts(stop: str | Sequence[str]) -> list[str]:
    """A stop text, or several, as a list; InputError if one is empty."""
    stops = [stop] if isinstance(stop, str) else list(stop)
    if "" in stops:
        raise InputError("a stop text must not be empty")
    return stops
