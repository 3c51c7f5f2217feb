"""Beam search beside exhaustive search, beside a plain one that keeps nothing, and beside greedy generation."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.decoding.beams import BeamSearch
from lmkeras.decoding.generate import GenerationLoop
from lmkeras.decoding.sampling import Beams, Sampling
from lmkeras.errors import InputError
from lmkeras.tokenizers.special import SpecialIds
from tests.decoding.networks import SPECIAL, VOCABULARY, build
from tests.decoding.test_generate import start

NAMES = ("lstm", "pre_norm")
PROMPTS = [[0], [0, 3, 4, 5, 1, 2], [0, 7, 7]]


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    return build(request.param, context_length=24)


class Plain:
    """Beam search as it is defined: every text is read from its start at every step.

    Args:
        network: a language network.
        special: as for GenerationLoop.
    """

    def __init__(self, network, special):
        self.ends, self.banned = set(special.ends), {special.unknown} - {None, *special.ends}
        self._network, self._known = network, {}

    def after(self, ids):
        """log P of every token that may come next, float64 [V]."""
        key = tuple(ids)
        if key not in self._known:
            logits = self._network(np.array([ids], np.int32))[0, -1].numpy().astype(np.float64)
            self._known[key] = logits - np.logaddexp.reduce(logits)
        return self._known[key]

    def continuations(self, prompt, new, ngram):
        for token, value in enumerate(self.after([*prompt, *new])):
            runs = [(*new, token)[i : i + ngram] for i in range(len(new) - ngram + 2)] if ngram else []
            repeats = len(new) >= ngram and token not in self.ends and runs.count(runs[-1]) > 1 if ngram else False
            if token not in self.banned and not repeats:
                yield token, value

    def search(self, prompt, limit, beams, penalty=0.0, ngram=0):
        """(new ids, score) of the best texts, the best first."""
        live, found = [((), 0.0)], []
        for count in range(1, limit + 1):
            each = [
                ((*new, token), score + value)
                for new, score in live
                for token, value in self.continuations(prompt, new, ngram)
            ]
            each.sort(key=lambda one: -one[1])
            divisor = ((5 + count) / 6) ** penalty
            for new, score in each[:beams]:
                if new[-1] in self.ends:
                    found.append((new[:-1], score / divisor))
                elif count == limit:
                    found.append((new, score / divisor))
            live = [one for one in each if one[0][-1] not in self.ends][:beams]
        return sorted(found, key=lambda one: -one[1])[:beams]

    def everything(self, prompt, limit, penalty):
        """(new ids, score) of all texts there are, the best first."""
        found, tokens = [], [t for t in range(VOCABULARY) if t not in self.ends | self.banned]
        for size in range(limit + 1):
            for new in itertools.product(tokens, repeat=size):
                score = sum(self.after([*prompt, *new[:i]])[new[i]] for i in range(size))
                ends = [score + self.after([*prompt, *new])[end] for end in self.ends] if size < limit else [score]
                found += [(new, value / ((5 + min(size + 1, limit)) / 6) ** penalty) for value in ends]
        return sorted(found, key=lambda one: -one[1])


def found_by(loop, prompts, limits, beams, best=None, penalty=0.0, ngram=0):
    """What BeamSearch finds: for each prompt (new ids, score), the best first."""
    state, limits = start(loop, prompts, max(limits)), tf.constant(limits)
    how = (tf.constant(beams), tf.constant(best or beams), tf.constant(penalty))
    found = BeamSearch(loop, ngram).search(state, limits, *how)
    return [
        [(tuple(new[:length].tolist()), float(score)) for new, length, score in zip(*row, strict=True) if score > -1e8][
            : best or beams
        ]
        for row in zip(*(part.numpy() for part in found), strict=True)
    ]


def assert_same(found, expected):
    assert [new for new, _ in found] == [new for new, _ in expected]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.0, -0.5])
def test_as_many_beams_as_there_are_texts_find_the_best_of_all(network, penalty):
    special = SpecialIds(padding=0, start=0, ends=(0, 5), unknown=2)
    loop, plain = GenerationLoop(network, special), Plain(network, special)
    expected = plain.everything([0, 3], 3, penalty)
    (found,) = found_by(loop, [[0, 3]], [3], len(expected), 20, penalty)
    assert_same(found, expected[:20])


@pytest.mark.parametrize(
    ("beams", "penalty", "ngram"), [(1, 0.0, 0), (2, 0.6, 0), (3, 1.0, 2), (5, 2.0, 1), (4, -1.0, 3)]
)
def test_a_search_finds_what_a_plain_one_finds_for_every_prompt(network, beams, penalty, ngram):
    special = SpecialIds(padding=0, start=0, ends=(0, 5), unknown=2)
    plain, limits = Plain(network, special), [6, 3, 9]
    found = found_by(GenerationLoop(network, special), PROMPTS, limits, beams=beams, penalty=penalty, ngram=ngram)
    for prompt, limit, row in zip(PROMPTS, limits, found, strict=True):
        expected = plain.search(prompt, limit, beams, penalty=penalty, ngram=ngram)
        assert_same(row, expected if beams > 1 else expected[:1])


def test_a_text_does_not_depend_on_the_other_texts_of_its_batch(network):
    loop = GenerationLoop(network, SPECIAL)
    together = found_by(loop, PROMPTS, [6, 3, 9], beams=3, penalty=1.0)
    for prompt, limit, row in zip(PROMPTS, [6, 3, 9], together, strict=True):
        (alone,) = found_by(loop, [prompt], [limit], beams=3, penalty=1.0)
        assert_same(row, alone)


def test_the_best_of_a_search_that_stops_early_are_those_of_one_that_goes_on(network):
    loop = GenerationLoop(network, SPECIAL)
    everything = found_by(loop, PROMPTS, [12] * 3, beams=4, penalty=0.6)
    for best in (1, 2):
        found = found_by(loop, PROMPTS, [12] * 3, beams=4, best=best, penalty=0.6)
        for row, of_all in zip(found, everything, strict=True):
            assert_same(row, of_all[:best])


def test_one_beam_writes_what_the_likeliest_tokens_write(network):
    loop = GenerationLoop(network, SPECIAL, compiled=False)
    state = loop.advance(start(loop, PROMPTS, 8), Sampling(temperature=0.0).tensors(), tf.constant(8))
    greedy = [
        tuple(row[first:last].tolist())
        for row, first, last in zip(
            *(state[name].numpy() for name in ("ids", "prompt_lengths", "lengths")), strict=True
        )
    ]
    assert [row[0][0] for row in found_by(loop, PROMPTS, [8] * 3, beams=1, penalty=1.0)] == greedy


@pytest.mark.parametrize(
    "wrong",
    [{"num_beams": 0}, {"num_beams": 2.5}, {"no_repeat_ngram": -1}, {"length_penalty": float("nan")}],
    ids=str,
)
def test_impossible_numbers_are_named(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Beams(**wrong)
