"""Masks and pairs: what they are made of, how often, and that they follow from seed, epoch and number alone."""

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.corpora.documents import documents_of
from lmkeras.datasets.documents import Documents
from lmkeras.datasets.masking import MaskedExamples, Masking
from lmkeras.datasets.sharing import Share
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer

WORDS = "unable table cat dog sat mat log the a on under over big small red blue".split()
RNG = np.random.default_rng(0)
TEXTS = [
    "\n".join(" ".join(RNG.choice(WORDS, RNG.integers(2, 9))) + "." for _ in range(RNG.integers(1, 8)))
    for _ in range(30)
]
TOKENIZER = new_tokenizer("word_piece", 40).fit(TEXTS)
DOCUMENTS = Documents.tokenize(documents_of(TEXTS), TOKENIZER)
SPECIAL = TOKENIZER.special


def examples(pairs=True, whole_words=False, share=0.15, most=29):
    masking = Masking.of(TOKENIZER, share, whole_words)
    return MaskedExamples(DOCUMENTS.pieces(most, 2), masking, pairs=pairs, token_types=pairs)


def drawn(made, epochs=20):
    return [made.example(number, 0, epoch) for epoch in range(epochs) for number in range(len(made))]


def restored(one):
    ids = one.ids.copy()
    ids[one.places] = one.originals
    return ids


def within(share, expected, count):
    return abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / count)


def test_of_the_masked_tokens_80_of_100_are_masks_10_any_token_and_10_as_they_were():
    found = drawn(examples())
    places = np.concatenate([one.ids[one.places] for one in found])
    originals = np.concatenate([one.originals for one in found])
    ordinary = TOKENIZER.vocabulary_size - 5
    assert within((places == SPECIAL.mask).mean(), 0.8, len(places))
    assert within((places == originals).mean(), 0.1 + 0.1 / ordinary, len(places))
    others = np.bincount(places[(places != SPECIAL.mask) & (places != originals)], minlength=TOKENIZER.vocabulary_size)
    assert not others[:5].any(), "special ids are no replacements"
    assert (others[5:] > 0).all()
    for one in found:
        tokens = len(one.ids) - 3
        assert len(one.places) == max(1, round(0.15 * tokens))
        assert not np.isin(one.originals, [SPECIAL.classification, SPECIAL.separator]).any()
        assert (np.diff(one.places) > 0).all()


def test_whole_words_are_masked_with_all_their_pieces():
    made = examples(whole_words=True, share=0.4)
    continues = np.array([token.startswith("##") for token in TOKENIZER.vocabulary])
    assert continues.any()
    for one in drawn(made, 5):
        ids, masked = restored(one), np.isin(np.arange(len(one.ids)), one.places)
        assert one.places.size
        later = continues[ids[1:]] & ~np.isin(ids[:-1], [SPECIAL.classification, SPECIAL.separator])
        np.testing.assert_array_equal(masked[1:][later], masked[:-1][later])
        words = (masked[1:] & ~later).sum()
        assert words == 1 or len(one.places) <= round(0.4 * (len(ids) - 3))


def test_where_every_word_is_too_long_any_one_is_masked_whole():
    masking = Masking.of(TOKENIZER, 0.15, True)
    first, second = (int(masking.ordinary[i]) for i in np.flatnonzero(~masking.continues[masking.ordinary])[:2])
    goes_on = int(np.flatnonzero(masking.continues)[0])
    ids = np.array([SPECIAL.classification, first, goes_on, second, goes_on, SPECIAL.separator])
    found = [masking.mask(ids.copy(), np.arange(1, 5), np.random.default_rng(seed)) for seed in range(20)]
    assert {tuple(places.tolist()) for places, _ in found} == {(1, 2), (3, 4)}


def test_a_batch_has_room_for_a_whole_word_that_is_too_long():
    made = examples(whole_words=True, share=0.01)
    _, _, weights = made.batch(np.arange(len(made)), 0, 0)
    masked = [len(made.example(number, 0, 0).places) for number in range(len(made))]
    assert max(masked) > made.masking.count(32)
    assert weights["masked_words"].sum(axis=1).tolist() == masked


def texts_around(one):
    """The ids of the first and of the second text."""
    ids = restored(one)
    assert (ids[0], ids[one.first_length - 1], ids[-1]) == (SPECIAL.classification, *[SPECIAL.separator] * 2)
    return ids[1 : one.first_length - 1].tolist(), ids[one.first_length : -1].tolist()


def test_half_of_the_second_texts_follow_the_first_and_the_others_are_of_another_document():
    made = examples()
    all_ids = DOCUMENTS.ids.tolist()
    found = [(number, made.example(number, 3, epoch)) for epoch in range(20) for number in range(len(made))]
    for number, one in found:
        first, second = texts_around(one)
        start = int(made.pieces.starts[number])
        assert first == all_ids[start : start + len(first)]
        follows = all_ids[start + len(first) : int(made.pieces.ends[number])]
        assert first
        assert second
        assert len(one.ids) <= 32
        if not one.other:
            assert second == follows
    assert within(np.mean([one.other for _, one in found]), 0.5, len(found))


