"""What Model promises whatever its task, and what the classes that users hold add to it: nothing but their verbs."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest

from lmkeras import InputError, LanguageModel, Model, TextClassifier
from lmkeras.networks.bodies.dense import dense_classifier
from lmkeras.tasks.base import Metric
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language
from lmkeras.tokenizers import new_tokenizer
from tests.models.reviews import SIZES, classifier, reviews

QUICK = {"xla": "off", "verbose": 0}
TEXTS = ["the cat sat on the mat. ", "a dog ran in the park. "] * 4
LSTM = {"embedding_dim": 4, "units": 5}


def require_same_weights(model, other):
    for weight, same in zip(model.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_a_model_of_a_task_is_what_the_class_of_its_own_is():
    """Made by either constructor, it learns the same weights to the last bit and gives the same answers."""
    task, how = Classification(max_length=4, long_texts="end"), {"epochs": 2, "batch_size": 8, **QUICK}
    own = TextClassifier("dense", "words", max_length=4, long_texts="end", **SIZES["dense"])
    plain, named = (kind.of_task(task, "dense", "words", **SIZES["dense"]) for kind in (Model, TextClassifier))
    for model in (own, plain, named):
        model.fit(reviews(40), **how)
    assert (type(plain), type(named)) == (Model, TextClassifier)
    require_same_weights(plain, own)
    require_same_weights(named, own)
    assert named.labels == own.labels == plain.task.labels == ("nö", "yes")
    assert (named.max_length, named.long_texts) == (4, "end")
    texts = [text for text, _ in reviews(6, seed=4)]
    assert plain.predict(texts) == named.predict(texts) == own.predict(texts)
    assert plain.evaluate(reviews(6)) == own.evaluate(reviews(6))


def test_a_language_model_is_a_model_of_its_task():
    how = {"steps": 2, "batch_size": 2, "window_length": 8, **QUICK}
    own, plain = LanguageModel("lstm", "characters", **LSTM), Model(Language(), "lstm", "characters", **LSTM)
    for model in (own, plain):
        model.fit(TEXTS, **how)
    require_same_weights(own, plain)
    assert plain.evaluate(TEXTS) == own.evaluate(TEXTS)


@pytest.mark.parametrize(
    ("make", "network"),
    [
        (lambda **sizes: Model(Classification(), **sizes), "ngrams"),
        (lambda **sizes: Model(Language(), None, **sizes), "transformer"),
        (lambda **sizes: TextClassifier(None, **sizes), "ngrams"),
        (lambda **sizes: LanguageModel(None, **sizes), "transformer"),
    ],
    ids=range(4),
)
def test_without_a_name_it_is_the_tasks_default(make, network):
    assert make(dropout=0.3).network is None
    with pytest.raises(InputError, match=f"unknown size of {network} 'sizes'"):
        make(sizes=3)


def test_no_tokenizer_is_the_one_that_suits():
    """None and "auto" are the same."""
    fitted = []
    for tokenizer in (None, "auto", "words"):
        model = TextClassifier("dense", tokenizer, embedding_dim=3)
        model.fit(reviews(8), validation_fraction=0, epochs=1, **QUICK)
        fitted.append(model.tokenizer.to_json())
    assert fitted[0] == fitted[1] == fitted[2]


@pytest.mark.parametrize("kind", ["lm", "classifier", "model"])
def test_an_untrained_one_becomes_the_same_again(kind):
    """A model of the same arguments, which has learnt nothing of the other's corpus."""
    make = {
        "lm": lambda: LanguageModel("lstm", "characters", vocabulary_size=30, **LSTM),
        "classifier": lambda: classifier("dense", "characters", vocabulary_size=20, max_length=12),
        "model": lambda: Model(Classification(max_length=12), "dense", **SIZES["dense"]),
    }[kind]
    corpus, other = (TEXTS, ["quite other text 123"] * 3) if kind == "lm" else (reviews(20), [("x", "a"), ("y", "b")])
    how = {"validation_fraction": 0, "steps": 2, "batch_size": 4, "seed": 3, **QUICK}
    model, expected = make(), make()
    expected.fit(corpus, **how)
    model.fit(other, **how)
    again = model.untrained()
    assert type(again) is type(model)
    assert again.network is again.tokenizer is None
    assert again.task == make().task != model.task or kind == "lm"
    again.fit(corpus, **how)
    require_same_weights(again, expected)
    assert again.tokenizer.to_json() == expected.tokenizer.to_json() != model.tokenizer.to_json()


