"""Samplers against distributions computed in NumPy, by exact thresholds and by chi-square tests."""

from statistics import NormalDist

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmkeras.decoding.samplers import draw, keep_top_k, keep_top_p, penalize_repetition, sample

BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
EXCLUDED = -1e9

# quarters are exact in float32, and meet often enough for ties
quarters = st.integers(-120, 120).map(lambda i: i / 4)
some_logits = st.lists(quarters, min_size=1, max_size=12)
distinct_logits = st.lists(quarters, min_size=1, max_size=12, unique=True)
uniforms = st.floats(0, BELOW_ONE, width=32)
quick = settings(max_examples=60, deadline=None)


def softmax(logits):
    e = np.exp(np.asarray(logits, "float64") - np.max(logits))
    return e / e.sum()


def top_k_set(logits, top_k):
    """The ids of the k largest logits, with those that tie with the last."""
    return {i for i, logit in enumerate(logits) if sum(other > logit for other in logits) < (top_k or len(logits))}


def top_p_set(logits, top_p):
    """The ids, likeliest first, up to the one that reaches top_p, with those that tie with it."""
    p, kept = softmax(logits), []
    for i in np.argsort(-p, kind="stable"):
        if p[kept].sum() < top_p or p[i] == p[kept[-1]]:
            kept.append(i)
    return set(kept)


def only(logits, ids):
    """The distribution among these ids alone."""
    p = np.zeros(len(logits))
    p[sorted(ids)] = softmax(np.asarray(logits)[sorted(ids)])
    return p


def row(values):
    return tf.constant([values], tf.float32)


def kept(logits):
    return {i for i, logit in enumerate(logits.numpy()[0]) if logit != EXCLUDED}


def sampled(logits, uniform, temperature=1.0, top_k=0, top_p=1.0):
    logits = tf.broadcast_to(row(logits), [len(uniform), len(logits)])
    uniform = tf.constant(uniform, tf.float32)
    return sample(logits, uniform, tf.constant(temperature), tf.constant(top_k), tf.constant(top_p)).numpy()


def critical_chi_square(degrees, false_alarm=1e-6):
    """The value that chi-square exceeds with probability `false_alarm`: Wilson and Hilferty 1931."""
    z = NormalDist().inv_cdf(1 - false_alarm)
    return degrees * (1 - 2 / (9 * degrees) + z * np.sqrt(2 / (9 * degrees))) ** 3


def fits(ids, p):
    """Whether ids look drawn from p, by Pearson's test at a false-alarm probability of one in a million."""
    counts, expected = np.bincount(ids, minlength=len(p)), len(ids) * p
    possible = p > 0
    assert expected[possible].min() > 5, "the test holds for larger samples alone"
    assert counts[~possible].sum() == 0, "an id of probability 0 came"
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    return statistic < critical_chi_square(possible.sum() - 1)


def test_critical_values_are_those_of_the_tables():
    # false alarm 0.001: 16.27, 29.59 and 59.70 for 3, 10 and 30 degrees of freedom
    values = [critical_chi_square(degrees, 0.001) for degrees in (3, 10, 30)]
    assert values == pytest.approx([16.27, 29.59, 59.70], rel=0.02)


LOGITS = np.array([1.5, 0.25, -1.0, 2.0, 0.5, 1.75, -0.5, 0.0, 1.0, -0.25])


def top_p_of_top_k(logits, top_k, top_p):
    """The distribution of the top p among the top k: probabilities are those among the k."""
    ids = sorted(top_k_set(logits, top_k))
    return only(logits, {ids[i] for i in top_p_set(logits[ids], top_p)})


