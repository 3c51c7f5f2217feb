"""What a training came to, told from its evaluations: each course is one that a person would call so."""

import pytest

from lmkeras.training.outcome import MeanWeights, mean_is_kept, outcome_of, place_of_best
from lmkeras.training.settings import TrainingSettings


def outcome(losses, val_losses=None, settings=None, guess=None, **metrics):
    """Of a training with an evaluation after each epoch of ten updates."""
    names = {"loss": losses, **({} if val_losses is None else {"val_loss": val_losses}), **metrics}
    lines = [dict(zip(names, values, strict=True)) for values in zip(*names.values(), strict=True)]
    best = ("val_accuracy", True) if "val_accuracy" in metrics else ("val_loss", False)
    updates = [10 * (place + 1) for place in range(len(lines))]
    settings = settings or TrainingSettings(epochs=len(lines))
    return outcome_of(lines, updates, steps_per_epoch=10, settings=settings, best=best, guess=guess)


def test_a_training_that_overfits():
    told = outcome([3, 2, 1, 0.5, 0.1], [3, 2.5, 2.4, 2.6, 2.9], TrainingSettings(epochs=10))
    assert (told.update, told.epoch, told.monitor, told.value) == (30, 3.0, "val_loss", 2.4)
    assert (told.course, told.worse_for, told.stopped_early) == ("overfitted", 20, True)
    assert "more dropout" in told.advice
    assert "epochs 3 " in told.advice
    assert dict(told.lines())["course"] == (
        "overfitted in the 20 updates after it: val_loss rose while the loss on the training text fell; stopped early"
    )


def test_a_training_that_still_improves():
    told = outcome([3, 2, 1.5, 1.2, 1], [3, 2.1, 1.6, 1.4, 1.3])
    assert (told.course, told.update, told.stopped_early) == ("improving", 50, False)
    assert told.advice.startswith("epochs 10")
    assert outcome([3, 2], [3, 2], TrainingSettings(steps=20)).advice.startswith("steps 40")
    assert outcome([3, 2], [3, 2], TrainingSettings()).advice.startswith("epochs 20")
    assert outcome([3, 2], [3, 2], TrainingSettings(minutes=1.5)).advice.startswith("minutes 3")


@pytest.mark.parametrize(("epochs", "advice"), [(2, "epochs 4"), (3, "minutes 3")])
def test_the_advice_is_to_lengthen_what_ended_the_training(epochs, advice):
    told = outcome([3, 2], [3, 2], TrainingSettings(epochs=epochs, minutes=1.5))  # after two epochs
    assert told.advice.startswith(advice)


def test_a_training_whose_loss_falls_before_its_accuracy_rises_still_improves():
    told = outcome([2.2, 2.1, 2.05], [2.1, 2.07, 2.02], val_accuracy=[0.23, 0.25, 0.25])
    assert told.course == "improving"
    assert told.advice.startswith("epochs 6")
    assert dict(told.lines())["course"] == "val_accuracy or val_loss still got better at the end"


@pytest.mark.parametrize("val_losses", [[3, 2, 1.5, 1.5, 1.4999], [3, 2, 1.5, 1.501, 1.502]])
def test_a_training_that_has_levelled_off(val_losses):
    told = outcome([3, 2, 1.5, 1.5, 1.5], val_losses)
    assert told.course == "level"
    assert "longer training alone would hardly help" in told.advice


@pytest.mark.parametrize(
    ("val_losses", "val_accuracy"),
    [
        ([0.659, 0.65, 0.64, 0.63, 0.622], [0.6, 0.7, 0.8, 0.8, 0.8]),  # one pass over few texts
        ([0.7, 0.69], [0.5, 0.5]),
        ([0.7], [0.5]),  # nothing says that it has levelled off
    ],
)
def test_what_has_hardly_begun_is_told_to_go_on(val_losses, val_accuracy):
    told = outcome(val_losses, val_losses, val_accuracy=val_accuracy)
    assert (told.course, "longer training would still help" in told.advice) == ("improving", True)


def test_what_is_no_number_is_never_the_best():
    lines = [{"val_accuracy": float("nan"), "val_loss": float("nan")}, {"val_accuracy": 0.1, "val_loss": 9.0}]
    assert place_of_best(lines, "val_accuracy", higher_is_better=True) == 1
    assert place_of_best(lines[::-1], "val_loss", higher_is_better=False) == 0


