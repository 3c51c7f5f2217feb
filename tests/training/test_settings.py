import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language
from lmkeras.training.settings import ClassifierFitSettings, FitSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("steps", 0),
        ("batch_size", -1),
        ("window_length", 0),
        ("patience", 0),
        ("patience", "sometimes"),
        ("evaluate_every", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("clip_norm", -1.0),
        ("weight_decay", -0.1),
        ("warmup_steps", -1),
        ("seed", -1),
        ("precision", "bf16"),
        ("xla", True),
        ("schedule", "lienar"),
        ("optimizer", "sgd"),
        ("frozen_groups", -1),
        ("layer_decay", 0.0),
        ("layer_decay", 1.5),
        ("layer_decay", math.nan),
    ],
)
def test_impossible_settings_are_refused_by_name(field, value):
    with pytest.raises(InputError, match=field):
        FitSettings(**{field: value})


@pytest.mark.parametrize(
    ("settings", "steps_per_epoch", "total", "interval"),
    [
        (FitSettings(epochs=3), 50, 150, 30),
        (FitSettings(epochs=20), 50, 1000, 50),
        (FitSettings(steps=7), 50, 7, 2),
        (FitSettings(steps=1000), 50, 1000, 50),
        (FitSettings(steps=1000, evaluate_every=300), 50, 1000, 300),
        (FitSettings(steps=10, evaluate_every=300), 50, 10, 10),
    ],
)
def test_steps(settings, steps_per_epoch, total, interval):
    assert settings.total_steps(steps_per_epoch) == total
    assert settings.steps_between_evaluations(steps_per_epoch) == interval


@pytest.mark.parametrize(
    ("settings", "evaluations"),
    [
        (FitSettings(), 2),  # an evaluation an epoch
        (FitSettings(epochs=4), 3),  # an evaluation in 40 updates, of 50 in an epoch
        (FitSettings(epochs=1), 10),  # five evaluations in all: a text that is read once is not overfitted
        (FitSettings(evaluate_every=5), 20),
        (FitSettings(evaluate_every=200), 2),
        (FitSettings(patience=7), 7),
        (FitSettings(patience="never"), 500),
        (FitSettings(patience=None), 500),
    ],
)
def test_patience_is_two_passes_over_the_text(settings, evaluations):
    assert settings.patience_in_evaluations(50) == evaluations


@pytest.mark.parametrize(
    ("settings", "steps_per_epoch", "evaluations"),
    [
        (FitSettings(steps=150), 1, 50),  # at least 50 updates: two passes over so short a text are two updates
        (FitSettings(steps=150), 10, 5),
        (FitSettings(steps=1000), 10, 20),  # a fifth of the training
        (FitSettings(steps=1000), 300, 3),  # two passes
    ],
)
def test_patience_is_never_less_than_a_fifth_of_the_training_or_fifty_updates(settings, steps_per_epoch, evaluations):
    assert settings.patience_in_evaluations(steps_per_epoch) == evaluations


@pytest.mark.parametrize(
    ("field", "value", "received"),
    [
        ("class_weights", "balancd", "unknown class_weights 'balancd': .* did you mean 'balanced'"),
        ("class_weights", {"ham": 1.0, "spam": -0.5}, "weight of class 'spam' must be 0 or more, got -0.5"),
        ("class_weights", {"ham": math.inf}, "weight of class 'ham' must be 0 or more, got inf"),
        ("class_weights", {"ham": math.nan}, "weight of class 'ham' must be 0 or more, got nan"),
        ("frozen_groups", -1, "frozen_groups must not be negative, got -1"),
        ("layer_decay", 0.0, "layer_decay must be above 0 and at most 1, got 0.0"),
        ("layer_decay", 1.5, "layer_decay must be above 0 and at most 1, got 1.5"),
        ("layer_decay", math.nan, "layer_decay must be above 0 and at most 1, got nan"),
        ("batch_size", 0, "batch_size must be at least 1, got 0"),
        ("optimizer", "sgd", "unknown optimizer 'sgd'"),
    ],
)
def test_impossible_settings_of_a_classifier_say_what_is_wrong(field, value, received):
    with pytest.raises(InputError, match=received):
        ClassifierFitSettings(**{field: value})


@pytest.mark.parametrize(
    ("task", "monitor", "expected"),
    [
        (Language(), None, ("val_loss", False)),
        (Language(), "val_loss", ("val_loss", False)),
        (Classification(), None, ("val_accuracy", True)),
        (Classification(), "val_accuracy", ("val_accuracy", True)),
        (Classification(), "val_loss", ("val_loss", False)),
    ],
)
def test_what_is_monitored_is_a_metric_of_the_task(task, monitor, expected):
    assert task.monitored(task.Settings(monitor=monitor)) == expected


@pytest.mark.parametrize(
    ("task", "monitor", "message"),
    [
        (
            Classification(),
            "accuracy",
            "unknown monitor 'accuracy': expected one of val_loss, val_accuracy, val_macro_f1",
        ),
        (Language(), "val_accuracy", "unknown monitor 'val_accuracy': expected one of val_loss$"),
    ],
)
def test_a_monitor_that_the_task_has_not_is_refused(task, monitor, message):
    with pytest.raises(InputError, match=message):
        task.monitored(task.Settings(monitor=monitor))


counts_of_labels = st.dictionaries(st.text(max_size=3), st.integers(1, 10**6), min_size=2, max_size=6)


@given(counts_of_labels)
def test_balanced_classes_weigh_the_same_and_an_example_weighs_one_on_average(counts):
    weights = ClassifierFitSettings(class_weights="balanced").weights_of(counts)
    totals = [count * weight for count, weight in zip(counts.values(), weights, strict=True)]
    assert totals == pytest.approx([sum(counts.values()) / len(counts)] * len(counts))


def test_a_label_without_examples_can_be_balanced():
    weights = ClassifierFitSettings(class_weights="balanced").weights_of({"ham": 4, "spam": 0})
    assert weights[0] == 0.5
    assert math.isfinite(weights[1])


def test_weights_by_label_come_in_the_order_of_the_labels():
    settings = ClassifierFitSettings(class_weights={"spam": 3.0, "eggs": 0.0})
    assert settings.weights_of({"eggs": 5, "ham": 1, "spam": 2}) == [0.0, 1.0, 3.0]
    assert ClassifierFitSettings().weights_of({"eggs": 5, "ham": 1}) is None
    assert ClassifierFitSettings(class_weights={0.0: 2.0}).weights_of({"0": 5, "1": 1}) == [2.0, 1.0]


def test_weights_of_a_label_that_there_is_not():
    settings = ClassifierFitSettings(class_weights={"span": 3.0})
    with pytest.raises(InputError, match=r"label in class_weights 'span': .* ham, spam; did you mean 'spam'"):
        settings.weights_of({"ham": 1, "spam": 2})