def test_pairs_are_cut_between_sentences():
    made = examples()
    ends = set(DOCUMENTS.ends.tolist())
    for number in range(len(made)):
        for epoch in range(5):
            cut = int(made.pieces.starts[number]) + made.example(number, 0, epoch).first_length - 2
            inside = (DOCUMENTS.starts > made.pieces.starts[number]) & (DOCUMENTS.starts < made.pieces.ends[number])
            assert cut in ends or not inside.any()


def test_one_document_has_no_other():
    with pytest.raises(InputError, match="taken from other documents, and here is one alone: part documents by blank"):
        MaskedExamples(
            Documents.tokenize([["a cat sat", "on the mat"]], TOKENIZER).pieces(20, 2),
            Masking.of(TOKENIZER, 0.15, False),
            pairs=True,
            token_types=True,
        )


def test_every_epoch_masks_others_and_the_same_one_the_same_again():
    made = examples()
    same, again, other = (made.batch(np.arange(6), 0, epoch) for epoch in (4, 4, 5))
    tf.nest.map_structure(np.testing.assert_array_equal, same, again)
    assert not np.array_equal(same[0]["masked_positions"], other[0]["masked_positions"])


def taken(dataset, count):
    return list(dataset.take(count).as_numpy_iterator())


def test_batches_go_on_from_any_step():
    dataset, steps = examples().training(8, 5)
    assert steps == -(-len(examples()) // 8)
    whole = taken(dataset(), steps + 3)
    for skipped in (1, steps, steps + 1):
        for ours, theirs in zip(taken(dataset(skipped), 2), whole[skipped:], strict=False):
            tf.nest.map_structure(np.testing.assert_array_equal, ours, theirs)


def test_shares_of_a_batch_are_its_rows():
    dataset, _ = examples().training(8, 5)
    whole, parts = taken(dataset(), 3), [taken(dataset(0, Share(number, 3)), 3) for number in range(3)]
    for step in range(3):
        rows = [rows for part in parts for rows in rows_of(part[step])]
        assert rows == rows_of(whole[step])


def rows_of(batch):
    """Each example without what fills it up."""
    inputs, targets, weights = batch
    rows = []
    for row, mask in enumerate(inputs["attention_mask"]):
        masked = weights["masked_words"][row] > 0
        kept = [inputs[name][row][mask > 0].tolist() for name in ("input_ids", "token_type_ids")]
        words = [inputs["masked_positions"][row][masked].tolist(), targets["masked_words"][row][masked].tolist()]
        rows.append((*kept, *words, int(targets["next_sentence"][row]), float(weights["next_sentence"][row])))
    return rows


def test_an_evaluation_has_every_example_once():
    made = examples(pairs=False)
    batches = list(made.evaluation(256).as_numpy_iterator())
    assert len(batches) == made.evaluation(256).cardinality()
    assert sum(len(inputs["input_ids"]) for inputs, *_ in batches) == len(made)
    found = sorted(
        np.where(inputs["attention_mask"][row] > 0, inputs["input_ids"][row], 0).sum()
        for inputs, *_ in batches
        for row in range(len(inputs["input_ids"]))
    )
    expected = sorted(made.example(number, 0, 2**32 - 1).ids.sum() for number in range(len(made)))
    assert found == expected
    assert set(batches[0][0]) == {"input_ids", "attention_mask", "masked_positions"}


@pytest.mark.parametrize(
    ("tokenizer", "share", "message"),
    [
        (new_tokenizer("characters").fit(["abc"]), 0.15, r"need a tokenizer with ids for a mask, \[CLS\] and \[SEP\]"),
        (TOKENIZER, 1.5, "masked_share must be between 0 and 1, got 1.5"),
    ],
)
def test_what_cannot_be_masked(tokenizer, share, message):
    with pytest.raises(InputError, match=message):
        Masking.of(tokenizer, share, False)


def separable(examples, measure):
    """The best accuracy with which a bound on a measure tells second texts of another document from others."""
    values = np.array([measure(one) for one in examples])
    other = np.array([one.other for one in examples])
    accuracies = [((values <= bound) == other).mean() for bound in np.unique(values)]
    return max(*accuracies, 1 - min(accuracies))


def test_no_length_tells_that_a_second_text_is_of_another_document():
    random = np.random.default_rng(4)
    texts = [
        "\n".join(" ".join(random.choice(WORDS, random.integers(3, 12))) + "." for _ in range(random.integers(10, 40)))
        for _ in range(40)
    ]
    documents = Documents.tokenize(documents_of(texts), TOKENIZER)
    made = MaskedExamples(documents.pieces(100, 2), Masking.of(TOKENIZER, 0.15, False), pairs=True, token_types=True)
    found = drawn(made, epochs=12)
    assert len(found) > 2000
    for measure in (lambda one: len(one.ids), lambda one: len(one.ids) - one.first_length):
        assert separable(found, measure) < 0.56, measure
    full_stop = TOKENIZER.encode(".")[0]
    # a second text is cut inside a sentence only where there is less room than for any sentence that was drawn
    assert np.mean([restored(one)[-2] == full_stop for one in found]) > 0.97