def test_accuracy_chooses_and_the_loss_says_whether_it_overfitted():
    told = outcome([1, 0.5, 0.2], [0.9, 0.7, 0.95], val_accuracy=[0.5, 0.8, 0.79])
    assert (told.update, told.value, told.course) == (20, 0.8, "overfitted")
    assert outcome([1, 0.5, 0.2], [0.9, 0.7, 0.5], val_accuracy=[0.5, 0.8, 1.0]).advice.startswith("a larger or harder")


def test_of_equal_evaluations_the_first_of_the_lowest_loss_is_kept():
    lines = [{"val_accuracy": 0.5, "val_loss": 1.0}, {"val_accuracy": 0.8, "val_loss": 0.9}]
    lines += [{"val_accuracy": 0.8, "val_loss": 0.7}, {"val_accuracy": 0.8, "val_loss": 0.7}]
    assert place_of_best(lines, "val_accuracy", higher_is_better=True) == 2
    assert place_of_best(lines, "val_loss", higher_is_better=False) == 2


@pytest.mark.parametrize(
    ("losses", "guess", "exploded"),
    [
        ([3, 90], None, True),  # it rose
        ([2e18, 1e18], {"loss": 0.7}, True),  # it was beyond any guess from the first evaluation on
        ([9, 8.5], {"loss": 0.7}, True),
        ([7, 6], {"loss": 0.7}, False),
        ([3, 4], None, False),
        ([0.5, 0.6], {"loss": 0.01}, True),  # by the loss on the validation part
    ],
)
def test_a_loss_that_explodes(losses, guess, exploded):
    told = outcome(losses, [1, 2], guess=guess)
    assert (told.course == "exploded") == exploded
    assert ("lower learning rate" in told.advice) == exploded


def test_without_validation_the_last_weights_are_kept():
    told = outcome([3, 2, 1])
    assert (told.update, told.monitor, told.value) == (30, None, 1)
    assert dict(told.lines())["kept"] == "the weights of update 30 (epoch 3), the last ones; loss 1"
    assert "a validation part" in told.advice


@pytest.mark.parametrize(
    ("mean", "kept"),
    [
        ({"mean_val_accuracy": 0.9, "mean_val_loss": 2.0}, True),
        ({"mean_val_accuracy": 0.8, "mean_val_loss": 0.6}, True),
        ({"mean_val_accuracy": 0.8, "mean_val_loss": 0.7}, True),  # not worse
        ({"mean_val_accuracy": 0.8, "mean_val_loss": 0.8}, False),
        ({"mean_val_accuracy": 0.7, "mean_val_loss": 0.1}, False),
        ({"mean_val_accuracy": float("nan"), "mean_val_loss": 0.1}, False),
    ],
)
def test_a_mean_of_the_last_weights(mean, kept):
    lines = [{"loss": 1, "val_accuracy": 0.5, "val_loss": 1.0}, {"loss": 1, "val_accuracy": 0.8, "val_loss": 0.7}]
    lines.append({"loss": 0.5, "val_accuracy": 0.6, "val_loss": 0.9, "mean_of": 2, **mean})
    assert mean_is_kept(lines, "val_accuracy", True) == kept
    told = outcome_of(
        lines, [10, 20, 30], steps_per_epoch=10, settings=TrainingSettings(epochs=3), best=("val_accuracy", True)
    )
    value = mean["mean_val_accuracy"]
    if kept:
        assert told.mean == MeanWeights(2, kept=True, value=value, best=0.8)
        assert (told.update, told.value, told.worse_for) == (30, value, 0)
        assert dict(told.lines())["kept"] == (
            f"the mean of the weights of the last 2 evaluations: val_accuracy {value:g} instead of 0.8"
        )
    else:
        assert not told.mean.kept
        assert (told.update, told.value, told.worse_for) == (20, 0.8, 10)
        assert dict(told.lines())["kept"] == (
            "the weights of update 20 (epoch 2), the best: val_accuracy 0.8; "
            f"the mean of the last 2 evaluations is worse: {value:g}"
        )


def test_a_mean_without_validation():
    lines = [{"loss": 3.0}, {"loss": 2.0, "mean_of": 2}]
    told = outcome_of(
        lines, [10, 20], steps_per_epoch=10, settings=TrainingSettings(epochs=2), best=("val_loss", False)
    )
    assert told.mean == MeanWeights(2, kept=True, value=None, best=None)
    assert dict(told.lines())["kept"] == "the mean of the weights of the last 2 evaluations; loss 2"
