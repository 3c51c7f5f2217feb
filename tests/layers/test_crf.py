"""Conditional random fields beside the enumeration of all sequences of tags."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.layers.crf import FORBIDDEN, Scores, best_path, log_likelihood, log_total, posterior, tag_probabilities

NUM_TAGS = 3
LENGTHS = [4, 1, 0, 3]


def made(seed, spread=2.0, forbidden=()):
    random = np.random.default_rng(seed)
    emissions = random.normal(0, spread, (len(LENGTHS), max(LENGTHS), NUM_TAGS))
    transitions = random.normal(0, spread, (NUM_TAGS, NUM_TAGS))
    for pair in forbidden:
        transitions[pair] = FORBIDDEN
    return emissions, transitions, random.normal(0, spread, NUM_TAGS), random.normal(0, spread, NUM_TAGS)


def sequences(emissions, transitions, start, end, length):
    """Every sequence of tags of a text and its score."""
    for tags in itertools.product(range(NUM_TAGS), repeat=length):
        score = sum(emissions[word, tag] for word, tag in enumerate(tags))
        score += sum(transitions[pair] for pair in itertools.pairwise(tags))
        yield tags, score + start[tags[0]] + end[tags[-1]]


def enumerated(parts):
    """For each text the scores of all sequences, by sequence."""
    return [dict(sequences(parts[0][row], *parts[1:], length)) if length else {} for row, length in enumerate(LENGTHS)]


def log_sum(scores):
    return np.logaddexp.reduce(list(scores)) if scores else 0.0


@pytest.fixture(params=[(0, ()), (1, ((0, 1), (2, 2)))], ids=["all transitions", "some forbidden"])
def case(request):
    seed, forbidden = request.param
    parts = made(seed, forbidden=forbidden)
    return parts, enumerated(parts), [tf.constant(part) for part in parts]


def test_the_likelihood_of_any_sequence(case):
    _, known, (emissions, *scores) = case
    tags = np.array([[0, 2, 1, 2], [1, 0, 0, 0], [0, 0, 0, 0], [2, 1, 0, 0]])
    found = log_likelihood(emissions, tf.constant(LENGTHS), tags, Scores(*scores))
    expected = [
        scores_of[tuple(row[:length])] - log_sum(scores_of.values()) if length else 0.0
        for scores_of, row, length in zip(known, tags.tolist(), LENGTHS, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_probability_of_each_tag(case):
    _, known, (emissions, *scores) = case
    found = tag_probabilities(emissions, posterior(emissions, tf.constant(LENGTHS), Scores(*scores))).numpy()
    for row, (scores_of, length) in enumerate(zip(known, LENGTHS, strict=True)):
        expected = np.zeros((length, NUM_TAGS))
        for tags, score in scores_of.items():
            for word, tag in enumerate(tags):
                expected[word, tag] += np.exp(score - log_sum(scores_of.values()))
        np.testing.assert_allclose(found[row, :length], expected, atol=1e-6)


def test_the_best_path(case):
    _, known, (emissions, *scores) = case
    found = best_path(emissions, tf.constant(LENGTHS), Scores(*scores)).numpy().tolist()
    for row, (scores_of, length) in enumerate(zip(known, LENGTHS, strict=True)):
        expected = max(scores_of, key=scores_of.get) if length else ()
        assert found[row] == [*expected, *[0] * (max(LENGTHS) - length)]


def test_the_gradient_is_that_of_differences(case):
    parts, _, tensors = case
    weights = [1.0, 0.5, 2.0, -1.0]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        emissions, *scores = tensors
        value = tf.reduce_sum(tf.constant(weights, tf.float64) * log_total(emissions, tf.constant(LENGTHS), *scores))
    step = 1e-6
    for number, (part, gradient) in enumerate(zip(parts, tape.gradient(value, tensors), strict=True)):
        for place in np.ndindex(part.shape):
            if part[place] == FORBIDDEN:
                continue
            sums = []
            for sign in (1, -1):
                changed = [np.array(other) for other in parts]
                changed[number][place] += sign * step
                sums.append(sum(w * log_sum(s.values()) for w, s in zip(weights, enumerated(changed), strict=True)))
            assert gradient[place].numpy() == pytest.approx((sums[0] - sums[1]) / (2 * step), abs=1e-6)


def test_far_apart_scores_stay_finite_in_float32():
    emissions, *scores = (tf.constant(part, tf.float32) for part in made(3, spread=200.0, forbidden=((0, 1),)))
    found = log_likelihood(
        emissions, tf.constant(LENGTHS), best_path(emissions, tf.constant(LENGTHS), Scores(*scores)), Scores(*scores)
    )
    assert np.all(np.isfinite(found))
    assert np.all(found.numpy() <= 1e-3)


def test_xla_gives_the_same_numbers(case):
    _, _, (emissions, *scores) = case
    lengths = tf.constant(LENGTHS)

    def all_of(emissions, transitions, start, end):
        scores = Scores(transitions, start, end)
        with tf.GradientTape() as tape:
            tape.watch(emissions)
            likelihood = log_likelihood(emissions, lengths, tf.zeros(emissions.shape[:2], tf.int32), scores)
        return likelihood, tape.gradient(likelihood, emissions), best_path(emissions, lengths, scores)

    compiled = tf.function(all_of, jit_compile=True)(emissions, *scores)
    for found, expected in zip(compiled, all_of(emissions, *scores), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_long_text_keeps_its_digits_in_float32():
    random, length = np.random.default_rng(5), 3000
    emissions, lengths = random.normal(0, 6, (1, length, NUM_TAGS)), tf.constant([length])
    weights = [random.normal(0, 2, shape) for shape in ((NUM_TAGS, NUM_TAGS), NUM_TAGS, NUM_TAGS)]
    single, double = (
        [tf.constant(part, dtype) for part in (emissions, *weights)] for dtype in (tf.float32, tf.float64)
    )
    found, expected = (
        (
            tag_probabilities(parts[0], posterior(parts[0], lengths, Scores(*parts[1:]))),
            best_path(parts[0], lengths, Scores(*parts[1:])),
        )
        for parts in (single, double)
    )
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    np.testing.assert_array_equal(found[1], expected[1])
