"""A classifier of texts that may have several labels, or none."""

import json
import random

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

import lmkeras
from lmkeras import InputError, TextClassifier, cross_validate
from lmkeras.models.model import Model
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.multi_label import MultiLabelClassification
from tests.models.reviews import SIZES

WORDS = {"cheap": "bargain", "good": "fizzy", "脏话": "笨蛋"}
FILL = "the film is so and it was one of them".split()
TRAINING = {"epochs": 30, "batch_size": 16, "learning_rate": 0.02, "verbose": 0}


def some(count, seed=0, pairs=False):
    """Texts with a word for each of their labels, which may be none or all; of a pair, the second has the words."""
    choose, texts, labels = random.Random(seed), [], []
    for _ in range(count):
        labels.append(tuple(label for label in WORDS if choose.random() < 0.4))
        words = [choose.choice(FILL) for _ in range(4)] + [WORDS[label] for label in labels[-1]]
        choose.shuffle(words)
        texts.append(("a pair", " ".join(words)) if pairs else " ".join(words))
    return texts, labels


def marks(labels):
    return np.array([[label in of_one for label in WORDS] for of_one in labels])


def learnt(network="dense", of=None, **options):
    model = TextClassifier(network, **SIZES[network])
    model.fit(of or some(200), **{**TRAINING, "xla": "off", **options})
    return model


@pytest.fixture(scope="module")
def model():
    return learnt()


@pytest.mark.parametrize("network", ["ngrams", "dense", "cnn", "lstm", "transformer", "bert"])
def test_lists_of_labels_make_every_network_a_multi_label_classifier(network):
    # a BERT of fresh weights needs more texts, and gets less far
    others = {"bert": {"of": some(1000), "learning_rate": 0.003, "epochs": 40}, "ngrams": {"learning_rate": 1.0}}
    model = learnt(network, **others.get(network, {}))
    assert type(model.task) is MultiLabelClassification
    assert model.labels == tuple(WORDS)
    texts, labels = some(60, seed=1)
    values = model.evaluate((texts, labels))
    if network == "bert":
        assert values["micro_f1"] > 0.8, "all labels for every text would get 0.57"
    else:
        assert min(values["micro_f1"], values["macro_f1"], values["subset_accuracy"]) > 0.95
    right = [set(one.labels) == set(of_one) for one, of_one in zip(model.predict(texts), labels, strict=True)]
    assert np.mean(right) == pytest.approx(values["subset_accuracy"])


def test_pairs_may_have_several_labels():
    model = learnt(of=some(200, pairs=True))
    assert model.pairs
    assert model.evaluate(some(40, seed=1, pairs=True))["micro_f1"] > 0.95


def confused(count=120):
    """Texts of which every fifth has the labels of the one before it."""
    texts, labels = some(count, seed=2)
    return texts, [labels[number - (number % 5 == 4)] for number in range(count)]


def test_evaluation_is_what_predictions_say_and_scikit_learn_counts(model):
    texts, labels = confused()
    predictions = model.predict(texts)
    probabilities = np.array([[prediction.probabilities[label] for label in WORDS] for prediction in predictions])
    true, predicted = marks(labels), probabilities >= model.task.thresholds
    assert [set(np.array(list(WORDS))[row]) for row in predicted] == [set(one.labels) for one in predictions]
    values, report = model.judge((texts, labels))
    expected = {
        "loss_nats": np.mean([metrics.log_loss(true[:, i], probabilities[:, i]) for i in range(3)]),
        "micro_f1": metrics.f1_score(true, predicted, average="micro"),
        "macro_f1": metrics.f1_score(true, predicted, average="macro"),
        "subset_accuracy": metrics.accuracy_score(true, predicted),
        "examples": 120,
    }
    assert values == pytest.approx(expected, rel=1e-5)
    assert 0.5 < values["micro_f1"] < 1
    assert [row.threshold for row in report.per_label()] == list(model.task.thresholds)


def test_the_labels_of_a_prediction_begin_with_the_likeliest(model):
    prediction = model.predict("bargain fizzy 笨蛋 the film")
    assert sorted(prediction.labels) == sorted(WORDS)
    assert list(prediction.labels) == sorted(WORDS, key=lambda label: -prediction.probabilities[label])
    assert sum(prediction.probabilities.values()) > 2
    assert model.predict("the film").labels == ()


