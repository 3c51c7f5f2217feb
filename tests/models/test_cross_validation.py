import numpy as np
import pytest

from lmkeras import InputError, LabelledCorpus, LanguageModel, TextClassifier, cross_validate
from lmkeras.corpora import folds

TEXTS = [
    f"{word} {place}" for place in ("here", "there", "nowhere", "where") for word in ("good", "fine", "bad", "poor")
]
LABELS = ["yes" if text.split()[0] in ("good", "fine") else "no" for text in TEXTS]
TRAINING = {"validation_fraction": 0, "epochs": 3, "learning_rate": 0.05}


def untrained():
    return TextClassifier("dense", embedding_dim=4)


def test_it_is_what_training_on_each_fold_by_hand_gives():
    model = untrained()
    result = cross_validate(model, (TEXTS, LABELS), num_folds=4, seed=3, **TRAINING)
    assert model.network is None
    accuracies, losses = [], []
    for (train, held_out), report in zip(
        folds(LabelledCorpus.from_examples(TEXTS, LABELS), 4, 3), result.reports, strict=True
    ):
        one = untrained()
        one.fit(train, seed=3, verbose=0, **TRAINING)
        np.testing.assert_array_equal(one.report(held_out).confusion, report.confusion)
        accuracies.append(report.accuracy)
        losses.append(one.evaluate(held_out)["loss_nats"])
    values = result.values()
    assert values["accuracy"] == pytest.approx(np.mean(accuracies))
    assert values["accuracy_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert values["loss_nats_deviation"] == pytest.approx(np.std(losses, ddof=1))
    assert values["folds"] == 4
    assert values["examples"] == result.report.confusion.sum() == len(TEXTS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["yes"] * 16, "at least two labels"), (["rare", *LABELS[1:]], "at least two examples of every label.*'rare'")],
)
def test_labels_that_cannot_be_cross_validated_are_refused_before_training(labels, message):
    with pytest.raises(InputError, match=message):
        cross_validate(untrained(), (TEXTS, labels), num_folds=2, **TRAINING)


def test_only_what_can_be_built_anew():
    model = untrained()
    model.fit((TEXTS, LABELS), verbose=0, **TRAINING)
    built = TextClassifier(model.network, model.tokenizer, labels=model.labels)
    with pytest.raises(InputError, match="made by a network's name"):
        cross_validate(built, (TEXTS, LABELS), num_folds=2, **TRAINING)


def test_a_task_without_reports_is_refused():
    with pytest.raises(InputError, match=r"is for a text classifier.*this is a language model"):
        cross_validate(LanguageModel("lstm"), TEXTS, num_folds=2)
