import numpy as np
import pytest
import tensorflow as tf

from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.sampling import Sampling
from lmkeras.errors import InputError
from lmkeras.tokenizers.special import SpecialIds
from tests.decoding.networks import CONTEXT, NAMES, SPECIAL, VOCABULARY, build

LONG = [0, *range(1, 12), 3, 2]  # more than the context
PROMPTS = [[0], [0, 3, 4, 5, 1, 2], [0, 7, 7]]
STYLES = [
    Sampling(temperature=0.0),
    Sampling(seed=4),
    Sampling(temperature=0.7, top_k=5, top_p=0.9, repetition_penalty=1.4, seed=1),
]


@pytest.fixture(scope="module", params=NAMES)
def loop(request):
    return GenerationLoop(build(request.param), SPECIAL)


@pytest.fixture(scope="module", params=NAMES)
def endless(request):
    """A loop whose tokenizer has no special id at all: every text goes on for as long as it is let, id 0 and all."""
    return GenerationLoop(build(request.param), SpecialIds(), compiled=False)


def start(loop, prompts, new, samples=1, filled_up_with=0):
    ids = tf.ragged.constant(prompts, tf.int32)
    lengths = tf.cast(ids.row_lengths(), tf.int32)
    return loop.start(ids.to_tensor(filled_up_with), lengths, tf.constant(samples), tf.constant(new))


def run(loop, prompts, new, sampling, samples=1, pieces=1000):
    """Each row's ids, the prompt and `new` more: what follows a text's end is filler."""
    state = start(loop, prompts, new, samples)
    while not np.all(state["finished"]):
        state = loop.advance(state, sampling.tensors(), tf.constant(pieces))
    lengths = state["prompt_lengths"].numpy() + new
    return [row[:length].tolist() for row, length in zip(state["ids"].numpy(), lengths, strict=True)]


def texts(loop, prompts, new, sampling, samples=1):
    """Each row's text, the prompt included."""
    state = loop.advance(start(loop, prompts, new, samples), sampling.tensors(), tf.constant(new))
    assert np.all(state["finished"])
    return [row[:length].tolist() for row, length in zip(state["ids"].numpy(), state["lengths"].numpy(), strict=True)]


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
        logits = network(np.array([context(ids, network.body.context_length)])).numpy()[0, -1]
        ids.append(int(logits.argmax()))
        if ids[-1] == 0:
            break
    return ids


@pytest.mark.parametrize("prompt", [*PROMPTS, LONG])
def test_greedy_is_the_likeliest_id_of_full_passes(loop, prompt):
    new = 3 * CONTEXT
    expected = greedy(loop.network, prompt, new)
    expected += [0] * (len(prompt) + new - len(expected))
    assert run(loop, [prompt], new, Sampling(temperature=0.0)) == [expected]


@pytest.mark.parametrize("steps", [0, 1, 3, 3 * CONTEXT])
def test_cached_logits_are_those_of_a_full_pass_over_each_row(endless, steps):
    state = start(endless, [*PROMPTS, LONG], 4 * CONTEXT)
    state = endless.advance(state, Sampling(seed=3).tensors(), tf.constant(steps))
    lengths = state["lengths"].numpy().tolist()
    assert lengths == [len(prompt) + steps for prompt in [*PROMPTS, LONG]]
    for ids, length, logits in zip(state["ids"].numpy().tolist(), lengths, state["logits"], strict=True):
        window = context(ids[:length], endless.network.body.context_length)
        np.testing.assert_allclose(logits, endless.network(np.array([window]))[0, -1], atol=1e-4)


@pytest.mark.parametrize("sampling", STYLES)
@pytest.mark.parametrize("samples", [1, 2])
def test_a_batch_gives_what_each_prompt_gives_alone(loop, sampling, samples):
    together = run(loop, PROMPTS, 12, sampling, samples)
    alone = [row for prompt in PROMPTS for row in run(loop, [prompt], 12, sampling, samples)]
    assert together == alone


@pytest.mark.parametrize("sampling", STYLES)
def test_a_batch_gives_what_each_prompt_gives_alone_far_beyond_the_context(endless, sampling):
    """Windows of rows of different lengths move on at different times, and all are then read anew."""
    prompts, new = [*PROMPTS, LONG, [4] * CONTEXT], 5 * CONTEXT
    together = texts(endless, prompts, new, sampling, samples=2)
    assert [len(text) for text in together] == [len(prompt) + new for prompt in prompts for _ in range(2)]
    assert together == [text for prompt in prompts for text in texts(endless, [prompt], new, sampling, samples=2)]


def test_what_prompts_are_filled_up_with_changes_nothing(loop):
    penalized = Sampling(repetition_penalty=3.0, seed=2)  # sees which ids a text holds
    states = [loop.advance(start(loop, PROMPTS, 9, 1, i), penalized.tensors(), tf.constant(9)) for i in (0, 5)]
    np.testing.assert_array_equal(states[0]["ids"], states[1]["ids"])


@pytest.mark.parametrize("block", ["pre_norm", "post_norm"])
@pytest.mark.parametrize("sampling", STYLES)
def test_xla_gives_what_plain_operations_give(block, sampling):
    """The same ids, beyond the context length too, and logits equal to 1e-4 of weights that are 3 times the usual."""
    network = build(block)
    states = []
    for compiled in (True, False):
        loop = GenerationLoop(network, SPECIAL, compiled=compiled)
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
    found = {tuple(text) for sampling in wild for text in run(loop, [[0]], 10, sampling, samples=8)}
    # some may end at once, all in the same way
    assert len(found) > 8


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
    rows = run(GenerationLoop(network, SPECIAL), [[0, 3]], 20, Sampling(seed=3), samples=20)
    for row in rows:
        end = row.index(0, 2)
        assert all(i == 0 for i in row[end:])


