import json
import math
import shutil

import keras
import numpy as np
import pytest
from sklearn import metrics

import lmkeras
from lmkeras import InputError, TextClassifier
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.network import Network
from lmkeras.networks.registry import new_body
from lmkeras.tokenizers import new_tokenizer
from tests.models.reviews import WORDS, classifier, learnt, matches, orders, reviews

NETWORKS = [
    ("dense", "words", reviews),
    ("cnn", "characters", reviews),
    ("lstm", "byte_pair", reviews),
    ("transformer", "words", reviews),
    ("bert", "word_piece", reviews),
]
PAIRS = [
    *[("dense", tokenizer, matches) for tokenizer in ("words", "characters", "byte_pair", "word_piece")],
    ("bert", "word_piece", orders),
]


def name(value):
    return getattr(value, "__name__", str(value))


def probabilities(predictions):
    return np.array([list(prediction.probabilities.values()) for prediction in predictions])


@pytest.mark.parametrize(("network", "tokenizer", "of"), [*NETWORKS, *PAIRS], ids=name)
def test_it_learns_what_decides_the_label(network, tokenizer, of):
    """In texts that it has not seen; of pairs it has to compare both texts, or to tell the first from the second."""
    model = learnt(network, tokenizer, of)
    values = model.evaluate(of(60, seed=1))
    assert values["accuracy"] == values["macro_f1"] == 1
    assert values["loss_nats"] < 0.1 < math.log(2)
    assert model.pairs == (of is not reviews)


@pytest.fixture(scope="module")
def confused():
    """A model, and examples of which it gets some wrong: every fifth has the other label."""
    examples = [(text, "nö" if number % 5 == 0 else label) for number, (text, label) in enumerate(reviews(50, seed=2))]
    return learnt(), examples


def test_evaluation_is_what_predictions_say(confused):
    model, examples = confused
    true = [label for _, label in examples]
    predictions = model.predict([text for text, _ in examples])
    predicted = [prediction.label for prediction in predictions]
    nats = [-math.log(prediction.probabilities[label]) for prediction, label in zip(predictions, true, strict=True)]
    assert model.evaluate(examples) == {
        "loss_nats": pytest.approx(np.mean(nats), rel=1e-5),
        "accuracy": metrics.accuracy_score(true, predicted),
        "macro_f1": pytest.approx(metrics.f1_score(true, predicted, average="macro")),
        "examples": 50,
    }
    assert 0 < model.evaluate(examples)["accuracy"] < 1


def test_the_report_is_of_the_same_predictions(confused):
    model, examples = confused
    true = [label for _, label in examples]
    predicted = [prediction.label for prediction in model.predict([text for text, _ in examples])]
    report = model.report(examples)
    assert report.labels == ("nö", "yes") == model.labels
    np.testing.assert_array_equal(report.confusion, metrics.confusion_matrix(true, predicted, labels=model.labels))
    values, same = model.judge(examples)
    assert values == model.evaluate(examples)
    np.testing.assert_array_equal(same.confusion, report.confusion)


def test_labels_that_it_does_not_know_are_not_judged():
    with pytest.raises(InputError, match=r"2 of 12 examples have labels that were not learnt: 'fine' \(2\)"):
        learnt().evaluate([*reviews(10), ("so so", "fine"), ("well", "fine")])


def test_predict_returns_what_it_is_asked_in():
    model = learnt()
    assert model.predict("a fizzy film").label == "yes"
    assert [prediction.label for prediction in model.predict(["fizzy", "vague"])] == ["yes", "nö"]
    assert model.predict([]) == []
    pairs = learnt("bert", "word_piece", orders)
    assert pairs.predict(("it was vague", "so fizzy")).label == "second"
    assert pairs.predict([["so fizzy", "vague"], ("it was vague", "so fizzy")])[0].label == "first"


