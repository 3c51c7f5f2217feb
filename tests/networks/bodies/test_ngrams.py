"""n-grams and their sums against plain Python, and the beginning against naive Bayes as written down."""

import collections
import math
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import lmkeras
from lmkeras.errors import InputError
from lmkeras.layers import ngrams
from lmkeras.networks.bodies.ngrams import NGrams, ngram_classifier

TEXTS = [
    "So good, so GOOD!",
    "",
    "a\tb  c",
    "天地玄黄, heaven and earth",
    "x",
    "  lead and trail  ",
    "ÄÖ straße ไทย abc123",
]
BUCKETS = 2**20


def tokenizer_of(texts=TEXTS):
    return lmkeras.Tokenizer(char_level=True, lower=False, oov_token="<OOV>").fit(texts)


def padded(rows):
    ids = np.zeros((len(rows), max(map(len, rows), default=1) + 2), np.int32)
    for row, own in zip(ids, rows, strict=True):
        row[: len(own)] = own
    return ids, np.arange(ids.shape[1]) < np.array([len(own) for own in rows])[:, None]


def words_in(text):
    """(start, word) of runs of letters and digits, and of every other character that is no blank."""
    pattern = r"[\u4e00-\u9fff\u0e00-\u0eff]|[^\W_\u4e00-\u9fff\u0e00-\u0eff]+|[^\w\s]|_"
    return [(match.start(), match[0].lower()) for match in re.finditer(pattern, text)]


def expected_grams(text, widths, word_widths):
    """For each place of a text the n-grams that begin there, as tuples."""
    found = collections.defaultdict(list)
    letters = [" " if letter.isspace() else letter.lower() for letter in text]
    for width in widths:
        for start in range(len(letters) - width + 1):
            found[start].append(("letters", *letters[start : start + width]))
    words = words_in(text)
    for width in word_widths:
        for number in range(len(words) - width + 1):
            found[words[number][0]].append(("words", *(word for _, word in words[number : number + width])))
    return found


def found_grams(texts, widths, word_widths):
    """For each text and place the numbers of the n-grams that begin there, in the same order."""
    tokenizer = tokenizer_of(texts)
    ids, mask = padded([tokenizer.encode(text) for text in texts])
    kinds = ngrams.kinds_of(tokenizer, tokenizer.vocabulary_size)
    folded = tf.constant(kinds.folded[ids])
    both = [ngrams.token_grams(folded, tf.constant(mask), widths, BUCKETS)]
    words = ngrams.words_of(folded, tf.constant(kinds.roles[ids]), tf.constant(mask))
    both.append(ngrams.word_grams(words, word_widths, BUCKETS))
    found = [collections.defaultdict(list) for _ in texts]
    for grams in both:
        for row, place, width in np.argwhere(grams.real.numpy()):
            found[row][place].append(int(grams.ids[row, place, width]))
    return found


def assert_same_grams(texts):
    """The same n-gram always has the same number, at the place where it begins, and others have another one."""
    numbers = {}
    for text, found in zip(texts, found_grams(texts, [1, 2, 4], [1, 2]), strict=True):
        expected = expected_grams(text, [1, 2, 4], [1, 2])
        assert {place: len(grams) for place, grams in found.items()} == {
            place: len(grams) for place, grams in expected.items()
        }
        for place, grams in expected.items():
            for gram, number in zip(grams, found[place], strict=True):
                assert numbers.setdefault(gram, number) == number
    shared = len(numbers) - len(set(numbers.values()))
    assert shared <= 2 + len(numbers) ** 2 / BUCKETS, "twice as many as chance puts into the same bucket"


def test_the_grams_are_those_of_plain_python():
    assert_same_grams(TEXTS)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("ab AB,.1天地_\n", max_size=12), min_size=1, max_size=4))
def test_the_grams_of_any_text_are_those_of_plain_python(texts):
    assert_same_grams([*texts, "aA"])


def test_buckets_are_filled_evenly():
    texts = ["".join(map(chr, np.random.default_rng(seed).integers(97, 123, 400))) for seed in range(50)]
    counts = np.zeros(64)
    for row in found_grams(texts, [3], [1]):
        for numbers in row.values():
            np.add.at(counts, np.array(numbers) % 64, 1)
    mean = counts.mean()
    # chi-square with 63 degrees of freedom: mean 63, deviation 11
    assert ((counts - mean) ** 2 / mean).sum() < 63 + 6 * 11


def test_tokens_that_are_words_are_words_by_themselves():
    tokenizer = lmkeras.Tokenizer(oov_token="<OOV>").fit(["so good so bad"])
    kinds = ngrams.kinds_of(tokenizer, 9)
    assert (kinds.roles == ngrams.ALONE).all()
    np.testing.assert_array_equal(kinds.folded, np.arange(9))