@pytest.mark.parametrize("name", NAMES)
def test_a_text_ends_at_any_of_its_ends_and_id_0_is_a_token(name):
    """The same draws as without ends, up to the first end."""
    network, special, sampling = build(name), SpecialIds(start=2, ends=(5, 9)), Sampling(temperature=5.0, seed=3)
    prompts, new = [[2], [2, 0, 0, 7], [2, 9, 5, 1]], 3 * CONTEXT
    free = texts(GenerationLoop(network, SpecialIds(), compiled=False), prompts, new, sampling, samples=6)
    loop = GenerationLoop(network, special, compiled=False)
    state = loop.advance(start(loop, prompts, new, 6), sampling.tensors(), tf.constant(new))
    ended, added = set(), []
    rows = zip(state["ids"].numpy().tolist(), state["lengths"].numpy(), np.repeat([1, 4, 4], 6), free, strict=True)
    for ids, length, prompt_length, expected in rows:
        end = next((i for i in range(prompt_length, len(expected)) if expected[i] in special.ends), len(expected))
        assert length == end
        assert ids[:length] == expected[:end]
        assert set(ids[length:]) <= {special.filler}
        ended.update(expected[end : end + 1])
        added += ids[prompt_length:length]
    assert ended == {5, 9}
    assert 0 in added
    assert not {5, 9} & set(added)


def test_ends_are_no_repetitions_but_id_0_is_one():
    """The penalty, as great as any, moves the logits of what the text holds, of its ends not."""
    network = build("lstm")
    prompt, strong = [2, 0, 5, 3], Sampling(temperature=0.0, repetition_penalty=1e6)
    kernel, bias = network.head.get_weights()
    loop = GenerationLoop(network, SpecialIds(start=2, ends=(5, 9)))
    for likeliest, expected in ((0, False), (3, False), (5, True)):
        raised = bias.copy()
        raised[likeliest] = 30
        network.head.set_weights([kernel, raised])
        state = loop.advance(start(loop, [prompt], 1), strong.tensors(), tf.constant(1))
        ended = state["lengths"].numpy()[0] == len(prompt)
        assert ended == expected
        if not ended:
            assert state["ids"].numpy()[0, -1] not in (*prompt, likeliest)


def test_texts_are_read_anew_when_their_own_windows_move_and_only_then(monkeypatch):
    """Each text once for every half of a context that it grows by, whatever the others do; a complete one never."""
    loop, read = GenerationLoop(build("pre_norm"), SpecialIds(), compiled=False), []
    read_rows = loop._read

    def recorded(ids, lengths):
        read.append(lengths.numpy().tolist())
        return read_rows(ids, lengths)

    monkeypatch.setattr(loop, "_read", recorded)
    state = loop._start(tf.ones([3, 7], tf.int32), tf.constant([7, 2, 5]), 1, 3 * CONTEXT)
    state = {**state, "finished": tf.constant([False, False, True])}
    loop._advance(state, Sampling().tensors(), CONTEXT)
    # after 2 and 6 tokens the first text's window moves, after 7 the second one's
    assert read == [[7, 2, 5], [CONTEXT + 1], [CONTEXT + 5], [CONTEXT + 1]]


def test_the_unknown_id_never_comes():
    network = build("lstm")
    assert 5 in {i for row in run(GenerationLoop(network, SPECIAL), [[0]], 50, Sampling(), samples=8) for i in row}
    rows = run(GenerationLoop(network, SPECIAL._replace(unknown=5)), [[0, 5]], 50, Sampling(), samples=8)
    assert 5 not in {i for row in rows for i in row[2:]}


def test_an_end_is_never_banned():
    network = build("lstm")
    loop = GenerationLoop(network, SpecialIds(start=2, ends=(5,), unknown=5))
    assert min(len(text) for text in texts(loop, [[2]], 50, Sampling(), samples=8)) < 51


def test_first_draws_follow_the_distribution():
    """Chi-square over many seeds: the loop's own chance, not only the sampler's arithmetic."""
    network, draws = build("lstm"), 3000
    loop = GenerationLoop(network, SPECIAL)
    state = start(loop, [[0]], 1, draws)
    ids = loop.advance(state, Sampling(temperature=1.0, seed=7).tensors(), tf.constant(1))["ids"][:, 1]
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
        {"seed": "random"},
    ],
)
def test_impossible_sampling_is_refused_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Sampling(**wrong)


def test_no_prompts_no_texts(loop):
    state = loop.start(tf.zeros([0, 1], tf.int32), tf.zeros([0], tf.int32), tf.constant(1), tf.constant(5))
    assert loop.advance(state, Sampling().tensors(), tf.constant(5))["ids"].shape == (0, 6)


@pytest.mark.parametrize(("new", "whole"), [(5, False), (2 * CONTEXT, False), (130, True)])
def test_a_state_at_hand_goes_on_as_advance_does(new, whole):
    """Whether a window moves or not; only a text that is long enough is worth all that `advance` consists of."""
    network = build("pre_norm")
    loop, prompts, sampling = GenerationLoop(network, SPECIAL), [[2, 4], [3]], Sampling(seed=5)
    state = start(loop, prompts, new, 2)
    for steps in (2, new):
        state = loop.continued(state, sampling.tensors(), tf.constant(steps))
    assert (loop.advance.experimental_get_tracing_count() > 0) == whole
    plain = start(GenerationLoop(network, SPECIAL, compiled=False), prompts, new, 2)
    expected = GenerationLoop(network, SPECIAL, compiled=False).advance(plain, sampling.tensors(), tf.constant(new))
    np.testing.assert_array_equal(state["ids"], expected["ids"])
