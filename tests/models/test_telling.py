"""What fit says before and after a training, for a language model and a classifier, in English and Chinese."""

import logging
import math

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss

import lmkeras
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language

REVIEWS = [("good fine great", "好评"), ("bad poor awful", "差评"), ("so so", "中评")] * 20


def rows(out):
    """The text beside each name of the block before a training and of that after it."""
    return {name: text for name, _, text in (line.partition(" ") for line in out.splitlines())}


#: the same text has every label, so nothing can be learnt
RIDDLES = [("the same", label) for label in ("a", "b", "b", "b", "c")] * 10


def ours(caplog):
    """The warnings that come after a training; there are others, on the data."""
    return [said for record in caplog.records if (said := record.getMessage()).startswith(("THE LOSS", "THE MODEL"))]


def classifier(examples=REVIEWS, **options):
    model = lmkeras.TextClassifier("dense", "words", embedding_dim=8, dropout=0.0)
    options = {"epochs": 10, "batch_size": 6, "learning_rate": 0.1, "xla": "off", **options}
    return model, model.fit(examples, examples[:6], **options)


def test_a_classifier_says_what_it_does(capsys):
    model, history = classifier()
    out, err = capsys.readouterr()
    said = {name: text.strip() for name, text in rows(out).items()}
    assert said["task"] == "a text classifier of 3 labels: 中评, 好评, 差评"
    assert said["tokenizer"] == "words"
    assert said["vocabulary"] == f"{model.tokenizer.vocabulary_size} different tokens"
    assert said["network"] == "dense: embedding_dim 8, dropout 0.0"
    assert said["parameters"].startswith(f"{model.network.count_params():,}, of which ")
    assert said["data"] == "60 texts to train on, 6 texts to validate on"
    assert said["training"].startswith("100 updates, 10 epochs, an epoch has 10; an evaluation every 10")
    assert said["optimizer"] == "adamw, learning rate up to 0.1, then falling to zero on a line"
    assert said["device"] == "CPU, float32"
    assert said["weights"] == "drawn at random, seed 0"
    assert said["kept"].startswith(f"the weights of update {history.outcome.update} (epoch ")
    assert "try next     a larger or harder validation part: all of this one, or nearly all, is right\n" in out
    assert "LEARNT NOTHING" not in err
    assert history.outcome.value == max(line["val_accuracy"] for line in history) == 1.0


def test_a_language_model_says_how_many_tokens_there_are(capsys):
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=8, units=8)
    text = ["春眠不觉晓，处处闻啼鸟。"] * 200
    model.fit(text, validation=text[:20], window_length=12, batch_size=10, steps=2, xla="off")
    said = {name: part.strip() for name, part in rows(capsys.readouterr().out).items()}
    # 12 characters and an id between texts; one window in 13 ids is kept back
    assert said["data"] == "2,520 tokens in windows of 12 to train on, 240 tokens to validate on"
    assert said["task"] == "a language model"
    assert model.task.described() == "a language model"


def test_a_model_that_is_trained_further_says_so(capsys):
    model, _ = classifier(verbose=0)
    assert capsys.readouterr().out == ""
    model.fit(REVIEWS, REVIEWS[:6], epochs=1, verbose=2)
    assert rows(capsys.readouterr().out)["weights"].strip() == "as they are, to be trained further"


@pytest.mark.parametrize("verbose", [0, "auto"])
def test_a_model_that_learns_nothing_is_named(verbose, caplog):
    with caplog.at_level(logging.WARNING, "lmkeras"):
        _, history = classifier(RIDDLES, verbose=verbose)
    (warning,) = ours(caplog)
    # of a, b, b, b, c, a the commonest label is right in three; its F1 is 2/3, that of the others 0
    assert warning.startswith(
        "THE MODEL HAS LEARNT NOTHING: it is no better than a guess without reading the text: accuracy 0.5 (the guess: "
        "0.5), macro_f1 0.2222 (the guess: 0.2222). Try longer training"
    )
    assert history.outcome.update > 0


def test_a_loss_that_explodes_is_named(caplog):
    with caplog.at_level(logging.WARNING, "lmkeras"):
        _, history = classifier(RIDDLES, learning_rate=1e9, verbose=0, epochs=1)
    (warning,) = ours(caplog)
    assert warning.startswith("THE LOSS EXPLODED")
    assert history.outcome.course == "exploded"


def test_a_model_that_learns_is_not_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "lmkeras"):
        classifier(verbose=0)
    assert ours(caplog) == []


def test_where_a_guess_is_always_right_nothing_can_be_said(caplog):
    with caplog.at_level(logging.WARNING, "lmkeras"):
        model, _ = classifier(verbose=0)
        history = model.fit(REVIEWS, [REVIEWS[0]] * 4, epochs=1, verbose=0)
    assert history[-1]["val_accuracy"] == 1
    assert not [line for line in ours(caplog) if "LEARNT NOTHING" in line]


def test_the_guess_of_a_classifier_is_that_of_scikit_learn():
    train, judged = np.repeat([0, 1, 2], [5, 30, 15]), np.array([0, 1, 1, 2, 1, 0, 2])
    guess = DummyClassifier(strategy="most_frequent").fit(train[:, None], train).predict(judged[:, None])
    shares = np.tile(np.array([6, 31, 16]) / 53, (7, 1))  # one more of each, so that none has the share 0
    got = Classification(labels=("a", "b", "c")).baseline(train, judged)
    assert got["accuracy"] == pytest.approx(accuracy_score(judged, guess))
    assert got["macro_f1"] == pytest.approx(f1_score(judged, guess, average="macro"))
    assert got["loss"] == pytest.approx(log_loss(judged, shares))


def test_the_guess_of_a_language_model_is_that_of_its_tokens_shares():
    got = Language().baseline(np.array([1, 1, 1, 2]), np.array([1, 2, 4]))
    # five ids, each counted once more than it occurs: 1, 4, 2, 1, 1 of 9
    assert got == {"loss": pytest.approx(-(math.log(4 / 9) + math.log(2 / 9) + math.log(1 / 9)) / 3)}