def test_the_logits_are_sums_of_vectors():
    network = ngram_classifier(20, num_classes=3, widths=(1, 2), word_widths=(1,), buckets=97)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(97, 3)).astype("float32")
    network.body.embedding.embeddings.assign(vectors)
    ids = random.integers(1, 20, (4, 9)).astype("int32")
    ids[1, 5:] = 0
    expected = np.zeros((4, 3))
    inputs = network.body.inputs(ids)
    for grams in network.body.grams(inputs):
        for row in range(4):
            own = grams.ids[row].numpy()[grams.real[row].numpy()]
            expected[row] += vectors[own].sum(axis=0) / math.sqrt(len(own))
    kernel, bias = network.head.dense.kernel.numpy(), network.head.dense.bias.numpy()
    np.testing.assert_allclose(network(ids), expected @ kernel + bias, atol=1e-5)


def begun(texts, labels, **sizes):
    """A model whose network is as it begins, since its updates are too small to change anything."""
    model = lmkeras.TextClassifier("ngrams", buckets=BUCKETS, **sizes)
    model.fit((texts, labels), steps=1, learning_rate=1e-12, validation_fraction=0, verbose=0)
    return model


def test_training_begins_from_naive_bayes_ratios():
    texts, labels = ["aa b", "b c", "c c d", "a d"], ["x", "y", "y", "z"]
    model = begun(texts, labels, widths=(), word_widths=(1,))
    counts = {label: collections.Counter() for label in model.labels}
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(text.split())
    total = sum(counts.values(), collections.Counter())

    def ratio(word, label):
        own = {gram: counts[label][gram] + 1 for gram in total}
        others = {gram: total[gram] - counts[label][gram] + 1 for gram in total}
        return math.log(own[word] / sum(own.values())) - math.log(others[word] / sum(others.values()))

    for text in ("b c", "d", "aa a b dad"):
        words = text.split()
        scores = [0.3 * sum(ratio(w, label) for w in words if w in total) for label in model.labels]
        scores = np.array(scores) / math.sqrt(len(words))
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(list(model.predict(text).probabilities.values()), expected, atol=1e-4)


def test_several_labels_begin_beside_all_other_texts():
    texts, labels = ["a b", "b c", "c d", "d"], [["x"], ["x", "y"], [], ["y"]]
    model = begun(texts, labels, widths=(), word_widths=(1,))
    having = {label: collections.Counter() for label in model.labels}
    total = collections.Counter(word for text in texts for word in text.split())
    for text, of_text in zip(texts, labels, strict=True):
        for label in of_text:
            having[label].update(text.split())
    for word in total:
        for label, probability in model.predict(word).probabilities.items():
            p = (having[label][word] + 1) / (sum(having[label].values()) + len(total))
            others = sum(total.values()) - sum(having[label].values())
            q = (total[word] - having[label][word] + 1) / (others + len(total))
            assert math.log(probability / (1 - probability)) == pytest.approx(0.3 * math.log(p / q), abs=1e-4)


def test_many_labels_begin_in_the_directions_in_which_they_differ_most():
    from lmkeras.networks.heads.classes import ClassesHead

    head = ClassesHead(5)
    head.build((None, 2))
    random = np.random.default_rng(0)
    scores = random.normal(size=(50, 2)) @ random.normal(size=(2, 5))  # of rank 2, so that two directions are enough
    kernel = head.answer_by(2, scores)
    np.testing.assert_allclose(scores @ np.linalg.pinv(kernel) @ kernel, scores, atol=1e-4)
    np.testing.assert_array_equal(head.dense.kernel, kernel)


@pytest.mark.parametrize("label", ["one", "several"])
def test_it_learns_is_saved_and_exported(tmp_path, label):
    texts = ["喜欢这家酒店", "房间太差了", "very good", "not bad", "awful, really", "差"] * 8
    labels = ["好", "坏", "好", "好", "坏", "坏"] * 8
    if label == "several":
        labels = [[one] for one in labels[:-1]] + [["好", "坏"]]
    model = lmkeras.TextClassifier("ngrams", buckets=4096)
    model.fit((texts, labels), epochs=3, validation_fraction=0, verbose=0)
    values = model.evaluate((texts, labels))
    assert values["accuracy" if label == "one" else "micro_f1"] > 0.95
    model.save(tmp_path / "saved")
    expected = [list(answer.probabilities.values()) for answer in model.predict(texts[:6])]
    loaded = lmkeras.load(tmp_path / "saved")
    np.testing.assert_array_equal([list(one.probabilities.values()) for one in loaded.predict(texts[:6])], expected)
    model.export(tmp_path / "exported")
    classify = tf.saved_model.load(str(tmp_path / "exported")).signatures["classify"]
    np.testing.assert_allclose(classify(text=tf.constant(texts[:6]))["probabilities"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"widths": (), "word_widths": ()}, "both empty"),
        ({"widths": (0,)}, "widths must be lengths of n-grams"),
        ({"word_widths": "12"}, "word_widths must be lengths of n-grams"),
        ({"widths": ("2",)}, "widths must be lengths of n-grams"),
        ({"buckets": 0}, "buckets must be at least 1"),
    ],
)
def test_wrong_sizes(sizes, message):
    with pytest.raises(InputError, match=message):
        NGrams(50, **sizes)
