"""Logits into ids: pure functions that a generation loop applies one after another.

Shape letters: B batch, V vocabulary.
"""

import tensorflow as tf

_EXCLUDED = -1e9  # finite: minus infinity times a probability of zero would be NaN


def penalize_repetition(logits: tf.Tensor, seen: tf.Tensor, repetition_penalty: tf.Tensor) -> tf.Tensor:
    """Makes ids that were seen less likely: positive logits are divided by the penalty, negative ones multiplied.

    Args:
        logits: float32 [B, V].
        seen: bool [B, V], which ids the text so far holds.
        repetition_penalty: scalar > 0; 1 changes nothing.

    Returns:
        float32 [B, V].

    Source: Keskar et al. 2019 (CTRL), section 4.1.
    """
    penalized = tf.where(logits > 0, logits / repetition_penalty, logits * repetition_penalty)
    return tf.where(seen, penalized, logits)


def keep_top_k(logits: tf.Tensor, top_k: tf.Tensor) -> tf.Tensor:
    """Excludes all but the `top_k` likeliest ids (ties with the last of them stay too).

    Args:
        logits: float32 [B, V].
        top_k: int32 scalar; 0, or V and more, keeps all.

    Returns:
        float32 [B, V], excluded ids at -1e9.

    Source: Fan et al. 2018.
    """
    vocabulary_size = tf.shape(logits)[-1]

    def keep():
        # only as many are sorted as are kept
        lowest = tf.math.top_k(logits, k=top_k).values[:, -1:]
        return tf.where(logits < lowest, _EXCLUDED, logits)

    return tf.cond((top_k > 0) & (top_k < vocabulary_size), keep, lambda: logits)


def keep_top_p(logits: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Excludes all but the smallest set of likeliest ids whose probabilities reach `top_p` together.

    Args:
        logits: float32 [B, V].
        top_p: scalar in (0, 1]; 1 keeps all. The likeliest id is always kept.

    Returns:
        float32 [B, V], excluded ids at -1e9.

    Source: Holtzman et al. 2020.
    """

    def keep():
        ordered = tf.sort(logits, direction="DESCENDING")
        probabilities = tf.nn.softmax(ordered)
        before = tf.cumsum(probabilities, axis=-1, exclusive=True)  # what the likelier ids reach without this one
        lowest = tf.reduce_min(tf.where(before < top_p, ordered, ordered[:, :1]), axis=-1, keepdims=True)
        return tf.where(logits < lowest, _EXCLUDED, logits)

    return tf.cond(top_p < 1.0, keep, lambda: logits)


def draw(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Draws an id from softmax(logits), as the one at which the cumulative distribution passes `uniform`.

    Args:
        logits: float32 [B, V].
        uniform: float32 [B], in [0, 1).

    Returns:
        int32 [B].
    """
    probabilities = tf.nn.softmax(logits)
    cumulative = tf.cumsum(probabilities, axis=-1)
    possible = probabilities > 0
    # not the last sum: summed in parallel (XLA, GPUs), rounding lets it exceed all those at ids that are possible
    total = tf.reduce_max(tf.where(possible, cumulative, 0.0), axis=-1, keepdims=True)
    passed = possible & (cumulative > uniform[:, None] * total)
    return tf.argmax(passed, axis=-1, output_type=tf.int32)  # the first that is True


def sample(
    logits: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """The next ids: the likeliest at temperature 0, else drawn at that temperature from the top k, then the top p.

    Args:
        logits: float32 [B, V].
        uniform: float32 [B], in [0, 1): where the chance comes from.
        temperature: scalar >= 0; logits are divided by it.
        top_k: see `keep_top_k`.
        top_p: see `keep_top_p`.

    Returns:
        int32 [B].
    """

    def chance():
        # with the largest at 0, no low temperature takes the likely ids below the excluded ones or to infinity
        scaled = (logits - tf.reduce_max(logits, axis=-1, keepdims=True)) / temperature
        return draw(keep_top_p(keep_top_k(scaled, top_k), top_p), uniform)

    return tf.cond(temperature > 0, chance, lambda: tf.argmax(logits, axis=-1, output_type=tf.int32))
