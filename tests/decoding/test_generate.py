import numpy as np
import pytest
import tensorflow as tf

from lmkeras.decoding.generate import GenerationLoop, Sampling
from lmkeras.errors import InputError
from tests.decoding.networks import CONTEXT, NAMES, VOCABULARY, build

PROMPTS = [[0], [0, 3, 4, 5, 1, 2], [0, 7, 7]]
STYLES = [
    Sampling(temperature=0.0),
    Sampling(seed=4),
    Sampling(temperature=0.7, top_k=5, top_p=0.9, repetition_penalty=1.4, seed=1),
]


@pytest.fixture(scope="module", params=NAMES)
def loop(request):
    return GenerationLoop(build(request.param))


def run(loop, prompts, new, sampling, samples=1, pieces=1000):
    ids = tf.ragged.constant(prompts, tf.int32)
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    state = loop.start(ids.to_tensor(), lengths, tf.constant(samples), tf.constant(new))
    while not np.all(state["finished"]):
        state = loop.advance(state, sampling.tensors(), tf.constant(pieces))
    ids = state["ids"].numpy()
    return [row[: length + new].tolist() for row, length in zip(ids, np.repeat(lengths, samples), strict=True)]


def context(ids, limit):
    """The ids that the loop looks at: all, or from where the later half of a full context starts."""
    first = 0
    while limit is not None and len(ids) - first > limit:
        first += limit // 2
    return ids[first:]


def greedy(network, ids, new):
    """The likeliest continuation by full passes, without a cache."""
    ids = list(ids)
    for _ in range(new):
        logits = network(np.array([context(ids, network.context_length)])).numpy()[0, -1]
        ids.append(int(logits.argmax()))
        if ids[-1] == 0:
            break
    return ids


@pytest.mark.parametrize("prompt", [*PROMPTS, [0, *range(1, 12), 3, 2]])
def test_greedy_is_the_likeliest_id_of_full_passes(loop, prompt):
    new = 3 * CONTEXT
    expected = greedy(loop.network, prompt, new)
    expected += [0] * (len(prompt) + new - len(expected))
    assert run(loop, [prompt], new, Sampling(temperature=0.0)) == [expected]


def test_cached_logits_are_those_of_a_full_pass(loop):
    ids = [0, 3, 1, 4, 1]
    state = loop.start(tf.constant([ids[:2]]), tf.constant([2]), tf.constant(1), tf.constant(3))
    state["ids"] = tf.constant([ids])
    state["prompt_lengths"] = tf.constant([5])  # so that the loop takes the ids as they are
    state = loop.advance(state, Sampling().tensors(), tf.constant(3))
    np.testing.assert_allclose(state["logits"], loop.network(np.array([ids]))[:, -1], atol=1e-4)


@pytest.mark.parametrize("sampling", STYLES)
@pytest.mark.parametrize("samples", [1, 2])
def test_a_batch_gives_what_each_prompt_gives_alone(loop, sampling, samples):
    together = run(loop, PROMPTS, 12, sampling, samples)
    alone = [row for prompt in PROMPTS for row in run(loop, [prompt], 12, sampling, samples)]
    assert together == alone


@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
@pytest.mark.parametrize("sampling", STYLES)
def test_xla_gives_what_plain_operations_give(block, sampling):
    """The same ids, beyond the context length too, and logits equal to 1e-4 of weights that are 3 times the usual."""
    network = build(block)
    states = []
    for compiled in (True, False):
        loop = GenerationLoop(network, compiled=compiled)
        prompts, lengths = tf.constant([[0, 3, 4, 5], [0, 7, 0, 0]]), tf.constant([4, 2])
        state = loop.start(prompts, lengths, tf.constant(1), tf.constant(2 * CONTEXT))
        states.append(loop.advance(state, sampling.tensors(), tf.constant(2 * CONTEXT)))
    np.testing.assert_array_equal(states[0]["ids"], states[1]["ids"])
    np.testing.assert_allclose(states[0]["logits"], states[1]["logits"], atol=1e-4)


@pytest.mark.parametrize("sampling", STYLES)
def test_piece_by_piece_gives_the_same(loop, sampling):
    assert run(loop, PROMPTS, 12, sampling, pieces=5) == run(loop, PROMPTS, 12, sampling)


def test_asking_for_more_only_adds(loop):
    short, long = run(loop, [[0, 3]], 5, Sampling(seed=2)), run(loop, [[0, 3]], 12, Sampling(seed=2))
    assert long[0][: len(short[0])] == short[0]


def test_samples_and_seeds_differ(loop):
    wild = [Sampling(temperature=10.0, seed=seed) for seed in (1, 2)]
    texts = {tuple(text) for sampling in wild for text in run(loop, [[0]], 10, sampling, samples=8)}
    # some may end at once, all in the same way
    assert len(texts) > 8


def test_one_trace_serves_every_length_and_setting(loop):
    for new, sampling in ((3, STYLES[0]), (9, STYLES[1]), (4, STYLES[2])):
        run(loop, PROMPTS, new, sampling)
        run(loop, PROMPTS[1:2], new, sampling)
    assert loop.start.experimental_get_tracing_count() == 1
    assert loop.advance.experimental_get_tracing_count() == 1


def test_a_text_ends_at_its_end():
    network = build("lstm")
    kernel, bias = network.head.get_weights()
    bias[0] = 8  # the end of the text is likely
    network.head.set_weights([kernel, bias])
    rows = run(GenerationLoop(network), [[0, 3]], 20, Sampling(seed=3), samples=20)
    for row in rows:
        end = row.index(0, 2)
        assert all(i == 0 for i in row[end:])


def test_banned_ids_never_come():
    network = build("lstm")
    assert 5 in {i for row in run(GenerationLoop(network), [[0]], 50, Sampling(), samples=8) for i in row}
    rows = run(GenerationLoop(network, banned_ids=(5, 6)), [[0, 5]], 50, Sampling(), samples=8)
    assert not {5, 6} & {i for row in rows for i in row[2:]}


def test_first_draws_follow_the_distribution():
    """Chi-square over many seeds: the loop's own chance, not only the sampler's arithmetic."""
    network, draws = build("lstm"), 3000
    loop = GenerationLoop(network)
    prompts = tf.zeros([1, 1], tf.int32)
    state = loop.start(prompts, tf.constant([1]), tf.constant(draws), tf.constant(1))
    ids = loop.advance(state, Sampling(seed=7).tensors(), tf.constant(1))["ids"][:, 1]
    logits = network(np.zeros((1, 1), int)).numpy()[0, -1].astype(float)
    expected = np.exp(logits) / np.exp(logits).sum() * draws
    observed = np.bincount(ids, minlength=VOCABULARY)
    statistic = np.sum((observed - expected) ** 2 / expected)
    # 11 degrees of freedom: 31.3 is passed once in a thousand; the seed is fixed
    assert expected.min() > 5
    assert statistic < 31.3


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"repetition_penalty": 0.0},
        {"seed": 2**31},
    ],
)
def test_impossible_sampling_is_refused_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_no_prompts_no_texts(loop):
    state = loop.start(tf.zeros([0, 1], tf.int32), tf.zeros([0], tf.int32), tf.constant(1), tf.constant(5))
    assert loop.advance(state, Sampling().tensors(), tf.constant(5))["ids"].shape == (0, 6)
