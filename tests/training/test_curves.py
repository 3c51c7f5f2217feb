import json

import matplotlib.image
import pytest

from lmkeras.models.text_classifier import TextClassifier
from lmkeras.training import callbacks
from lmkeras.training.curves import curves, draw_curves

#: by accuracy, updates 4 and 6 are equally good, and 6 has the lower loss; by loss, 2 is the best
LINES = [
    {"step": 2, "loss": 2.0, "val_loss": 1.0, "accuracy": 0.4, "val_accuracy": 0.5},
    {"step": 4, "loss": 1.5, "val_loss": 1.6, "accuracy": 0.5, "val_accuracy": 0.75},
    {"step": 6, "loss": 1.0, "val_loss": 1.5, "accuracy": 0.6, "val_accuracy": 0.75},
    {"step": 8, "loss": 0.5, "val_loss": 1.7, "accuracy": 0.7, "val_accuracy": 0.25},
]


def drawn(axes):
    """What the lines of a panel show, by their names in its legend."""
    return {line.get_label(): [list(map(float, xy)) for xy in line.get_data()] for line in axes.lines}


@pytest.mark.parametrize(
    ("monitor", "higher", "update"), [("val_accuracy", True, 6), ("val_loss", False, 2), (None, False, 8)]
)
def test_the_update_is_marked_whose_weights_are_kept(monitor, higher, update):
    figure = curves(LINES, monitor, higher)
    assert len(figure.axes) == 1 + (monitor == "val_accuracy")
    for axes in figure.axes:
        assert drawn(axes)["weights kept"][0] == [update, update]
    assert f"after update {update} of 8" in figure.get_suptitle()


@pytest.mark.parametrize(("accuracy", "kept"), [(0.76, True), (0.75, False), (None, False)])
def test_the_evaluations_are_marked_whose_mean_is_kept(accuracy, kept):
    mean = {"mean_of": 3, "mean_val_loss": 1.6, "mean_val_accuracy": accuracy}
    figure = curves([*LINES[:-1], LINES[-1] | mean], "val_accuracy", True)
    marked = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "--"]
    assert marked == ([4, 6, 8] if kept else [6])
    title = (
        "weights kept: the mean of the last 3 evaluations: val_accuracy 0.76" if kept else "weights kept after update 6"
    )
    assert figure.get_suptitle().startswith(title)


def test_panels_show_the_loss_and_the_metric_that_chose():
    loss, accuracy = curves(LINES, "val_accuracy", True).axes
    assert drawn(loss)["training text"] == [[2, 4, 6, 8], [2.0, 1.5, 1.0, 0.5]]
    assert drawn(loss)["validation text"] == [[2, 4, 6, 8], [1.0, 1.6, 1.5, 1.7]]
    assert drawn(accuracy)["training text"] == [[2, 4, 6, 8], [0.4, 0.5, 0.6, 0.7]]
    assert drawn(accuracy)["validation text"] == [[2, 4, 6, 8], [0.5, 0.75, 0.75, 0.25]]
    assert accuracy.get_ylabel() == "accuracy (higher is better)"


def test_a_value_that_was_not_finite_is_left_out():
    lines = [*LINES[:1], {"step": 4, "loss": None, "val_loss": None, "val_accuracy": 0.5}]
    (axes, _) = curves(lines, "val_accuracy", True).axes
    assert drawn(axes)["training text"] == [[2], [2.0]]
    assert drawn(axes)["weights kept"][0] == [2, 2]


def test_without_validation_there_is_one_curve():
    (axes,) = curves([{"step": 3, "loss": 1.0}], None, False).axes
    assert set(drawn(axes)) == {"training text", "weights kept"}


def test_the_picture_is_written(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    draw_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert matplotlib.image.imread(tmp_path / "curves.png").shape[0] > 100


def test_no_evaluation_no_picture(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("")
    draw_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_a_run_draws_by_its_own_monitor(tmp_path, monkeypatch):
    judges = []
    monkeypatch.setattr(callbacks, "draw_curves", lambda file, picture, *judge: judges.append(judge))
    examples = [("good fine", "yes"), ("bad poor", "no")] * 6
    for options in ({}, {"monitor": "val_loss"}, {"validation_fraction": 0}):
        model = TextClassifier("dense", embedding_dim=2)
        model.fit(examples, steps=2, run_folder=tmp_path, tensorboard=False, verbose=0, **options)
    assert judges == [("val_accuracy", True), ("val_loss", False), ()]
