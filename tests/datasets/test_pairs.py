"""Pairs in batches: what a plain loop makes of them, each pair once, and with less padding than at random."""

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.corpora.pairs import Pair
from lmkeras.datasets import EncodedPairs
from lmkeras.datasets.examples import training_order
from lmkeras.datasets.sharing import Share
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer
from lmkeras.tokenizers.special import SpecialIds

WORDS = new_tokenizer("words").fit(["a b c d e f"])
LETTERS = new_tokenizer("characters").fit(["天地玄黄"])
SPECIAL = SpecialIds(padding=77, start=50, ends=(51, 52))


def pair(source_tokens, target_tokens):
    return Pair("a " * source_tokens, "天" * target_tokens)


def pairs_of(seed=0, count=23):
    """Pairs of random lengths, no two of which are alike."""
    random = np.random.default_rng(seed)
    return [
        Pair(" ".join(random.choice(list("abcdef"), 1 + number % 19)), "".join(random.choice(list("天地玄黄"), length)))
        for number, length in enumerate(random.integers(1, 31, count))
    ]


def encode(pairs, **how):
    return EncodedPairs.encode(iter(pairs), WORDS, LETTERS, **how)


def padded(rows, size, filler=0):
    return [row + [filler] * (size - len(row)) for row in rows]


def expected(pairs, size_of_sources, size_of_targets, special=None):
    """The batch of some pairs that are not cut, by a plain loop."""
    of_sources, of_targets = special or WORDS.special, special or LETTERS.special
    sources = [[*WORDS.encode(one.source), of_sources.ends[0]] for one in pairs]
    targets = [[*LETTERS.encode(one.target), of_targets.ends[0]] for one in pairs]
    read = [[of_targets.before_text, *target[:-1]] for target in targets]
    inputs = {
        "input_ids": padded(sources, size_of_sources, of_sources.filler),
        "attention_mask": padded([[1] * len(source) for source in sources], size_of_sources),
        "target_ids": padded(read, size_of_targets, of_targets.filler),
    }
    ones = padded([[1] * len(target) for target in targets], size_of_targets)
    return inputs, padded(targets, size_of_targets, of_targets.filler), ones


def lists(inputs):
    return {name: array.tolist() for name, array in inputs.items()}


