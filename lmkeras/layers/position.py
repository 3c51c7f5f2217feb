"""Positions of tokens: sinusoids that are added to embeddings, or rotations of queries and keys.

Shape letters: B batch, H heads, T tokens, D width, K key size of one head.
"""

import keras
import numpy as np
from keras import ops

from lmkeras.errors import InputError
from lmkeras.layers.fused import rotation


def sinusoids(length: int, d_model: int) -> np.ndarray:
    """The table of sinusoidal positions, one row a position.

    Args:
        length: number of positions, T.
        d_model: width D, even.

    Returns:
        float64 [T, D]; column 2i holds sin(t / 10000^(2i/D)), column 2i + 1 the cosine of the same angle.

    Source: Vaswani et al. 2017, section 3.5.

    Example:
        >>> sinusoids(2, 4).round(2).tolist()
        [[0.0, 1.0, 0.0, 1.0], [0.84, 0.54, 0.01, 1.0]]
    """
    angles = np.arange(length)[:, None] * _sinusoid_rates(d_model)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, d_model)


def _sinusoid_rates(d_model: int) -> np.ndarray:
    return 10_000.0 ** (-np.arange(0, d_model, 2) / d_model)


@keras.saving.register_keras_serializable("lmkeras")
class SinusoidalPositionEncoding(keras.layers.Layer):
    """Adds sinusoidal positions to embeddings scaled by sqrt(D): [B, T, D] → [B, T, D].

    Args:
        max_length: the largest number of tokens the layer will see.

    Call arguments:
        x: embeddings [B, T, D], T <= max_length.
        start: position of the first token: an int or a scalar tensor for all rows alike, or int32 [B], one for each
            row. Positions below 0, which are filler's, count as 0, and those past the last one as the last one.

    Source: Vaswani et al. 2017, sections 3.4 and 3.5.
    """

    def __init__(self, max_length: int, **kwargs):
        super().__init__(**kwargs)
        self.max_length = max_length
        self.supports_masking = True

    def build(self, input_shape):
        """Checks the width; the layer has no weights."""
        if input_shape[-1] % 2:
            raise InputError(f"sinusoidal positions need an even width, got d_model={input_shape[-1]}")

    def call(self, x, start=0):
        """Scales the embeddings and adds the positions."""
        length, d_model = ops.shape(x)[1], x.shape[-1]
        if x.shape[1] is not None and x.shape[1] > self.max_length:
            raise InputError(f"got {x.shape[1]} tokens: the layer's max_length is {self.max_length}")
        positions = ops.clip(_positions(start, length), 0, self.max_length - 1)  # [T], or [B, T]
        # computed for these positions alone, as a table of all positions may be larger than all weights; in float64,
        # because far from the start a float32 angle is off by more than a float32 sine may be
        angles = ops.cast(positions, "float64")[..., None] * ops.convert_to_tensor(_sinusoid_rates(d_model), "float64")
        pairs = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)  # [..., T, D/2, 2]
        rows = ops.reshape(pairs, (*ops.shape(angles)[:-1], d_model))
        return x * ops.cast(d_model**0.5, x.dtype) + ops.cast(rows, x.dtype)

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "max_length": self.max_length}


def rotate(x, start=0, base: float = 10_000.0):
    """Rotates each pair (x[i], x[i + K/2]) by the angle t · base^(-2i/K): products of queries and keys then depend only
    on the distance of their tokens.

    Args:
        x: queries or keys [B, H, T, K], K even.
        start: position t of the first token: an int or a scalar tensor for all rows alike, or int32 [B], one for each
            row.
        base: the slowest pair turns once in about 2π · base tokens.

    Returns:
        Tensor like x.

    Source: Su et al. 2021 (RoFormer), equation 34, but with pairs (i, i + K/2) instead of neighbours.
    """
    cos, sin = rotation_angles(ops.shape(x)[2], key_dim=x.shape[-1], start=start, base=base)
    return rotation(x, cos, sin, normalize=False, dtype=keras.backend.standardize_dtype(x.dtype))


def rotation_angles(length, key_dim: int, start=0, base: float = 10_000.0):
    """Cosines and sines of the angles by which `rotate` turns pairs.

    Args:
        length: T, number of positions.
        key_dim: K, even.
        start: see `rotate`.
        base: see `rotate`.

    Returns:
        Two float32 [T, K/2], or [B, 1, T, K/2] if each row has its own start.
    """
    half = key_dim // 2
    rates = ops.convert_to_tensor((base ** (-np.arange(half) / half)).astype("float32"))
    positions = ops.cast(_positions(start, length), "float32")
    if _one_for_each_row(start):
        positions = positions[:, None]  # the same for all heads
    angles = positions[..., None] * rates
    return ops.cos(angles), ops.sin(angles)


def _one_for_each_row(start) -> bool:
    return len(getattr(start, "shape", ())) == 1


def _positions(start, length):
    """The positions start, start + 1 …: int32 [T], or [B, T] if each row has its own start."""
    return (start[:, None] if _one_for_each_row(start) else start) + ops.arange(length)