def test_a_built_network_cannot_be_made_again():
    tokenizer = new_tokenizer("words").fit(["a b c"])
    network = dense_classifier(tokenizer.vocabulary_size, 2, embedding_dim=2)
    model = Model(Classification(labels=("a", "b")), network, tokenizer)
    assert model.predict("a").label in "ab"
    with pytest.raises(InputError, match="made by a network's name"):
        model.untrained()


class Sureness(keras.metrics.Mean):
    """The mean probability of the likeliest class: it rises as long as training goes on."""

    def update_state(self, targets, logits, sample_weight=None):
        return super().update_state(keras.ops.max(keras.ops.softmax(logits), axis=-1), sample_weight)


@dataclasses.dataclass(frozen=True)
class Surely(Classification):
    """Classification that is also measured by how sure it is."""

    metrics: ClassVar[tuple] = (*Classification.metrics, Metric("sureness", higher_is_better=True))

    def keras_metrics(self, network):
        return [*super().keras_metrics(network), Sureness(name="sureness")]


@dataclasses.dataclass(frozen=True)
class Doubtingly(Surely):
    """The same where doubt is better, and what chooses the best weights."""

    metrics: ClassVar[tuple] = (*Classification.metrics, Metric("sureness", higher_is_better=False))
    monitor: ClassVar[str] = "sureness"


#: a third of the labels are wrong, so that the loss falls and rises, and the share of right answers stays as it is
MISLED = [(text, "yes" if number % 3 == 0 else label) for number, (text, label) in enumerate(reviews(60, seed=6))]


def fitted(task, monitor, **changes):
    model = Model(task, "dense", "words", **SIZES["dense"])
    how = {"epochs": 6, "batch_size": 8, "learning_rate": 0.02, "schedule": "constant", **QUICK, **changes}
    return model, model.fit(reviews(60), MISLED, monitor=monitor, **how)


@pytest.mark.parametrize(
    ("task", "monitor", "best"),
    [
        (Surely(), "val_sureness", -1),
        (Doubtingly(), "val_sureness", 0),
        (Doubtingly(), None, 0),
        (Surely(), "val_loss", 1),
        # all evaluations are equal: the loss decides, and not which was the first
        (Surely(), "val_accuracy", 1),
        (Surely(), None, 1),
    ],
    ids=lambda value: getattr(type(value), "__name__", "") if isinstance(value, Classification) else str(value),
)
def test_any_metric_chooses_the_best_weights_in_its_direction(task, monitor, best):
    model, history = fitted(task, monitor)
    losses, sure, accuracies = ([line[f"val_{name}"] for line in history] for name in ("loss", "sureness", "accuracy"))
    assert sure == sorted(sure)
    assert len(set(accuracies)) == 1
    assert int(np.argmin(losses)) == 1, "else this shows nothing"
    assert len({round(loss, 4) for loss in losses}) == len(losses)
    assert model.evaluate(MISLED)["loss_nats"] == pytest.approx(losses[best], abs=1e-6)


def test_patience_waits_for_the_monitor():
    assert len(fitted(Surely(), "val_sureness", patience=1)[1]) == 6, "it becomes surer every time"
    assert len(fitted(Doubtingly(), "val_sureness", patience=2)[1]) == 3


@pytest.mark.parametrize(
    ("make", "monitor", "known"),
    [
        (classifier, "val_f1", r"val_loss, val_accuracy, val_macro_f1; did you mean 'val_macro_f1'\?$"),
        (classifier, "accuracy", r"val_loss, val_accuracy, val_macro_f1; did you mean 'val_accuracy'\?$"),
        (classifier, "", None),
        (lambda: Model(Surely(), "dense"), "val_doubt", "val_loss, val_accuracy, val_macro_f1, val_sureness$"),
        (lambda: LanguageModel("lstm", "characters", **LSTM), "val_accuracy", "val_loss$"),
    ],
    ids=range(5),
)
def test_an_unknown_monitor_is_refused_before_anything_else(make, monitor, known, tmp_path):
    model = make()
    if known is None:
        assert model.fit(reviews(8), monitor=monitor, steps=1, **QUICK), "nothing named is the task's own"
        return
    with pytest.raises(InputError, match=f"unknown monitor '{monitor}': expected one of {known}"):
        model.fit("no-such-file.csv", monitor=monitor, run_folder=tmp_path / "run")
    assert model.network is None
    assert not list(tmp_path.iterdir())