def test_thresholds_are_those_of_the_best_weights_on_the_validation_part():
    examples, held_out = confused(150), confused(90)
    model = learnt(of=examples, validation=held_out, epochs=3)
    probabilities = [list(prediction.probabilities.values()) for prediction in model.predict(held_out[0])]
    scores = np.array(probabilities)
    for label in range(3):
        true = marks(held_out[1])[:, label]
        limits = [*scores[:, label], model.task.thresholds[label]]
        f1 = [metrics.f1_score(true, scores[:, label] >= limit) for limit in limits]
        assert f1[-1] == pytest.approx(max(f1))
    assert learnt(of=examples, validation_fraction=0, epochs=1).task.thresholds is None  # there is nothing to choose by
    before = model.task.thresholds
    model.fit(examples, validation=held_out, **{**TRAINING, "epochs": 1})
    assert model.task.thresholds != before


def test_the_loss_of_training_is_that_of_evaluation():
    """It is the mean over texts and labels, so batches of any sizes give the same."""
    texts, labels = some(60)
    model = TextClassifier("dense", **SIZES["dense"])
    history = model.fit((texts, labels), validation=some(45, seed=3), **{**TRAINING, "epochs": 2})
    best = max(history, key=lambda line: (line["val_micro_f1"], -line["val_loss"]))
    assert model.evaluate(some(45, seed=3))["loss_nats"] == pytest.approx(best["val_loss"], rel=1e-5)


def test_saved_and_loaded_it_is_the_same_model(model, tmp_path):
    model.save(tmp_path)
    loaded = lmkeras.load(tmp_path)
    assert type(loaded) is TextClassifier
    assert loaded.task == model.task
    assert loaded.predict(some(9)[0]) == model.predict(some(9)[0])
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["kind"], config["thresholds"]) == ("multi_label_classifier", list(model.task.thresholds))


def test_exported_it_answers_the_same_with_its_thresholds(model, tmp_path):
    texts, _ = confused(40)
    model.export(tmp_path / "exported")
    classify = tf.saved_model.load(str(tmp_path / "exported")).signatures["classify"]
    found = {name: value.numpy() for name, value in classify(text=tf.constant(texts)).items()}
    assert [name.decode() for name in found["labels"]] == list(WORDS)
    np.testing.assert_allclose(found["thresholds"], model.task.thresholds, rtol=1e-6)
    predictions = model.predict(texts)
    probabilities = [list(prediction.probabilities.values()) for prediction in predictions]
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
    assert found["predicted"].tolist() == marks([prediction.labels for prediction in predictions]).tolist()
    assert classify(text=tf.constant([], tf.string))["predicted"].shape == (0, 3)


def test_weights_of_labels():
    labels = [("a",), ("a", "b"), (), ("a",)]
    task = MultiLabelClassification(labels=("a", "b"))
    targets = task.targets(labels)
    settings = lmkeras.ClassifierFitSettings
    assert targets.tolist() == [[1, 0], [1, 1], [0, 0], [1, 0]]
    assert task.weights(targets, settings()) is None
    weighted = task.weights(targets, settings(class_weights={"b": 3.0}))
    assert weighted.tolist() == [[1, 1], [1, 3], [1, 1], [1, 1]]
    balanced = task.weights(targets, settings(class_weights="balanced")).astype("float64")
    assert (balanced * targets).sum(axis=0) == pytest.approx([2, 2])
    assert (balanced * (1 - targets)).sum(axis=0) == pytest.approx([2, 2])


def test_every_fold_of_a_cross_validation_is_judged_by_its_own_thresholds():
    examples = some(60)
    untrained = TextClassifier("dense", **SIZES["dense"])
    result = cross_validate(untrained, examples, num_folds=3, validation_fraction=0.2, **{**TRAINING, "epochs": 2})
    assert result.report.examples == 60
    assert result.report.true.tolist() == marks(examples[1]).sum(axis=0).tolist()
    assert set(result.values()) >= {"micro_f1", "macro_f1_deviation", "subset_accuracy"}
    assert type(untrained.task) is Classification


