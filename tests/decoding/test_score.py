import numpy as np
import pytest
import tensorflow as tf

from lmkeras.decoding.score import ScoringLoop, TextScorer
from lmkeras.tokenizers import new_tokenizer
from lmkeras.training import policy
from tests.decoding.networks import CONTEXT, NAMES, VOCABULARY, build


def log_softmax(logits):
    logits = logits.astype(float)
    return (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )


@pytest.fixture(scope="module", params=NAMES)
def loop(request):
    return ScoringLoop(build(request.param))


@pytest.mark.parametrize("length", [1, 5, CONTEXT, CONTEXT + 1, 3 * CONTEXT + 2])
def test_the_chain_rule_token_by_token(loop, length):
    """Each token's probability from a pass of its own over its prefix (transformers: since its window began)."""
    ids = [0, *np.random.default_rng(length).integers(1, VOCABULARY, length).tolist()]
    scores = loop.token_log_probabilities(np.array([ids], np.int32)).numpy()[0]
    limit = loop.network.body.context_length
    assert len(scores) == length
    for i in range(length):
        first = 0 if limit is None else i // limit * limit
        logits = loop.network(np.array([ids[first : i + 1]])).numpy()[0, -1]
        assert scores[i] == pytest.approx(log_softmax(logits)[ids[i + 1]], abs=1e-4)


def test_a_recurrent_network_sees_beyond_one_piece(monkeypatch):
    network = build("lstm")
    ids = np.array([[0, *np.random.default_rng(0).integers(1, VOCABULARY, 20)]], np.int32)
    whole = ScoringLoop(network).token_log_probabilities(ids).numpy()
    monkeypatch.setattr("lmkeras.decoding.score._PIECE", 3)
    np.testing.assert_allclose(ScoringLoop(network).token_log_probabilities(ids), whole, atol=1e-5)


def test_without_a_limit_one_pass_sees_the_whole_text():
    network = build("pre_norm")
    network.body.context_length = None  # neither recurrent nor limited
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (2, 3 * CONTEXT)).astype("int32")
    scores = ScoringLoop(network).token_log_probabilities(ids)
    full = build("pre_norm", context_length=3 * CONTEXT)(ids[:, :-1])
    expected = -tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], full)
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize("bytes_at_once", [4 * VOCABULARY, 4 * 5 * VOCABULARY, 1 << 20])
def test_logits_of_few_tokens_are_held_at_a_time(loop, monkeypatch, bytes_at_once):
    ids = np.random.default_rng(3).integers(0, VOCABULARY, (3, 2 * CONTEXT + 3)).astype("int32")
    whole, seen = loop.token_log_probabilities(ids).numpy(), []
    head = loop.network.head
    monkeypatch.setattr(type(policy.device_in_use()), "logits_bytes", bytes_at_once)

    def noted(states, training=False):
        logits = type(head).call(head, states, training)
        tf.py_function(lambda size: seen.append(int(size)), [4 * tf.size(logits)], [])
        return logits

    monkeypatch.setattr(head, "call", noted)
    np.testing.assert_allclose(ScoringLoop(loop.network).token_log_probabilities(ids), whole, atol=1e-6)
    assert max(seen) <= bytes_at_once
    assert sum(seen) >= 4 * VOCABULARY * ids[:, 1:].size


@pytest.mark.parametrize("columns", [0, 1])
def test_nothing_to_score(loop, columns):
    assert loop.token_log_probabilities(np.zeros((2, columns), np.int32)).shape == (2, 0)


def test_what_a_row_is_filled_up_with_changes_nothing(loop):
    ids = np.array([[0, 3, 4, 5]], np.int32)
    filled = np.pad(ids, [[0, 1], [0, 20]])
    scores = loop.token_log_probabilities(filled).numpy()[0, :3]
    np.testing.assert_allclose(scores, loop.token_log_probabilities(ids)[0], atol=1e-5)


def test_probabilities_of_all_continuations_sum_to_one(loop):
    """P(w1 w2) summed over every w2 is P(w1): the chain rule's terms are a distribution."""
    pairs = np.array([[0, 3, w] for w in range(VOCABULARY)], np.int32)
    scores = loop.token_log_probabilities(pairs).numpy().astype(float)
    assert np.exp(scores.sum(1)).sum() == pytest.approx(np.exp(scores[0, 0]), rel=1e-5)


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary():
    tokenizer = new_tokenizer("characters").fit(["abcdefghij"])
    network = build("pre_norm")
    network.head.set_weights([0 * weight for weight in network.head.get_weights()])
    assert tokenizer.vocabulary_size == VOCABULARY
    score = TextScorer(network, tokenizer).score("a text of several windows: abcdefghij")
    assert score.perplexity == pytest.approx(VOCABULARY, rel=1e-6)
    assert score.log_probability == pytest.approx(-np.log(VOCABULARY) * len(score.tokens), rel=1e-6)


def test_an_empty_text_is_certain():
    score = TextScorer(build("lstm"), new_tokenizer("characters").fit(["abcdefghij"])).score("")
    assert (score.log_probability, score.tokens, score.perplexity) == (0.0, [], 1.0)