@pytest.mark.parametrize(("network", "tokenizer", "of"), NETWORKS, ids=name)
def test_neighbours_in_a_list_change_nothing(network, tokenizer, of):
    model = learnt(network, tokenizer, of)
    texts = ["fizzy", "the film was vague " * 9, "", "猫 déjà", "so fizzy " * 4, "vague, of one", "x"]
    together = model.predict(texts)
    np.testing.assert_allclose(probabilities(together), probabilities(map(model.predict, texts)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(probabilities(together).sum(axis=1), 1, rtol=0, atol=1e-12)


def test_order_is_kept_in_thousands_of_texts_of_every_length():
    """Compared with one pass of the network over all of them, padded to the longest, in their order."""
    model = learnt()
    texts = [" ".join([text] * (1 + number % 7)) for number, (text, _) in enumerate(reviews(3000, seed=3))]
    ids = keras.utils.pad_sequences(model.tokenizer.encode_batch(texts), 48, padding="post", truncating="post")
    expected = keras.ops.softmax(model.network(ids)).numpy()
    np.testing.assert_allclose(probabilities(model.predict(texts)), expected, rtol=0, atol=1e-5)


def test_predict_each_reads_as_it_goes():
    model, read = learnt(), []
    texts = (read.append(text) or text for text, _ in reviews(3000))
    each = model.predict_each(texts)
    assert not read
    text, prediction = next(each)
    assert (text, prediction) == (read[0], model.predict([read[0]])[0])
    assert len(read) < 1500
    assert [text for text, _ in each] == [text for text, _ in reviews(3000)][1:]
    with pytest.raises(InputError, match=r"no such file or folder: 'a text alone'.*to pass the text itself, give a"):
        model.predict_each("a text alone")


def test_single_texts_and_pairs_are_not_mixed():
    with pytest.raises(InputError, match="takes single texts, and got a pair"):
        learnt().predict(("fizzy", "vague"))
    pairs = learnt("dense", "words", matches)
    for call in (lambda: pairs.predict("fizzy"), lambda: pairs.evaluate([("fizzy", "same"), ("vague", "other")])):
        with pytest.raises(InputError, match="takes pairs of texts, and got a single one"):
            call()
    with pytest.raises(InputError, match=r"text 2: expected a text or a pair .* got int"):
        learnt().predict(["fizzy", 3])


@pytest.mark.parametrize("long_texts", ["start", "end", "both"])
def test_of_long_texts_the_part_asked_for_is_read(long_texts):
    """A word at the end decides; where it is not read, the text is as good as one without it."""
    known = learnt()
    model = TextClassifier(known.network, known.tokenizer, labels=known.labels, max_length=9, long_texts=long_texts)
    text = "the film was so and it was one of them and it was one of the film so and so was fizzy".split()
    kept = {"start": text[:9], "end": text[-9:], "both": text[:5] + text[-4:]}[long_texts]
    assert model.predict(" ".join(text)) == model.predict(" ".join(kept)) == known.predict(" ".join(kept))
    sure = model.predict(" ".join(text)).probabilities["yes"] > 0.99
    assert sure == (long_texts != "start")


@pytest.mark.parametrize(("network", "tokenizer", "of"), [NETWORKS[2], NETWORKS[4], *PAIRS[-2:]], ids=name)
def test_saved_and_loaded_it_is_the_same_model(network, tokenizer, of, tmp_path):
    model = learnt(network, tokenizer, of)
    model.save(tmp_path)
    again = lmkeras.load(tmp_path)
    texts = [text for text, _ in of(20, seed=4)]
    assert isinstance(again, TextClassifier)
    assert again.predict(texts) == model.predict(texts)
    assert again.evaluate(of(20, seed=4)) == model.evaluate(of(20, seed=4))
    names = ("labels", "pairs", "max_length", "long_texts")
    assert [getattr(again, name) for name in names] == [getattr(model, name) for name in names]
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (config["kind"], config["labels"]) == ("text_classifier", list(model.labels))


def test_where_long_texts_are_cut_is_saved(tmp_path):
    known = learnt()
    TextClassifier(known.network, known.tokenizer, labels=WORDS, max_length=2, long_texts="end").save(tmp_path)
    assert lmkeras.load(tmp_path).predict("fizzy so it was vague").label == "nö"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "of another model"])
