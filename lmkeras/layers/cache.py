"""Caches of keys and values: where tokens are written, and which slots a token may look at.

A cache has L slots, one for each token. A step writes the next tokens of all rows of a batch into the same slots, so
texts of different lengths end in the same slot. The slots before the first token of a shorter text hold filler, which
no token looks at. After the last slot comes the first one again: a cache holds the last L tokens of each row.

Shape letters: B batch, T tokens, L cache length in slots, H heads, K key size of one head.
"""

import contextlib
import contextvars
from typing import NamedTuple

import tensorflow as tf
from keras import ops

_compiled = contextvars.ContextVar("compiled_steps", default=False)


@contextlib.contextmanager
def compiled_steps():
    """A context in which steps of attention are traced for XLA, which can change a cache without copying it."""
    token = _compiled.set(True)
    try:
        yield
    finally:
        _compiled.reset(token)


def are_steps_compiled() -> bool:
    """Whether `compiled_steps` holds."""
    return _compiled.get()


class Place(NamedTuple):
    """Where the next tokens of all rows are written, in caches of one shape.

    Attributes:
        first: int32 scalar, the slot of the first of them.
        at: int32 [B·H, 2], row and slot of each, if there is one token for each row; else None.
    """

    first: tf.Tensor
    at: tf.Tensor | None


def place_of(cache, start, length) -> Place:
    """The place of the next `length` tokens in a cache [B·H, L, K]; `start` tokens were written to it before."""
    rows, slots = ops.shape(cache)[:2]
    first = start % slots
    one = isinstance(length, int) and length == 1
    return Place(first, tf.stack([tf.range(rows), tf.fill([rows], first)], axis=1) if one else None)


def placed(cache, new, place: Place):
    """The cache [B·H, L, K] with `new` [B·H, T, K] in its place."""
    new = ops.cast(new, cache.dtype)
    if are_steps_compiled():
        return ops.slice_update(cache, (0, place.first, 0), new)
    # outside XLA, TensorFlow compiles slice_update anew for every shape, and not every server has that operation
    if place.at is not None:
        return tf.tensor_scatter_nd_update(cache, place.at, new[:, 0])
    parts = [cache[:, : place.first], new, cache[:, place.first + ops.shape(new)[1] :]]
    return tf.ensure_shape(ops.concatenate(parts, axis=1), cache.shape)


def with_texts_of(state, rows, other, layers):
    """A writer's state in which some texts are those of another state; see `Writer.replace_rows`.

    Args:
        state: "positions", "slots" and "caches", one for each of the layers.
        rows: int32 [N], which texts to replace.
        other: the state of N texts.
        layers: those with a method `replace_rows` for their cache.
    """
    turn, caches = state["slots"] - other["slots"], zip(state["caches"], other["caches"], strict=True)
    return {
        "positions": tf.tensor_scatter_nd_update(state["positions"], rows[:, None], other["positions"]),
        "slots": state["slots"],
        "caches": [
            layer.replace_rows(cache, rows=rows, other=new, turn=turn)
            for layer, (cache, new) in zip(layers, caches, strict=True)
        ],
    }


def with_rows_of(other, cache, rows, turn, num_heads):
    """The cache of B texts in which the texts `rows`, int32 [N], are replaced by those of the cache `other`.

    Args:
        other: the cache of N texts, with as many slots.
        cache: keys and values by name, each [B·H, L, K].
        rows: which texts to replace.
        turn: by how many slots those of `other` are moved on, so that all texts end in the same slot.
        num_heads: H, of the keys and values.
    """
    heads = ops.reshape(rows[:, None] * num_heads + ops.arange(num_heads), (-1, 1))  # [N·H, 1]
    return {name: tf.tensor_scatter_nd_update(cache[name], heads, tf.roll(other[name], turn, axis=1)) for name in cache}


def rows_of(caches, rows, num_heads):
    """The caches of other texts: text i is text rows[i] of before, which may go on several times, or not at all.

    Args:
        caches: one for each block, keys and values by name, each [B·H, L, K].
        rows: int32 [N].
        num_heads: H, of the keys and values.
    """
    heads = ops.reshape(rows[:, None] * num_heads + ops.arange(num_heads), (-1,))  # [N·H]
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, heads), caches)


def visible(start, slots, length, lengths):
    """Which slots of a cache the next tokens may look at, those of these tokens themselves included.

    Args:
        start: a scalar, how many tokens were written to the cache before, filler included.
        slots: L.
        length: T, how many tokens are read next; they have been written to the cache.
        lengths: int32, broadcastable to [..., T, L]: how many tokens each text has up to the last of these, filler not
            counted.

    Returns:
        (bool [..., T, L]; int32 [T, L], how many tokens before the one that looks a slot's token stands).
    """
    age = (start + length - 1) % slots - ops.arange(slots)
    age = ops.where(age < 0, age + slots, age)  # [L], how many tokens came after the one in each slot
    distance = age - ops.arange(length)[::-1][:, None]  # [T, L]
    return ops.logical_and(distance >= 0, age < lengths), distance
