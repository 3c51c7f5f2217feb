"""Conditional random fields over sequences of tags: exact likelihood, posterior probabilities and the best path.

A sequence of tags has the score start[first tag] + the sum of each tag's emission + the sum of transitions[tag, next
tag] + end[last tag]. Its probability is exp(score) over the sum of exp(score) of all sequences.

Shape letters: B batch, W words, K tags.

Source: Lafferty et al. 2001, "Conditional Random Fields"; Collobert et al. 2011, section 3.3.2, on top of a network.
"""

from typing import NamedTuple

import tensorflow as tf

#: a score that no sequence recovers from: for transitions that must not happen
FORBIDDEN = -1e9


class Scores(NamedTuple):
    """What is learnt beside the emissions.

    Attributes:
        transitions: float32 [K, K], from each tag (row) to the next one (column).
        start: float32 [K], of each tag as the first one.
        end: float32 [K], of each tag as the last one.
    """

    transitions: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor


class Posterior(NamedTuple):
    """What all sequences of tags together say about each word.

    At each word the largest value of `before` and that of `after` is 0: what all tags have in common is left out, since
    sums over long texts would have no digits left for what they differ in.

    Attributes:
        before: [B, W, K], the log of the sum of exp(score) over all sequences that end at a word with a tag; its
            emission counts.
        after: [B, W, K], the same over all sequences that begin at a word with a tag; its emission counts here too.
        log_total: [B], the log of the sum over all sequences of the text; 0 for a text without words.
    """

    before: tf.Tensor
    after: tf.Tensor
    log_total: tf.Tensor


def log_likelihood(emissions, lengths, tags, scores: Scores):
    """The log of the probability of sequences of tags, [B]; 0 where there are no words.

    Args:
        emissions: [B, W, K], float32 or float64.
        lengths: int32 [B], how many words each text has; what comes after them is not read.
        tags: int32 [B, W].
        scores: what is learnt beside the emissions, in the same precision.
    """
    return path_score(emissions, lengths, tags=tags, scores=scores) - log_total(emissions, lengths, *scores)


def path_score(emissions, lengths, tags, scores: Scores):
    """The score of one sequence of tags for each text, [B]; the arguments are those of `log_likelihood`."""
    width, mask = tf.shape(tags)[1], tf.sequence_mask(lengths, tf.shape(tags)[1], emissions.dtype)
    own = tf.gather(emissions, tags, axis=2, batch_dims=2) * mask
    pairs = tf.gather(tf.reshape(scores.transitions, [-1]), tags[:, :-1] * tf.shape(scores.start)[0] + tags[:, 1:])
    last = tf.gather(tags, tf.clip_by_value(lengths - 1, 0, width - 1), axis=1, batch_dims=1)
    ends = (tf.gather(scores.start, tags[:, 0]) + tf.gather(scores.end, last)) * mask[:, 0]
    return tf.reduce_sum(own, axis=1) + tf.reduce_sum(pairs * mask[:, 1:], axis=1) + ends


@tf.custom_gradient
def log_total(emissions, lengths, transitions, start, end):
    """The log of the sum of exp(score) over all sequences of tags, [B]; the arguments are those of `log_likelihood`.

    The gradient is written down, since it is known: how probable each tag of each word is, and each pair of tags.
    """
    found = posterior(emissions, lengths, Scores(transitions, start, end))

    def gradient(upstream):
        width = tf.shape(emissions)[1]
        shares = tf.sequence_mask(lengths, width, emissions.dtype) * upstream[:, None]
        marginals = tag_probabilities(emissions, found) * shares[..., None]
        last = tf.one_hot(lengths - 1, width, dtype=emissions.dtype)
        of_ends = tf.einsum("bwk,bw->k", marginals, last)
        of_pairs = _sum_of_pairs(found, transitions, shares)
        return marginals, None, of_pairs, tf.reduce_sum(marginals[:, 0], axis=0), of_ends

    return found.log_total, gradient


def _sum_of_pairs(found: Posterior, transitions, shares):
    """How probable each pair of tags of neighbouring words is, times the share of the second word, summed: [K, K]."""

    def step(total, word):  # a word at a time, since all together would take much memory where there are many tags
        pairs = found.before[:, word - 1, :, None] + transitions + found.after[:, word, None, :]
        pairs = tf.exp(pairs - tf.reduce_logsumexp(pairs, axis=(1, 2), keepdims=True))
        return total + tf.einsum("bij,b->ij", pairs, shares[:, word])

    width = tf.shape(shares)[1]
    loop = (tf.constant(1), tf.zeros_like(transitions))
    return tf.while_loop(
        lambda word, _: word < width,
        lambda word, total: (word + 1, step(total, word)),
        loop,
        maximum_iterations=width - 1,
    )[1]