def test_a_damaged_folder_is_refused_by_the_file(file, harm, tmp_path):
    learnt().save(tmp_path / "run")
    if harm == "missing":
        (tmp_path / "run" / file).unlink()
    elif harm == "truncated":
        (tmp_path / "run" / file).write_bytes((tmp_path / "run" / file).read_bytes()[:-200])
    else:
        learnt("cnn", "characters").save(tmp_path / "other")
        shutil.copy(tmp_path / "other" / file, tmp_path / "run" / file)
    # where config.json is another's, the first file that it does not describe is named
    expected = "model.safetensors" if (file, harm) == ("config.json", "of another model") else file
    with pytest.raises(InputError, match=expected):
        lmkeras.load(tmp_path / "run")


def test_a_changed_config_is_refused(tmp_path):
    """Labels in another order would be read as predictions the wrong way round."""
    learnt().save(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["labels"].reverse()
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=r"config.json is damaged or was changed"):
        lmkeras.load(tmp_path)
    del config["digest"]  # as the first models were written
    path.write_text(json.dumps({**config, "labels": config["labels"][::-1]}), encoding="utf-8")
    assert lmkeras.load(tmp_path).predict("fizzy") == learnt().predict("fizzy")


def test_everything_needs_a_trained_network(tmp_path):
    model = classifier()
    for call in (
        lambda: model.predict("fizzy"),
        lambda: model.predict_each(["fizzy"]),
        lambda: model.evaluate(reviews(4)),
        lambda: model.report(reviews(4)),
        lambda: model.save(tmp_path / "run"),
        lambda: model.export(tmp_path / "exported"),
    ):
        with pytest.raises(InputError, match="not been trained"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"network": "dence"}, r"unknown network 'dence'.*did you mean 'dense'"),
        ({"tokenizer": "wordpiece"}, r"unknown tokenizer 'wordpiece'.*did you mean 'word_piece'"),
        ({"tokenizer": 3}, "tokenizer must be a name or a fitted tokenizer, got int"),
        ({"network": "cnn", "num_heads": 2}, "num_heads is a size of transformer, bert; cnn has embedding_dim"),
        ({"vocabulary_size": 2}, "vocabulary_size must be at least 3"),
        ({"long_texts": "middle"}, "unknown part of long texts 'middle'"),
        ({"max_length": 1}, "max_length must be at least 2"),
        ({"labels": ["no", "yes"]}, "labels are for a built network"),
        ({"network": "cnn", "weights": "folder"}, "weights are for the network 'bert', not for 'cnn'"),
        ({"network": 3}, "network must be a name or a network that lmkeras built, got int"),
    ],
    ids=str,
)
def test_wrong_names_and_sizes_are_refused_at_once(arguments, says):
    with pytest.raises(InputError, match=says):
        TextClassifier(**arguments)


def test_an_untrained_one_is_made_of_the_same_arguments():
    tokenizer = new_tokenizer("words").fit(text for text, _ in reviews(40))
    model = TextClassifier("dense", tokenizer, max_length=2, long_texts="both", embedding_dim=7, dropout=0.3)
    model.fit(reviews(40), validation_fraction=0, epochs=1, verbose=0)
    again = model.untrained()
    assert again.network is again.labels is None
    again.fit(reviews(40), validation_fraction=0, epochs=1, verbose=0)
    assert again.predict("fizzy film of vague") == model.predict("fizzy film of vague") == model.predict("fizzy vague")
    assert again.network.get_config() | {"name": ""} == model.network.get_config() | {"name": ""}
    assert again.tokenizer is tokenizer
    with pytest.raises(InputError, match="made by a network's name"):
        TextClassifier(model.network, tokenizer, labels=model.labels).untrained()


def test_a_body_that_writes_is_no_classifiers():
    """Its summary of a text is its last position, which beside longer texts is padding."""
    tokenizer = new_tokenizer("words").fit(["a b c"])
    network = Network(new_body("lstm", "writers", vocabulary_size=9, embedding_dim=4, units=4), ClassesHead(2))
    with pytest.raises(InputError, match="a body that reads whole texts, got one of RecurrentWriter and ClassesHead"):
        TextClassifier(network, tokenizer, labels=["no", "yes"])
