"""Taggers: from tagged text to entities, in Python, saved, and in a SavedModel."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

import lmkeras
from lmkeras.corpora.spans import Span, TaggedText
from lmkeras.corpora.tag_schemes import entities_of
from lmkeras.datasets.words import EncodedWords, WordLayout, windows_of
from lmkeras.errors import InputError
from lmkeras.layers.crf import Scores, best_path
from lmkeras.layers.entities import entities_in
from lmkeras.models.tables import write_rows
from lmkeras.networks.heads.tags import TagsHead
from lmkeras.tasks.entity_types import tag_numbers
from lmkeras.tasks.in_graph.tagging import in_graph_windows
from lmkeras.training.entity_f1 import EntityF1

NAMES, PLACES = ["Ada", "Bob", "Cy Young", "Di"], ["Rome", "New York", "Oslo"]


def corpus(size=60, seed=0):
    """Texts of one to three sentences in which persons live in places."""
    random, texts = np.random.default_rng(seed), []
    for _ in range(size):
        words, spans = [], []
        sentences = random.integers(1, 4)
        parts = [(random.choice(NAMES), "PER"), ("lives in", None), (random.choice(PLACES), "LOC"), (".", None)]
        for part, kind in parts * sentences:
            new = part.split()
            if kind:
                spans.append(Span(len(words), len(words) + len(new), kind))
            words += new
        texts.append(TaggedText(tuple(words), tuple(spans)))
    return texts


@pytest.fixture(scope="module")
def model():
    model = lmkeras.Tagger("lstm", units=16, embedding_dim=16, buckets=2**12, dropout=0.1)
    model.fit(corpus(), validation=corpus(10, seed=1), epochs=20, verbose=0)
    return model


TEXTS = ["Ada lives in Rome.", "", "  Cy Young lives\nin New York. Bob lives in Oslo.", "\u00a0", "天 Di"]


def test_entities_are_found_where_they_are(model):
    text = "Cy Young lives  in New York."
    found = model.predict(text).entities
    assert [(one.text, one.type) for one in found] == [("Cy Young", "PER"), ("New York", "LOC")]
    assert all(text[one.start : one.end] == one.text for one in found)
    assert all(0.5 < one.probability <= 1 for one in found)
    assert model.evaluate(corpus(20, seed=2))["f1"] == 1


def test_a_text_may_be_given_as_its_words(model):
    assert [one.text for one in model.predict(("Cy", "Young", "lives")).entities] == ["Cy Young"]
    with pytest.raises(InputError, match="none of them empty"):
        model.predict(("Cy", ""))


def test_a_saved_model_finds_the_same(model, tmp_path):
    model.save(tmp_path)
    assert lmkeras.load(tmp_path).predict(TEXTS) == model.predict(TEXTS)


def test_a_saved_model_of_tensorflow_finds_the_same(model, tmp_path):
    model.export(tmp_path / "exported")
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    found = loaded.tag(tf.constant(TEXTS))
    for row, one in enumerate(model.predict(TEXTS)):
        parts = (found[name][row].numpy().tolist() for name in ("texts", "types", "starts", "ends"))
        got = [(name.decode(), kind.decode(), *bounds) for name, kind, *bounds in zip(*parts, strict=True)]
        assert got == [tuple(entity[:4]) for entity in one.entities]
        np.testing.assert_allclose(found["probabilities"][row], [e.probability for e in one.entities], atol=1e-5)
    flat = loaded.signatures["tag"](text=tf.constant(TEXTS))
    assert flat["counts"].numpy().tolist() == [len(one.entities) for one in model.predict(TEXTS)]
    assert loaded.tag(tf.constant([], tf.string))["starts"].shape == (0, None)


def test_a_long_text_is_read_in_windows_and_no_word_is_lost(tmp_path):
    task_model = lmkeras.Tagger("lstm", units=16, embedding_dim=16, buckets=2**12, dropout=0.1, max_length=64)
    task_model.fit(corpus(), validation=corpus(10, seed=1), epochs=20, verbose=0)
    text = " ".join(f"{name} lives in {place}." for name in NAMES * 4 for place in PLACES)
    found = task_model.predict(text).entities
    assert [one.text for one in found] == [part for name in NAMES * 4 for place in PLACES for part in (name, place)]
    task_model.export(tmp_path / "exported")
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    assert loaded.tag([text, "Ada"])["starts"].to_list() == [[one.start for one in found], [0]]


def test_an_entity_that_a_window_cuts_costs_no_more_than_others():
    words = [f"w{number}" for number in range(60)]
    model = lmkeras.Tagger("lstm", units=8, embedding_dim=8, buckets=2**8, dropout=0.0, max_length=64)
    texts = [TaggedText(tuple(words), (Span(0, 50, "X"), Span(52, 60, "X")))] * 4
    history = model.fit(texts, texts, steps=2, verbose=0)
    assert all(0 < line[name] < 10 for line in history for name in ("loss", "val_loss"))


def test_tables_have_a_cell_for_the_entities_of_a_text(model, tmp_path):
    answers = [(one.text, model.task.row(one)) for one in model.predict(["Ada lives in Rome.", "lives"])]
    path = tmp_path / "answers.csv"
    write_rows(path, [({"text": text}, row) for text, row in answers], names=model.task.row_names())
    rows = list(csv.reader(path.open(encoding="utf-8")))
    assert rows[0] == ["text", "entities"]
    assert [one["type"] for one in json.loads(rows[1][1])] == ["PER", "LOC"]
    assert rows[2] == ["lives", "[]"]
    with (tmp_path / "a.conll").open("w", encoding="utf-8") as file:
        model.task.answers_files[".conll"](file, [model.predict("Ada lives.")])
    assert (tmp_path / "a.conll").read_text(encoding="utf-8") == "Ada\tB-PER\nlives\tO\n.\tO\n\n"


@pytest.mark.parametrize("crf", [True, False])
@pytest.mark.parametrize("network", ["transformer", "bert"])
def test_other_networks_learn_too(network, crf):
    model = lmkeras.Tagger(network, crf=crf, d_model=32, num_layers=1, dropout=0.0)
    model.fit(corpus(120), validation=corpus(10, seed=1), epochs=25, verbose=0)
    assert model.evaluate(corpus(20, seed=2))["f1"] > 0.9


def test_tags_of_single_words_are_learnt_as_they_are():
    texts = [(["the", "cat", "sat"], ["DT", "NN", "VB"]), (["a", "dog", "ran"], ["DT", "NN", "VB"])] * 10
    model = lmkeras.Tagger("lstm", units=8, embedding_dim=8, buckets=2**10, dropout=0.0)
    model.fit(texts, validation_fraction=0, epochs=15, verbose=0)
    assert model.network.head.num_tags == 4
    assert [(one.text, one.type) for one in model.predict("a cat sat").entities] == [
        ("a", "DT"),
        ("cat", "NN"),
        ("sat", "VB"),
    ]


def test_types_that_a_model_does_not_know_are_named(model):
    with pytest.raises(InputError, match="does not know the type ORG; it knows LOC, PER"):
        model.evaluate([(["x"], ["B-ORG"])])
    with pytest.raises(InputError, match="no word of the corpus is tagged"):
        lmkeras.Tagger("lstm").fit([(["x"], ["O"])] * 4, validation_fraction=0, verbose=0)


@pytest.mark.parametrize("room", [8, 16, 31])
def test_windows_cover_every_word_and_answer_for_it_once(room):
    random, layout = np.random.default_rng(room), WordLayout(room + 2, first=1, last=2)
    for _ in range(50):
        sizes = random.integers(1, layout.longest_word + 1, random.integers(0, 60))
        ends = np.cumsum(sizes)
        windows = windows_of(ends, layout)
        answered = [word for w in windows for word in range(w.answers_from, w.answers_to)]
        assert answered == list(range(len(sizes)))
        for window in windows:
            assert window.start <= window.answers_from
            assert window.answers_to <= window.end
            assert sizes[window.start : window.end].sum() <= layout.room


def test_windows_in_the_graph_are_the_same():
    random, layout = np.random.default_rng(0), WordLayout(max_length=12)
    texts = [random.integers(1, layout.longest_word + 1, length) for length in (0, 5, 40, 1, 13, 0)]
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    found = in_graph_windows(
        tf.constant(np.concatenate(texts), tf.int32), tf.constant(rows), tf.constant(len(texts), tf.int64), layout
    )
    expected, owners, before = [], [], 0
    for text in texts:
        for window in windows_of(np.cumsum(text), layout):
            owners += [len(expected)] * (window.answers_to - window.answers_from)
            expected.append(list(range(before + window.start, before + window.end)))
        before += len(text)
    assert found.words.to_list() == expected
    assert found.owners.numpy().tolist() == owners
    assert all(
        expected[owner][place] == word
        for word, (owner, place) in enumerate(zip(owners, found.places.numpy(), strict=True))
    )


def test_encoded_words_keep_every_word_of_a_window():
    tokenizer = lmkeras.Tokenizer(char_level=True, lower=False).fit(["abcde"])
    examples = EncodedWords.encode([["abc", "de"], ["\u2603"]], tokenizer, WordLayout(max_length=64))
    inputs = examples.inputs(np.array([0, 1]))
    assert inputs["word_starts"][:, :2].tolist() == [[0, 3], [0, 0]]
    assert inputs["word_ends"][:, :2].tolist() == [[3, 5], [1, 0]]


def made_scores(head, seed):
    random = np.random.default_rng(seed)
    for weight in (head.transitions, head.start, head.end):
        weight.assign(random.normal(size=weight.shape))
    return tf.constant(random.normal(0, 2, (3, 4, head.num_tags)), tf.float32)


def test_the_probability_of_an_entity_is_that_of_all_sequences_with_it():
    head = TagsHead(single_types=0, span_types=2)
    head.build((None, None, 8))
    emissions, lengths = made_scores(head, 0), [4, 3, 1]
    found = entities_in(emissions, tf.constant(lengths), head.scores(), head.tags)
    assert len(found.rows) > 0
    parts = [np.asarray(part, np.float64) for part in (emissions, *head.scores())]
    for row, start, end, kind, probability in zip(*(part.numpy() for part in found), strict=True):
        assert probability == pytest.approx(share_with(parts, row, lengths[row], (start, end, kind)), abs=1e-5)


def test_a_published_tagger_is_one_of_our_own(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    labels = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    words = ["ada", "lives", "in", "rome", "##s", "."]
    lmkeras.WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]).save_vocabulary(tmp_path)
    config = transformers.BertConfig(
        vocab_size=11,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        initializer_range=1.0,
    )
    torch.manual_seed(1)
    theirs = transformers.BertForTokenClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    model = lmkeras.from_pretrained(tmp_path)
    assert (type(model).__name__, model.types) == ("Tagger", ("LOC", "PER"))
    ids = model.tokenizer("Ada lives in Romes.")["input_ids"]
    logits = theirs(input_ids=torch.tensor([ids])).logits[0].detach().numpy()
    tags = [labels[number] for number in logits[[1, 2, 3, 4, 6]].argmax(axis=-1)]  # the first piece of each word
    found = model.predict("Ada lives in Romes.").spans
    assert list(found) == entities_of(tags)
    assert len(found) > 0
    model.save(tmp_path / "ours")
    assert lmkeras.load(tmp_path / "ours").predict("Ada lives in Romes.").spans == found
    model.fit([("Ada lives".split(), ["B-PER", "O"])] * 8, validation_fraction=0, epochs=1, verbose=0)


def share_with(parts, row, length, entity):
    """The share of all sequences of tags, by exp(score), in which an entity stands."""
    import itertools

    emissions, transitions, first, last = parts
    total = with_it = 0.0
    wanted = tag_numbers(length, [entity], single_types=0)
    for tags in itertools.product(range(emissions.shape[-1]), repeat=length):
        score = first[tags[0]] + last[tags[-1]] + sum(emissions[row, word, tag] for word, tag in enumerate(tags))
        weight = np.exp(score + sum(transitions[pair] for pair in itertools.pairwise(tags)))
        total += weight
        with_it += weight * all(tags[word] == wanted[word] for word in range(entity[0], entity[1]))
    return with_it / total


def test_f1_while_training_is_that_of_the_entities():
    head = TagsHead(single_types=1, span_types=2)
    head.build((None, None, 8))
    emissions, lengths = made_scores(head, 1), np.array([4, 3, 2])
    true = best_path(made_scores(head, 2) * 0.5 + emissions, tf.constant(lengths), head.scores())
    metric = EntityF1(head.tags, head.scores)
    mask = tf.sequence_mask(lengths, 4, tf.float32)
    metric.update_state(true, emissions, mask)
    zeros = Scores(tf.zeros((10, 10)), tf.zeros(10), tf.zeros(10))
    sets = []
    for scores, tags in ((tf.one_hot(true, 10) * 9, zeros), (emissions, head.scores())):
        found = entities_in(scores, tf.constant(lengths), tags, head.tags)
        sets.append(set(zip(*(part.numpy().tolist() for part in found[:4]), strict=True)))
    expected = 2 * len(sets[0] & sets[1]) / (len(sets[0]) + len(sets[1]))
    assert float(metric.result()) == pytest.approx(expected)
    assert 0 < expected < 1
