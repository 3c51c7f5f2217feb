"""Weights in another precision than that of their file, without silent infinities."""

import numpy as np

from lmkeras.archives import shortened
from lmkeras.errors import InputError

#: the precisions in which the weights of published decoders may be held
WEIGHT_DTYPES = ("float32", "bfloat16", "float16")
_BINARY_DIGITS = {"float32": 24, "bfloat16": 8, "float16": 11}


class BeyondRange(InputError):
    """A weight has values that the precision asked for cannot express."""


def numpy_dtype(name: str) -> np.dtype:
    """NumPy's dtype of this name."""
    import ml_dtypes  # noqa: F401 - NumPy knows bfloat16 by it

    return np.dtype(name)


def loses_digits(published: str, held: str) -> bool:
    """Whether weights are rounded that were published in one precision and are held in another."""
    return _BINARY_DIGITS[held] < _BINARY_DIGITS[published]


def rounding_note(source: object, published: str, held: str) -> str:
    """What `loses_digits` means for a user, in one line.

    Args:
        source: what the weights are read from.
        published: the precision in which they were published.
        held: the precision in which they are held.
    """
    return (
        f"{source} was published in {published}: held in {held}, its weights are rounded, and what is saved or "
        "exported has the rounded ones"
    )


def in_dtype(tensor: np.ndarray, dtype: str, name: str) -> np.ndarray:
    """A tensor in another precision; BeyondRange, naming the tensor, if that cannot express its values."""
    with np.errstate(over="ignore"):
        converted = tensor.astype(numpy_dtype(dtype))
    require_in_range(converted, tensor, name)
    return converted


def require_in_range(converted: np.ndarray, tensor: np.ndarray, name: str) -> None:
    """Raises BeyondRange if finite numbers have become infinite, as they may in float16.

    Args:
        converted: the tensor in another precision.
        tensor: the same in that of its file.
        name: what the file calls it.
    """
    if converted.dtype != np.float16 or tensor.dtype == np.float16 or not np.isinf(converted).any():
        return
    lost = np.isinf(converted) & np.isfinite(tensor)
    if lost.any():
        largest = float(np.abs(tensor[lost]).max())
        raise BeyondRange(
            f"{shortened(name)} has values up to {largest:,.6g}, and float16 ends at 65,504: take the weights in "
            "bfloat16, which is as small, or in float32"
        )