def test_one_label_each_is_taken_by_the_task_itself_and_said(caplog):
    model = Model(MultiLabelClassification(), "dense", **SIZES["dense"])
    model.fit([("bargain", "cheap"), ("fizzy", "good")] * 4, **{**TRAINING, "epochs": 1})
    assert model.task.labels == ("cheap", "good")
    assert "label_separator" in caplog.text


@pytest.mark.parametrize("separator", ["，", ","])
def test_labels_that_are_combinations_are_told_with_their_separator(caplog, separator):
    task = MultiLabelClassification()
    corpus = task.corpus([("x", "好评"), ("y", f"好评{separator}酒店"), ("z", "酒店")] * 3)
    task.learned(corpus, None, settings=task.Settings(), trained=False)
    assert f"3 of 9 contain '{separator}'; if it stands" in caplog.text
    assert f"label_separator '{separator}' (--label-separator '{separator}')" in caplog.text


@pytest.mark.parametrize(("labels", "count"), [(("a",), "1 label: a"), (("a", "b"), "2 labels: a, b")])
def test_described(labels, count):
    assert MultiLabelClassification(labels=labels).described() == f"a multi-label classifier of {count}"


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([("a film", ["unknown"])], "1 of 1 examples have labels that were not learnt: 'unknown'"),
        ([("a film", [["cheap"]])], "expected a string or a number as label, got list"),
    ],
)
def test_what_cannot_be_judged(model, examples, message):
    with pytest.raises(InputError, match=message):
        model.evaluate(examples)


def test_lists_are_not_for_a_model_of_one_label():
    model = TextClassifier("dense", **SIZES["dense"])
    examples = [("bargain", "cheap"), ("fizzy", "good")] * 4
    model.fit(examples, **{**TRAINING, "epochs": 1})
    for verb in (model.fit, model.evaluate):
        with pytest.raises(InputError, match="this model gives every text one label"):
            verb([("bargain", ["cheap"]), ("fizzy", [])] * 4)


@pytest.mark.parametrize(
    "said", [{"thresholds": [0.5]}, {"thresholds": [0.5, 2, 0.5]}, {"thresholds": ["0.5"] * 3}, {"labels": None}]
)
def test_thresholds_that_are_not_those_of_the_labels(model, said):
    with pytest.raises(InputError, match="expected a threshold from 0 to 1 for each label"):
        MultiLabelClassification.from_config({**model.task.config(), **said})


def test_its_head_is_not_that_of_a_classifier(model):
    with pytest.raises(InputError, match="network must be a name or a classification network"):
        TextClassifier(model.network, model.tokenizer, labels=list(WORDS))
    with pytest.raises(InputError, match="unknown monitor 'val_accuracy': expected one of val_loss, val_micro_f1"):
        learnt(monitor="val_accuracy")


def test_what_a_guess_gets():
    train = np.array([[1, 0], [1, 0], [1, 1], [0, 0]])
    judged = np.array([[1, 1], [0, 0]])
    shares = [4 / 6, 2 / 6]  # one more text with each label and one without
    losses = [metrics.log_loss(judged[:, label], [shares[label]] * 2, labels=[0, 1]) for label in range(2)]
    predicted = [[1, 0], [1, 0]]
    assert MultiLabelClassification(labels=("a", "b")).baseline(train, judged) == pytest.approx(
        {
            "micro_f1": metrics.f1_score(judged, predicted, average="micro"),
            "macro_f1": metrics.f1_score(judged, predicted, average="macro", zero_division=0.0),
            "loss": np.mean(losses),
        }
    )


def test_predictions_as_the_command_line_shows_them(model):
    task, (answer, nothing) = model.task, model.predict(["bargain fizzy the film", "the film"])
    likeliest = max(answer.probabilities, key=answer.probabilities.get)
    assert task.row(answer) == {"labels": list(answer.labels), "probabilities": answer.probabilities}
    assert task.row(answer, threshold=0.0)["labels"] == [name for name, _ in answer.top(3)]
    assert task.row(answer, top_k=1)["top"] == [{"label": likeliest, "probability": answer.probabilities[likeliest]}]
    assert task.line(nothing) == "none"
    assert task.line(answer).startswith(f"{likeliest} {answer.probabilities[likeliest]:.4f}, ")
    assert task.row_names() == ["labels", "probability_cheap", "probability_good", "probability_脏话"]