def posterior(emissions, lengths, scores: Scores) -> Posterior:
    """The Posterior of texts; the arguments are those of `log_likelihood`.

    Both directions are one loop over the words: texts stand in it twice, the second time turned around.
    """
    turned = tf.reverse_sequence(emissions, lengths, seq_axis=1, batch_axis=0)
    both = tf.stack([emissions, turned])  # [2, B, W, K]
    steps = tf.stack([tf.transpose(scores.transitions), scores.transitions])  # [2, to, from]
    first = _without_largest(tf.stack([scores.start, scores.end])[:, None] + both[:, :, 0])
    mask = tf.sequence_mask(lengths, tf.shape(emissions)[1])[None, ..., None]

    def step(state, word):
        known, common = state
        emitted = tf.reduce_logsumexp(known[:, :, None] + steps[:, None], axis=-1) + both[:, :, word]
        emitted, largest = _without_largest(emitted)
        return tf.where(mask[:, :, word], emitted, known), tf.where(mask[:, :, word], common + largest, common)

    sums, common = _over_words(step, first, tf.shape(emissions)[1])
    sums, common = tf.transpose(sums, [1, 2, 0, 3]), common[-1, 0, :, 0]
    last = tf.gather(sums[0], tf.maximum(lengths - 1, 0), axis=1, batch_dims=1)
    total = tf.where(lengths > 0, tf.reduce_logsumexp(last + scores.end, axis=-1) + common, 0)
    return Posterior(sums[0], tf.reverse_sequence(sums[1], lengths, seq_axis=1, batch_axis=0), total)


def _without_largest(values):
    """The values minus the largest of the last axis, and this one."""
    largest = tf.reduce_max(values, axis=-1, keepdims=True)
    return values - largest, largest


def tag_probabilities(emissions, found: Posterior):
    """How probable each tag of each word is, [B, W, K]; of what is after the last word it has no meaning."""
    return tf.nn.softmax(found.before + found.after - emissions)


def best_path(emissions, lengths, scores: Scores):
    """The sequence of tags with the highest score (Viterbi), int32 [B, W]; 0 after the last word.

    Of equally good tags, the one with the lower number wins. The arguments are those of `log_likelihood`.
    """
    width = tf.shape(emissions)[1]
    mask = tf.sequence_mask(lengths, width)
    itself = tf.range(tf.shape(emissions)[2])[None]

    def step(state, word):
        known, _ = state
        reached = known[:, :, None] + scores.transitions
        best, _ = _without_largest(tf.reduce_max(reached, axis=1) + emissions[:, word])
        inside = mask[:, word, None]
        origin = tf.where(inside, tf.argmax(reached, axis=1, output_type=tf.int32), itself)
        return tf.where(inside, best, known), origin

    first = scores.start + emissions[:, 0]
    origins = tf.zeros(tf.shape(first), tf.int32) + itself
    best, origins = _over_words(step, (first, origins), width)
    last = tf.argmax(best[-1] + scores.end, axis=1, output_type=tf.int32)

    def back(tag, place):
        return tf.gather(origins[width - place], tag, axis=1, batch_dims=1)

    tags = tf.transpose(_over_words(back, last, width)[::-1])
    return tf.where(mask, tags, 0)


def _over_words(step, first, width):
    """`first`, and what `step(the one before, word)` gives for each word from 1 to width - 1, stacked: [W, …]."""
    parts = tf.nest.map_structure(lambda part: tf.TensorArray(part.dtype, width, element_shape=part.shape), first)
    write = tf.nest.map_structure

    def body(word, state, parts):
        state = step(state, word)
        return word + 1, state, write(lambda array, part: array.write(word, part), parts, state)

    parts = write(lambda array, part: array.write(0, part), parts, first)
    loop = (tf.constant(1), first, parts)
    _, _, parts = tf.while_loop(lambda word, *_: word < width, body, loop, maximum_iterations=width - 1)
    return tf.nest.map_structure(lambda array: array.stack(), parts)
