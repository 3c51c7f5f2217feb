"""Rotary positions with the scalings that published checkpoints were trained or extended with.

Rotary positions turn each pair of a query's and a key's values by an angle that grows with the position; `rates` says
how fast. Scalings turn pairs more slowly, so that texts longer than those of the training fit into the same angles.

Shape letters: B batch, T tokens, K key size of one head.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf
from keras import ops

KINDS = ("default", "linear", "dynamic", "llama3", "yarn")


def turned(x, cos, sin):
    """Heads [B·T, H, K] with each pair (x[i], x[i + K/2]) turned by an angle, as `Rotary.angles` gives them."""
    first, second = tf.split(x, 2, axis=-1)
    return x * cos + tf.concat([second, first], axis=-1) * sin


@dataclasses.dataclass(frozen=True)
class Rotary:
    """How queries and keys are turned by their positions.

    Source: Su et al. 2021 (default), Chen et al. 2023 (linear: positions are interpolated), Peng et al. 2023 (yarn,
    and dynamic, which they call dynamic NTK scaling), Llama team 2024 (llama3).
    """

    key_dim: int
    """K, even."""
    base: float = 10_000.0
    """the slowest pair turns once in about 2π · base tokens."""
    kind: str = "default"
    """one of KINDS."""
    factor: float = 1.0
    """by how much pairs are slowed down."""
    trained_length: int = 0
    """tokens in a text of the training, before it was extended; for all kinds but default and linear."""
    few_turns: float = 1.0
    """llama3 and yarn: pairs that turn less often than this in a text of the training are slowed down by the factor."""
    many_turns: float = 32.0
    """llama3 and yarn: pairs that turn more often than this keep their rate; in between, there is a ramp."""
    whole_pairs: bool = True
    """yarn: whether the ramp begins and ends at a whole pair."""
    magnitude: float = 1.0
    """what turned queries and keys are multiplied by."""

    def rates(self) -> np.ndarray:
        """By how much each pair turns from one token to the next, float64 [K/2], in radians.

        For the kind "dynamic", these are the rates of texts that are no longer than those of the training.
        """
        half = self.key_dim // 2
        rates = self.base ** (-np.arange(half) / half)
        if self.kind == "linear":
            return rates / self.factor
        if self.kind == "llama3":
            turns = self.trained_length * rates / (2 * math.pi)
            kept = np.clip((turns - self.few_turns) / (self.many_turns - self.few_turns), 0, 1)
        elif self.kind == "yarn":
            kept = self._kept_by_yarn(half)
        else:
            return rates
        return kept * rates + (1 - kept) * rates / self.factor

    def _kept_by_yarn(self, half: int) -> np.ndarray:
        """The share of its own rate that each pair keeps: a ramp over the pairs' numbers, [K/2]."""
        first, last = self._pair_that_turns(self.many_turns), self._pair_that_turns(self.few_turns)
        if self.whole_pairs:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, self.key_dim - 1)
        last = first + 0.001 if first == last else last
        return 1 - np.clip((np.arange(half) - first) / (last - first), 0, 1)

    def _pair_that_turns(self, turns: float) -> float:
        """The number of the pair that turns so often in a text of the training; not a whole number."""
        slowest = math.log(self.trained_length / (turns * 2 * math.pi))
        return self.key_dim * slowest / (2 * math.log(self.base))

    def angles(self, positions, lengths):
        """Cosines and sines of the angles by which tokens are turned, times the magnitude.

        Args:
            positions: int32 [B, T].
            lengths: int32 [B], tokens of each text up to the last of these; only "dynamic" depends on it. Keys
                that were read earlier keep the angles that they got when the text was shorter, as in transformers.

        Returns:
            Two float32 [B·T, 1, K], alike for all heads, for `turned`.
        """
        rates = ops.convert_to_tensor(self.rates().astype("float32"))
        if self.kind == "dynamic":
            rates = self._dynamic_rates(lengths)[:, None]  # [B, 1, K/2]
        angles = tf.reshape(ops.cast(positions, "float32")[..., None] * rates, (-1, 1, self.key_dim // 2))
        cos, sin = (ops.cast(self.magnitude, "float32") * one for one in (ops.cos(angles), ops.sin(angles)))
        return tf.concat([cos, cos], axis=-1), tf.concat([-sin, sin], axis=-1)

    def _dynamic_rates(self, lengths):
        """The rates of texts of these lengths, float32 [B, K/2]: the base grows with what exceeds the training's."""
        half = self.key_dim // 2
        relative = tf.cast(tf.maximum(lengths, self.trained_length), "float64") / self.trained_length
        stretched = (self.factor * relative - (self.factor - 1)) ** (self.key_dim / (self.key_dim - 2))
        powers = tf.constant(-np.arange(half) / half)
        return tf.cast((self.base * stretched)[:, None] ** powers, "float32")