CASES = {
    "as the model has it": ({}, softmax(LOGITS)),
    "cooler": ({"temperature": 0.6}, softmax(LOGITS / 0.6)),
    "hotter": ({"temperature": 3.0}, softmax(LOGITS / 3)),
    "top 4": ({"top_k": 4}, only(LOGITS, top_k_set(LOGITS, 4))),
    "more than all": ({"top_k": 99}, softmax(LOGITS)),
    "top 70 %": ({"top_p": 0.7}, only(LOGITS, top_p_set(LOGITS, 0.7))),
    "all at once": ({"temperature": 1.6, "top_k": 6, "top_p": 0.85}, top_p_of_top_k(LOGITS / 1.6, 6, 0.85)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [1, 2])
def test_frequencies(name, seed):
    arguments, p = CASES[name]
    ids = sampled(LOGITS, np.random.default_rng(seed).random(20_000, "float32"), **arguments)
    assert fits(ids, p)
    assert not fits(ids, p**1.25 / (p**1.25).sum()), "the test would miss a temperature that is off by a quarter"


def test_temperature_comes_before_top_k_and_top_k_before_top_p():
    p = CASES["all at once"][1]
    assert set(np.flatnonzero(p)) not in (
        top_p_set(LOGITS / 1.6, 0.85),
        set(np.flatnonzero(top_p_of_top_k(LOGITS, 6, 0.85))),
    )


@quick
@given(logits=some_logits, uniform=st.lists(uniforms, min_size=1, max_size=8))
def test_draw_inverts_the_cumulative_distribution(logits, uniform):
    drawn = draw(tf.repeat(row(logits), len(uniform), 0), tf.constant(uniform, tf.float32)).numpy()
    p = softmax(logits)
    ends = np.cumsum(p)
    for u, id in zip(uniform, drawn, strict=True):
        assert ends[id] - p[id] - 1e-6 <= u <= ends[id] + 1e-6
        assert p[id] > 0


def test_an_id_begins_where_the_one_before_it_ends():
    quarter = tf.fill([8, 4], 1.5)  # sums of quarters are exact
    uniform = np.float32([0, 0.25, 0.5, 0.75])
    ends = np.nextafter(np.append(uniform[1:], np.float32(1)), np.float32(0))
    assert draw(quarter, tf.constant([*uniform, *ends])).numpy().tolist() == [0, 1, 2, 3] * 2


@quick
@given(logits=some_logits, excluded=st.data(), uniform=st.one_of(uniforms, st.sampled_from([0.0, BELOW_ONE])))
def test_excluded_ids_never_come(logits, excluded, uniform):
    barred = excluded.draw(st.sets(st.integers(0, len(logits) - 1), max_size=len(logits) - 1))
    logits = [EXCLUDED if i in barred else logit for i, logit in enumerate(logits)]
    temperature = excluded.draw(st.floats(2**-40, 1000, width=32))
    assert draw(row(logits), tf.constant([uniform])).numpy()[0] not in barred
    assert sampled(logits, [uniform], temperature)[0] not in barred


@pytest.mark.parametrize("compiled", [False, True])
def test_excluded_ids_never_come_from_large_vocabularies(compiled):
    rng = np.random.default_rng(0)
    excluded = rng.random((64, 9973)) < 0.5
    excluded[:, 0] = excluded[:, -3000:] = True
    logits = tf.constant(np.where(excluded, EXCLUDED, 3 * rng.normal(size=excluded.shape)), tf.float32)
    # XLA sums in parallel, with other roundings at every id: sums may rise at excluded ids, where it is hardest
    sums = tf.function(lambda x: tf.cumsum(tf.nn.softmax(x), axis=-1), jit_compile=compiled)(logits).numpy()
    rises = excluded[:, 1:] & (np.diff(sums) > 0)
    totals = np.where(excluded, 0, sums).max(axis=-1)
    rows, ids = np.nonzero(rises)
    hardest = (sums[rows, ids + 1] / totals[rows])[::16]
    function = tf.function(draw, jit_compile=compiled)
    for uniform in [0.0, BELOW_ONE, *hardest, *np.nextafter(hardest, np.float32(0))]:
        ids = function(logits, tf.fill([64], tf.constant(min(uniform, BELOW_ONE), tf.float32))).numpy()
        assert not excluded[np.arange(64), ids].any()


@pytest.mark.parametrize("compiled", [False, True])
def test_draws_from_large_vocabularies_invert_the_cumulative_distribution(compiled):
    rng = np.random.default_rng(3)
    logits, uniform = rng.normal(size=(500, 1000)), rng.random(500, "float32")
    ids = tf.function(draw, jit_compile=compiled)(tf.constant(logits, tf.float32), tf.constant(uniform)).numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    ends = np.take_along_axis(np.cumsum(p, 1), ids[:, None], 1)[:, 0]
    begins = ends - np.take_along_axis(p, ids[:, None], 1)[:, 0]
    assert (begins - 1e-6 <= uniform).all()
    assert (uniform <= ends + 1e-6).all()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("top_k", [1, 63, 64, 65, 199, 200])
def test_top_k_of_large_vocabularies(top_k, compiled):
    """On both sides of the number up to which ids are sorted only in part."""
    logits = np.random.default_rng(top_k).permutation(200) / 4
    result = tf.function(keep_top_k, jit_compile=compiled)(row(logits), tf.constant(top_k))
    assert kept(result) == top_k_set(logits, top_k)


@quick
@given(logits=some_logits, top_k=st.integers(0, 14))
def test_top_k_keeps_the_k_largest(logits, top_k):
    result = keep_top_k(row(logits), tf.constant(top_k))
    assert kept(result) == top_k_set(logits, top_k)
    assert all(result.numpy()[0, i] == logits[i] for i in kept(result))


@quick
@given(logits=some_logits, top_p=st.floats(2**-20, 1, width=32))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits, top_p):
    reached = np.cumsum(sorted(softmax(logits), reverse=True))
    assume(top_p == 1 or np.abs(reached - top_p).min() > 1e-5)  # float32 may see either side of a tie
    result = keep_top_p(row(logits), tf.constant(top_p))
    assert kept(result) == (set(range(len(logits))) if top_p == 1 else top_p_set(logits, top_p))
    assert all(result.numpy()[0, i] == logits[i] for i in kept(result))


