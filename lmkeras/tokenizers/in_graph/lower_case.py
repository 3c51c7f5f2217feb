"""str.lower in TensorFlow operations, with Python's tables, because TensorFlow's follow another version of Unicode."""

import functools
import sys
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

SIGMA, FINAL_SIGMA = ord("Σ"), ord("ς")


@functools.cache
def expansions() -> dict[str, str]:
    """The characters whose lower case is several characters ('İ' in every Unicode version so far)."""
    return {character: lowered for character, lowered in _each_lowered() if len(lowered) != 1}


@functools.cache
def lowered_lengths() -> tuple[np.ndarray, np.ndarray]:
    """How many code points the lower case of each code point has, as a step function."""
    return steps(np.fromiter((len(lowered) for _, lowered in _each_lowered()), np.int32))


@functools.cache
def shifts() -> tuple[np.ndarray, np.ndarray]:
    """How far the lower case of each code point is from it, as a step function; 0 for what `expansions` holds."""
    differences = (ord(lowered) - ord(c) if len(lowered) == 1 else 0 for c, lowered in _each_lowered())
    return steps(np.fromiter(differences, np.int32))


@functools.cache
def context_classes() -> tuple[np.ndarray, np.ndarray]:
    """The part of each code point in deciding how a sigma near it is lower-cased, as a step function.

    A capital sigma becomes 'ς' where a cased letter stands before it and none behind it, and 'σ' anywhere else.
    Characters that are case-ignorable, like an apostrophe, are skipped in looking for these letters (The Unicode
    Standard, table 3-17, Final_Sigma).

    Returns:
        A step function that is 1 for cased letters, -1 for case-ignorable characters and 0 for all others, as str.lower
        treats them.
    """
    return steps(np.fromiter((_context_class(chr(code)) for code in range(sys.maxunicode + 1)), np.int32))


def lower(texts: tf.Tensor) -> tf.RaggedTensor:
    """The code points of lower-cased texts.

    Args:
        texts: UTF-8 strings [B].

    Returns:
        int32 [B, characters], the code points of str.lower of each text.
    """
    with tf.device("CPU"):  # where strings are
        for character, lowered in expansions().items():
            texts = tf.strings.regex_replace(texts, character, lowered)
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        flat = codes.flat_values
        flat = tf.cond(
            tf.reduce_any(flat == SIGMA), lambda: _with_final_sigmas(flat, codes.value_rowids()), lambda: flat
        )
        return codes.with_flat_values(flat + step(flat, *shifts()))


def step(points: tf.Tensor, starts: np.ndarray, values: np.ndarray) -> tf.Tensor:
    """The values of a step function at some points.

    Args:
        points: int32 [N], none below the first start.
        starts: int32 [K], ascending: where the function takes a new value.
        values: [K], the value from each start up to the next one.

    Returns:
        [N], of the values' dtype.
    """
    return tf.gather(values, tf.searchsorted(starts, points, side="right") - 1)


def steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step function, for `step`, of int32 values at 0, 1, 2, and so on."""
    starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1)).astype(np.int32)
    return starts, values[starts]


def _with_final_sigmas(codes: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    classes = step(codes, *context_classes())
    # Without the case-ignorable characters, the letters that decide are a sigma's two neighbours in the same text.
    seen = tf.where(classes >= 0)[:, 0]
    rows, cased, sigma = tf.gather(rows, seen), tf.gather(classes, seen) == 1, tf.gather(codes, seen) == SIGMA
    same_text = rows[1:] == rows[:-1]
    after_cased = tf.concat([[False], cased[:-1] & same_text], axis=0)
    before_cased = tf.concat([cased[1:] & same_text, [False]], axis=0)
    final = tf.boolean_mask(seen, sigma & after_cased & ~before_cased)
    return tf.tensor_scatter_nd_update(codes, final[:, None], tf.fill(tf.shape(final), FINAL_SIGMA))


def _context_class(character: str) -> int:
    if (character + "Σ").lower()[-1] == "ς":
        return 1
    return -1 if ("A" + character + "Σ").lower()[-1] == "ς" else 0


def _each_lowered() -> Iterator[tuple[str, str]]:
    return ((character, character.lower()) for character in map(chr, range(sys.maxunicode + 1)))