def pairs_in(inputs, targets):
    """The texts of a batch, decoded; what is padding is told by the mask and the last id."""
    sources = [ids[mask == 1][:-1] for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    targets = [ids[: ids.tolist().index(LETTERS.special.ends[0])] for ids in targets]
    sources = [WORDS.decode(ids.tolist()) for ids in sources]
    return list(zip(sources, [LETTERS.decode(ids.tolist()) for ids in targets], strict=True))


@pytest.mark.parametrize("special", [None, SPECIAL])
@pytest.mark.parametrize("at_a_time", [1, 3, 1024])
def test_every_batch_is_what_a_plain_loop_makes(monkeypatch, special, at_a_time):
    monkeypatch.setattr("lmkeras.datasets.pairs._TOKENIZED_AT_A_TIME", at_a_time)
    if special:
        monkeypatch.setattr(type(WORDS), "special", special)
        monkeypatch.setattr(type(LETTERS), "special", special)
    pairs = pairs_of()
    encoded = encode(pairs)
    assert len(encoded) == 23
    longest_source, longest_target = (
        1 + max(map(len, some)) for some in ([p.source.split() for p in pairs], [p.target for p in pairs])
    )
    for batch in encoded.batches_by_length(150):
        some = [pairs[number] for number in batch]
        sizes = [1 + max(len(one.source.split()) for one in some), 1 + max(len(one.target) for one in some)]
        sizes = [
            min(-(-size // 8) * 8, longest)
            for size, longest in zip(sizes, (longest_source, longest_target), strict=True)
        ]
        inputs, targets, weights = expected(some, *sizes, special=special)
        assert lists(encoded.inputs(batch)) == inputs
        learnt, counted = encoded._learnt()
        assert (learnt[batch].tolist(), counted[batch].tolist()) == (targets, weights)
        assert {array.dtype for array in (*encoded.inputs(batch).values(), learnt[batch])} == {np.dtype(np.int32)}
        assert counted[batch].dtype == np.float32
    assert tuple(encoded.inputs(np.array([0]))) == encoded.names


def test_long_sides_are_cut_where_nothing_is_left_out():
    encoded = encode([pair(5, 5), pair(3, 2), pair(4, 3)], max_length=4, max_target_length=3)
    a, 天, end = WORDS.encode("a")[0], LETTERS.encode("天")[0], 0
    assert encoded.sources.inputs(np.arange(3))["input_ids"].tolist() == [[a, a, a, end]] * 3
    assert encoded.inputs(np.arange(3))["target_ids"].tolist() == [[end, 天, 天]] * 3
    learnt, weights = encoded._learnt()
    assert learnt[np.arange(3)].tolist() == [[天, 天, 天], [天, 天, end], [天, 天, 天]], (
        "not that it ends where it is cut"
    )
    assert weights[np.arange(3)].tolist() == [[1, 1, 1]] * 3
    assert (encoded.too_long, encoded.odd) == ((2, 1), (0, 0))
    assert list(encoded.findings("validation")) == [
        "2 of 3 validation pairs (66.7%) have too many tokens and are cut, the first is number 1: a larger max_length "
        "(sources) or max_target_length keeps them"
    ]


def test_long_pairs_are_left_out_of_training():
    pairs = [pair(3, 2), pair(4, 2), pair(3, 3), pair(1, 1)]
    encoded = encode(pairs, max_length=4, max_target_length=3, leave_out=True)
    assert encoded.too_long == (2, 2)
    assert lists(encoded.inputs(np.arange(2))) == expected([pairs[0], pairs[3]], 4, 3)[0]
    assert "2 of 4 training pairs (50.0%) have too many tokens and are left out, the first is number 2" in next(
        encoded.findings()
    )
    assert encoded.notes.texts == 4
    with pytest.raises(
        InputError, match=r"all 4 pairs have too many tokens for max_length 2 .sources. and max_target_"
    ):
        encode([*pairs[:3], pair(2, 1)], max_length=2, leave_out=True)


@pytest.mark.parametrize("usual", [(10, 10), (30, 300), (700, 50)])
def test_targets_far_from_the_usual_length_are_left_out(usual):
    source, target = usual
    strange = [pair(source, 9 * target + 40), pair(9 * source + 400, 2 + target * 40 // (9 * source + 400))]
    fine = [pair(source, target)] * 50 + [
        pair(source, 8 * target),
        pair(source, 1 + target // 8),
        pair(1, min(target, 18)),
    ]
    encoded = encode([*fine, *strange], leave_out=True)
    assert (encoded.odd, encoded.too_long) == ((2, len(fine) + 1), (0, 0))
    assert encoded.sources.lengths.tolist() == [len(one.source.split()) + 1 for one in fine]
    assert list(encoded.findings()) == [
        "2 of 55 training pairs (3.6%) have a target far too long or too short for its source and are left out, the "
        "first is number 54: do the two sides belong together?"
    ]
    assert len(encode([*fine, *strange])) == 55, "nothing is left out of validation"


def test_long_and_short_texts_may_have_titles_of_one_length():
    random = np.random.default_rng(0)
    sizes = np.exp(random.normal(4.4, 0.9, 300)).astype(int)
    titles = [pair(size, tokens) for size, tokens in zip(sizes, random.integers(3, 9, 300), strict=True)]
    assert (sizes > 9 * 20).any(), "by the ratio alone, such pairs would be odd"
    assert encode(titles, leave_out=True).odd.count == 0
    assert encode([*titles, pair(10, 300)], leave_out=True).odd == (1, 301)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=9))
def test_some_pair_is_always_usual(lengths):
    assert len(encode([pair(*sizes) for sizes in lengths], leave_out=True)) > 0


def test_notes_are_of_both_sides():
    encoded = encode([Pair("a b", "天地"), Pair("a zzz", "天??"), Pair("a b", "天地")])
    assert (encoded.notes.texts, encoded.notes.tokens) == (3, 4 + 5 + 4)
    unknown = [
        tokenizer.encode(text).count(tokenizer.special.unknown)
        for tokenizer, text in ((WORDS, "a zzz"), (LETTERS, "天??"))
    ]
    assert encoded.notes.unknown_tokens == sum(unknown) == 3
    assert len(set(encoded.notes.digests)) == 2
    assert list(encoded.findings()) == []


def test_a_source_without_tokens_is_one_id():
    class WithoutEnds(type(WORDS)):
        special = SpecialIds(padding=77)

    words = copy.copy(WORDS)
    words.__class__ = WithoutEnds
    encoded = EncodedPairs.encode([Pair("", "天"), Pair("a", "地")], words, LETTERS)
    inputs = encoded.inputs(np.arange(2))
    assert (inputs["input_ids"].tolist(), inputs["attention_mask"].tolist()) == ([[77], WORDS.encode("a")], [[1], [1]])


def test_what_cannot_be_learnt_is_refused(monkeypatch):
    for name in ("max_length", "max_target_length"):
        with pytest.raises(InputError, match=f"{name} must be at least 2, for a token and the end of the text, got 1"):
            encode([pair(1, 1)], **{name: 1})
    monkeypatch.setattr(type(LETTERS), "special", SpecialIds(start=1))
    with pytest.raises(InputError, match="no id that ends a text"):
        encode([pair(1, 1)])


def test_no_pairs_are_no_batches():
    encoded = encode([])
    assert len(encoded) == 0
    assert list(encoded.batches_by_length(100)) == []


def test_training_brings_every_pair_once_an_epoch_in_another_order():
    pairs, orders = pairs_of(), []
    train = encode(pairs).training(batch_size=4, seed=7)
    assert train.steps_per_epoch == 6
    batches = train.dataset().as_numpy_iterator()
    for _ in range(2):
        orders.append([pairs_in(inputs, targets) for inputs, targets, _ in itertools.islice(batches, 6)])
        assert sorted(itertools.chain(*orders[-1])) == sorted(pairs)
    assert orders[0] != orders[1]
    again = encode(pairs).training(batch_size=4, seed=7).dataset(5).as_numpy_iterator()
    assert [pairs_in(*batch[:2]) for batch in itertools.islice(again, 7)] == [orders[0][5], *orders[1]]
    other = encode(pairs).training(batch_size=4, seed=8).dataset().as_numpy_iterator()
    assert [pairs_in(*batch[:2]) for batch in itertools.islice(other, 6)] != orders[0]


@pytest.mark.parametrize("batch_ids", [1, 100, 8192])
def test_evaluation_brings_every_pair_once(batch_ids):
    pairs = pairs_of(1)
    dataset = encode(pairs).evaluation(batch_ids)
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == int(dataset.cardinality())
    found = []
    for inputs, targets, weights in batches:
        some = pairs_in(inputs, targets)
        found += some
        sizes = inputs["input_ids"].shape[1], targets.shape[1]
        assert len(some) * sum(sizes) <= batch_ids or len(some) == 1
        wanted = expected([Pair(*one) for one in some], *sizes)
        assert (lists(inputs), targets.tolist(), weights.tolist()) == wanted
    assert sorted(found) == sorted(pairs)


def test_replicas_share_the_rows_of_each_batch():
    encoded = encode(pairs_of())
    whole = [pairs_in(*batch[:2]) for batch in encoded.evaluation(200).as_numpy_iterator()]
    parts = [encoded.evaluation(200, Share(number, 2)).as_numpy_iterator() for number in range(2)]
    together = [pairs_in(*one[:2]) + pairs_in(*other[:2]) for one, other in zip(*parts, strict=True)]
    assert together == whole


def test_other_pairs_have_another_digest():
    pairs = (Pair("a b", "天"), Pair("c", "地 天"))

    def digest(pairs=pairs, **how):
        return encode(pairs, **how).training(2).digest()

    assert digest() == digest()
    others = [(Pair("a b", "天"), Pair("c", "地天")), (Pair("a", "天"), Pair("b c", "地 天")), (Pair("a b", "天"),)]
    assert len({digest(), *map(digest, others), digest(max_length=2), digest(max_target_length=2)}) == 6


def test_pairs_with_both_sides_of_like_length_come_together():
    random = np.random.default_rng(0)
    lengths = np.exp(random.normal(2.3, 0.5, (2000, 2))).astype(int) + 1
    encoded = encode([pair(*sizes) for sizes in lengths.tolist()])

    def ids(batches):
        return sum(
            len(rows) * (sizes.max(axis=0) + 1).sum() for rows, sizes in ((rows, lengths[rows]) for rows in batches)
        )

    def ordered(key):
        order = np.argsort(key, kind="stable")
        return np.split(order, range(32, len(order), 32))

    together = ids(training_order(encoded.lengths, batch_size=32, seed=0, epoch=0))
    real = (lengths + 1).sum()
    assert together - real < 0.5 * (ids(ordered(lengths[:, 0])) - real), "than by the source alone"
    assert together - real < 0.3 * (ids(ordered(random.permutation(2000))) - real)


def test_long_sources_of_summaries_are_cut_and_their_targets_still_learnt():
    encoded = encode([pair(9, 2), pair(2, 9)], max_length=4, max_target_length=4, leave_out=True, cut_sources=True)
    assert (len(encoded), encoded.too_long.count) == (1, 1)
    assert encoded.sources.lengths.tolist() == [4]
    assert encoded.targets.lengths.tolist() == [3]
