"""From logits to ids: pure functions that a generation loop applies one after another.

Shape letters: B batch, V vocabulary.
"""

import tensorflow as tf

_SHORTLIST = 64  # if top_k is at most this, only this many of the likeliest ids are sorted
_BLOCK = 128  # number of ids in a block, see `draw`
_BELOW_ONE = 1 - 2**-24  # the largest float32 below 1
_EXCLUDED = -1e9  # finite: minus infinity times a probability of zero would be NaN


def penalize_repetition(logits: tf.Tensor, seen: tf.Tensor, repetition_penalty: tf.Tensor) -> tf.Tensor:
    """Makes ids that were seen less likely: positive logits are divided by the penalty, negative ones multiplied.

    Args:
        logits: float32 [B, V].
        seen: bool [B, V], which ids are in the text already.
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
        logits: float32 [B, V]; V must be known when the function is traced.
        top_k: int32 scalar; 0, or V and more, keeps all.

    Returns:
        float32 [B, V], excluded ids at -1e9.

    Source: Fan et al. 2018.
    """
    shortlist = min(_SHORTLIST, logits.shape[-1])

    def keep():
        # XLA must know how many ids are sorted, while top_k may change from call to call
        def kth(size):
            return tf.gather(tf.math.top_k(logits, k=size).values, [top_k - 1], axis=1)

        lowest = tf.cond(top_k <= shortlist, lambda: kth(shortlist), lambda: kth(logits.shape[-1]))
        return tf.where(logits < lowest, _EXCLUDED, logits)

    return tf.cond((top_k > 0) & (top_k < logits.shape[-1]), keep, lambda: logits)


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
        before = tf.cumsum(probabilities, axis=-1, exclusive=True)  # sum of all likelier ids, without this one
        lowest = tf.reduce_min(tf.where(before < top_p, ordered, ordered[:, :1]), axis=-1, keepdims=True)
        return tf.where(logits < lowest, _EXCLUDED, logits)

    return tf.cond(top_p < 1.0, keep, lambda: logits)


def draw(logits: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Draws an id from softmax(logits): the first at which the cumulative probability is above `uniform`.

    Args:
        logits: float32 [B, V].
        uniform: float32 [B], in [0, 1).

    Returns:
        int32 [B].
    """
    size = logits.shape[-1]
    blocks = -(-size // _BLOCK)
    probabilities = tf.pad(tf.nn.softmax(logits), [[0, 0], [0, blocks * _BLOCK - size]])
    probabilities = tf.reshape(probabilities, [-1, blocks, _BLOCK])
    # first the block in which the sum passes `uniform`, then the id in it: XLA is slow at running sums over all V
    block, rest = _passes(tf.reduce_sum(probabilities, axis=-1), uniform)
    id_in_block, _ = _passes(tf.gather(probabilities, block, batch_dims=1), rest)
    return block * _BLOCK + id_in_block


def _passes(weights, uniform):
    """Finds the weight at which a running sum passes a share of the total.

    Args:
        weights: [B, N], at least 0.
        uniform: [B], in [0, 1), the share of the total.

    Returns:
        (int32 [B], the number of that weight; [B] in [0, 1), how far into that weight the share is reached).
    """
    cumulative, possible = tf.cumsum(weights, axis=-1), weights > 0
    # the last sum is not the total: computed in parallel (XLA, GPUs), it may be rounded to more than the sum at the
    # last weight above 0, and then no weight would be found
    total = tf.reduce_max(tf.where(possible, cumulative, 0.0), axis=-1)
    target = uniform * total
    at = tf.argmax(possible & (cumulative > target[:, None]), axis=-1, output_type=tf.int32)  # the first that is True
    before = tf.gather(tf.pad(cumulative, [[0, 0], [1, 0]]), at, batch_dims=1)
    share = (target - before) / tf.gather(weights, at, batch_dims=1)
    return at, tf.clip_by_value(share, 0.0, _BELOW_ONE)


def sample(
    logits: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """The next ids: at temperature 0 the likeliest, else drawn from the ids that top_k and then top_p leave.

    Args:
        logits: float32 [B, V].
        uniform: float32 [B], in [0, 1), random numbers that decide which ids are drawn.
        temperature: scalar >= 0; logits are divided by it.
        top_k: see `keep_top_k`.
        top_p: see `keep_top_p`.

    Returns:
        int32 [B].
    """

    def chance():
        # the largest logit becomes 0: else a low temperature could make logits infinite, or lower than excluded ones
        scaled = (logits - tf.reduce_max(logits, axis=-1, keepdims=True)) / temperature
        return draw(keep_top_p(keep_top_k(scaled, top_k), top_p), uniform)

    return tf.cond(temperature > 0, chance, lambda: tf.argmax(logits, axis=-1, output_type=tf.int32))