GREEDY = [
    {"temperature": 0.0},
    {"temperature": 0.0, "top_k": 3, "top_p": 0.5},
    {"top_k": 1},
    {"top_p": 1e-30},
    *({"temperature": 10.0**-n, "top_k": k} for n in (3, 9, 20, 38, 44) for k in (0, 2)),
]


@pytest.mark.parametrize("arguments", GREEDY, ids=str)
@settings(max_examples=15, deadline=None)
@given(logits=distinct_logits, uniform=st.one_of(uniforms, st.sampled_from([0.0, BELOW_ONE])))
def test_greedy(arguments, logits, uniform):
    assert sampled(logits, [uniform], **arguments) == [np.argmax(logits)]


@quick
@given(
    logits=some_logits,
    seen=st.lists(st.booleans(), min_size=12, max_size=12),
    penalty=st.floats(0.25, 4, width=32),
)
def test_repetition_penalty(logits, seen, penalty):
    seen = seen[: len(logits)]
    result = penalize_repetition(row(logits), tf.constant([seen]), tf.constant(penalty)).numpy()[0]
    expected = [
        logit if not known else logit / penalty if logit > 0 else logit * penalty
        for logit, known in zip(logits, seen, strict=True)
    ]
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    if penalty >= 1:
        assert (result <= logits).all()
    np.testing.assert_array_equal(penalize_repetition(row(logits), tf.constant([seen]), tf.constant(1.0))[0], logits)


@quick
@given(rows=st.lists(st.lists(quarters, min_size=5, max_size=5), min_size=2, max_size=5), data=st.data())
def test_rows_do_not_depend_on_each_other(rows, data):
    uniform = data.draw(st.lists(uniforms, min_size=len(rows), max_size=len(rows)))
    settings = tf.constant(0.7), tf.constant(3), tf.constant(0.9)
    together = sample(tf.constant(rows, tf.float32), tf.constant(uniform, tf.float32), *settings).numpy()
    alone = [
        sample(row(logits), tf.constant([u], tf.float32), *settings).numpy()[0]
        for logits, u in zip(rows, uniform, strict=True)
    ]
    assert together.tolist() == alone
