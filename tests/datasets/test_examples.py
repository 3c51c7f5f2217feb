"""Whole examples in batches: each text once, padded by a plain loop's account, and with less padding than at random."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.datasets import EncodedExamples, TextLayout, TrainingExamples, evaluation_batches
from lmkeras.datasets.examples import training_order
from lmkeras.tokenizers import new_tokenizer

WORDS = new_tokenizer("words").fit(["a b c d e f"])
LAYOUT = TextLayout(9, first=50, separator=51, last=52, token_types=True)
lengths_of_texts = st.lists(st.integers(0, 40), min_size=1, max_size=30)


def examples_of(lengths, filler=0):
    """Texts of those lengths; the text of number n consists of the id n + 1 alone, so that an id says whose it is."""
    ids = [number + 1 for number, length in enumerate(lengths) for _ in range(length)]
    return EncodedExamples(np.array(ids, np.int32), np.cumsum([0, *lengths]), None, filler)


def rows_of(examples):
    return [examples.ids[start:end].tolist() for start, end in itertools.pairwise(examples.starts)]


def padded(rows, size, filler=0):
    return [row + [filler] * (size - len(row)) for row in rows]


def lists(inputs):
    return {name: array.tolist() for name, array in inputs.items()}


@pytest.mark.parametrize("at_a_time", [1, 3, 1024])
def test_texts_are_tokenized_and_arranged_one_by_one(monkeypatch, at_a_time):
    monkeypatch.setattr("lmkeras.datasets.examples._TOKENIZED_AT_A_TIME", at_a_time)
    texts = ["a b", "", "f e d c b a a a a a a", "unseen c", "d"]
    encoded = EncodedExamples.encode(iter(texts), WORDS, LAYOUT)
    assert rows_of(encoded) == [LAYOUT.arrange(WORDS.encode(text))[0] for text in texts]
    assert encoded.lengths.tolist() == [len(row) for row in rows_of(encoded)]
    assert (len(encoded), encoded.ids.dtype, encoded.first_lengths) == (5, np.int32, None)


@pytest.mark.parametrize("at_a_time", [1, 1024])
def test_a_network_is_told_which_ids_are_the_second_texts(monkeypatch, at_a_time):
    monkeypatch.setattr("lmkeras.datasets.examples._TOKENIZED_AT_A_TIME", at_a_time)
    pairs = [("a b", "c"), ("", "d e"), ("f", ""), ("a a a a a a a", "b b b b b b b"), ("", "")]
    encoded = EncodedExamples.encode(pairs, WORDS, LAYOUT)
    inputs = encoded.inputs(np.array([3, 0, 1, 4, 2]))
    for row, number in enumerate([3, 0, 1, 4, 2]):
        ids, first_length = LAYOUT.arrange(*map(WORDS.encode, pairs[number]))
        second = [0] * first_length + [1] * (len(ids) - first_length)
        assert inputs["input_ids"][row].tolist() == ids + [0] * (9 - len(ids))
        assert inputs["token_type_ids"][row].tolist() == second + [0] * (9 - len(ids))
        assert inputs["attention_mask"][row].tolist() == [1] * len(ids) + [0] * (9 - len(ids))
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.int32)}


def test_a_network_that_hears_nothing_of_pairs_gets_no_token_types():
    layout = TextLayout(9, separator=51)
    encoded = EncodedExamples.encode([("a b", "c"), ("", "d")], WORDS, layout)
    expected = [layout.arrange(WORDS.encode("a b"), WORDS.encode("c"))[0], [51, *WORDS.encode("d")]]
    mask = padded([[1] * len(row) for row in expected], 4)
    assert lists(encoded.inputs(np.array([0, 1]))) == {"input_ids": padded(expected, 4), "attention_mask": mask}


def test_rows_are_filled_with_the_tokenizers_padding(monkeypatch):
    special = WORDS.special._replace(padding=77)
    monkeypatch.setattr(type(WORDS), "special", special)
    encoded = EncodedExamples.encode(["a", "b c"], WORDS, TextLayout(9))
    inputs = encoded.inputs(np.array([0, 1]))
    assert inputs["input_ids"].tolist() == [[*WORDS.encode("a"), 77], WORDS.encode("b c")]
    assert inputs["attention_mask"].tolist() == [[1, 0], [1, 1]]


def test_no_texts_are_no_batches():
    encoded = EncodedExamples.encode([], WORDS, LAYOUT)
    assert len(encoded) == 0
    assert list(encoded.batches_by_length(100)) == []


@given(lengths_of_texts, st.data(), st.sampled_from([0, 99]))
def test_inputs_are_padded_to_steps_of_eight_or_to_the_longest_text(lengths, data, filler):
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=8))
    inputs = examples_of(lengths, filler).inputs(np.array(rows))
    longest_here = max(lengths[row] for row in rows)
    size = max(1, min(-(-longest_here // 8) * 8, max(lengths)))
    assert inputs["input_ids"].tolist() == padded([[row + 1] * lengths[row] for row in rows], size, filler)
    assert inputs["attention_mask"].tolist() == padded([[1] * lengths[row] for row in rows], size)
    assert [(name, array.dtype) for name, array in inputs.items()] == [
        ("input_ids", np.int32),
        ("attention_mask", np.int32),
    ]


@given(lengths_of_texts, st.integers(1, 200))
def test_batches_hold_no_more_ids_than_asked_for_unless_one_text_does(lengths, batch_ids):
    examples = examples_of(lengths)
    batches = list(examples.batches_by_length(batch_ids))
    numbers = [int(number) for batch in batches for number in batch]
    assert sorted(numbers) == list(range(len(lengths)))
    assert [lengths[number] for number in numbers] == sorted(lengths)
    shapes = [examples.inputs(batch)["input_ids"].shape for batch in batches]
    assert all(rows * size <= batch_ids for rows, size in shapes if rows > 1)
    for (rows, _), following in zip(shapes, batches[1:], strict=False):
        _, size = examples.inputs(following[:1])["input_ids"].shape
        assert (rows + 1) * size > batch_ids, "one text more would have fitted"


@given(lengths_of_texts, st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
def test_every_text_comes_once_an_epoch(lengths, batch_size, seed, epoch):
    batches = list(training_order(np.array(lengths), batch_size, seed, epoch))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


LENGTHS = np.random.default_rng(0).lognormal(4, 0.8, 5000).astype(int)


def order(seed, epoch, batch_size=32):
    return [batch.tolist() for batch in training_order(LENGTHS, batch_size, seed, epoch)]


def test_the_order_follows_from_seed_and_epoch():
    assert order(1, 2) == order(1, 2)
    sets = [{frozenset(batch) for batch in order(*which)} for which in ((1, 2), (1, 3), (2, 2))]
    assert not sets[0] & sets[1], "another epoch brings other texts together"
    assert not sets[0] & sets[2], "and so does another seed"


def padding(batches):
    return sum(len(batch) * max(LENGTHS[batch]) - sum(LENGTHS[batch]) for batch in batches)


def test_texts_of_like_length_come_together_in_batches_of_random_order():
    together = order(0, 0)
    shuffled = np.random.default_rng(0).permutation(len(LENGTHS))
    assert padding(together) < 0.1 * padding([shuffled[at : at + 32] for at in range(0, len(shuffled), 32)])
    means = [LENGTHS[batch].mean() for batch in together]
    # of independent batches the correlation of one with the next is about 0 ± 1 / sqrt(156)
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 5 / len(means) ** 0.5


def epochs(dataset, batches):
    """(inputs, classes, weights) of the first epoch, of the second and so on."""
    iterator = dataset.as_numpy_iterator()
    while True:
        yield list(itertools.islice(iterator, batches))


def numbers_of(inputs):
    """Which texts of `examples_of` these are."""
    return inputs["input_ids"][:, 0] - 1


@pytest.mark.parametrize("weights_given", [None, [number / 8 for number in range(23)]])
def test_training_batches_bring_each_text_with_its_class_and_weight(weights_given):
    lengths = [1 + number % 11 for number in range(23)]
    classes = np.array([number % 3 for number in range(23)], np.int32)
    dataset = TrainingExamples(examples_of(lengths), classes, 4, 7, weights_given).dataset()
    orders = []
    for epoch, batches in enumerate(itertools.islice(epochs(dataset, 6), 3)):
        orders.append([numbers_of(inputs).tolist() for inputs, _, _ in batches])
        assert orders[-1] == [batch.tolist() for batch in training_order(np.array(lengths), 4, 7, epoch)]
        for (inputs, targets, weights), numbers in zip(batches, orders[-1], strict=True):
            assert lists(inputs) == lists(examples_of(lengths).inputs(np.array(numbers)))
            assert targets.tolist() == [number % 3 for number in numbers]
            assert weights.tolist() == [(weights_given or [1.0] * 23)[number] for number in numbers]
            assert (inputs["input_ids"].dtype, targets.dtype, weights.dtype) == (np.int32, np.int32, np.float32)
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize("first", [0, 1, 5, 6, 7, 20])
def test_training_may_begin_with_any_batch(first):
    lengths = [1 + number % 11 for number in range(23)]
    train = TrainingExamples(examples_of(lengths), np.zeros(23, np.int32), 4, 7)
    assert train.steps_per_epoch == 6
    whole = itertools.islice(train.dataset().as_numpy_iterator(), first, first + 10)
    for (expected, *_), (inputs, *_) in zip(whole, train.dataset(first).as_numpy_iterator(), strict=False):
        assert lists(inputs) == lists(expected)


def test_other_examples_have_another_digest():
    def digest(lengths=(1, 2, 3), classes=(0, 1, 0)):
        return examples_of(list(lengths)).digest(np.array(classes, np.int32))

    assert digest() == digest()
    assert len({digest(), digest(lengths=(1, 3, 2)), digest(classes=(0, 0, 1)), digest((1, 2), (0, 1))}) == 4


@pytest.mark.parametrize("training", [True, False])
def test_a_text_may_have_a_target_and_a_weight_for_every_place(training):
    lengths, shape = [3, 1, 2, 5, 4], (5, 2, 3)
    targets = np.arange(30, dtype=np.int32).reshape(shape)
    weights = np.arange(30).reshape(shape) / 16
    examples = examples_of(lengths)
    if training:
        dataset = TrainingExamples(examples, targets, 2, 3, weights).dataset().take(3)
    else:
        dataset = evaluation_batches(examples, targets, weights, batch_ids=8)
    assert [tuple(spec.shape) for spec in dataset.element_spec[1:]] == [(None, 2, 3)] * 2
    found = []
    for inputs, some, theirs in dataset.as_numpy_iterator():
        numbers = numbers_of(inputs).tolist()
        found += numbers
        assert some.tolist() == targets[numbers].tolist()
        assert (theirs.dtype, theirs.tolist()) == (np.float32, weights[numbers].tolist())
    assert sorted(found) == list(range(5))


@pytest.mark.parametrize("batch_ids", [1, 24, 8192])
def test_evaluation_batches_bring_each_text_once(batch_ids):
    lengths = [1 + 5 * number % 13 for number in range(23)]
    classes = np.array([number % 3 for number in range(23)], np.int32)
    dataset = evaluation_batches(examples_of(lengths), classes, batch_ids=batch_ids)
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == int(dataset.cardinality())
    found = []
    for inputs, targets, weights in batches:
        numbers = numbers_of(inputs).tolist()
        found += numbers
        assert inputs["input_ids"].size <= batch_ids or len(numbers) == 1
        assert lists(inputs) == lists(examples_of(lengths).inputs(np.array(numbers)))
        assert targets.tolist() == [number % 3 for number in numbers]
        assert weights.tolist() == [1.0] * len(numbers)
    assert sorted(found) == list(range(23))
    assert lists(next(dataset.as_numpy_iterator())[0]) == lists(batches[0][0]), "every pass is the same"


def test_batches_of_pairs_have_token_types():
    pairs, classes = [("a b", "c"), ("d", "e f"), ("a", "")], np.array([2, 0, 1], np.int32)
    encoded = EncodedExamples.encode(pairs, WORDS, LAYOUT)
    (inputs, targets, _), *others = evaluation_batches(encoded, classes).as_numpy_iterator()
    assert not others
    assert targets.tolist() == [1, 2, 0]
    assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    assert lists(inputs) == lists(encoded.inputs(np.array([2, 0, 1])))
