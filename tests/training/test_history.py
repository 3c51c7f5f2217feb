import copy
import json
import pickle

import pytest

from lmkeras.models.language_model import LanguageModel
from lmkeras.training.history import History

LINES = [{"loss": 2.5, "val_loss": 3.0}, {"loss": 1.25, "val_loss": 2.0}]


def history():
    return History(LINES, updates=[4, 8], steps_per_epoch=8)


def test_both_habits():
    assert history() == LINES
    assert history()[1]["val_loss"] == 2.0
    assert history().history == {"loss": [2.5, 1.25], "val_loss": [3.0, 2.0]}
    assert history().epoch == [0.5, 1.0]


def test_json_pickle_and_copies():
    assert json.loads(json.dumps(history())) == LINES
    for again in (pickle.loads(pickle.dumps(history())), copy.deepcopy(history())):
        assert (again, again.updates, again.epoch) == (LINES, [4, 8], [0.5, 1.0])


def test_the_table():
    header, first, second = map(str.split, repr(history()).splitlines())
    assert header == ["updates", "epoch", "loss", "val_loss"]
    assert (first, second) == (["4", "0.50", "2.5000", "3.0000"], ["8", "1.00", "1.2500", "2.0000"])
    assert "<td>1.2500</td>" in history()._repr_html_()


def test_a_long_table_loses_its_middle():
    lines = History([{"loss": float(i)} for i in range(100)], updates=range(1, 101), steps_per_epoch=10)
    shown = [line.split()[0] for line in repr(lines).splitlines()]
    assert shown == ["updates", "1", "2", "3", "4", "5", "6", "…", "96", "97", "98", "99", "100"]


def test_no_evaluation():
    assert repr(History()) == "History of no evaluation"
    assert History().history == {}


@pytest.mark.parametrize("evaluate_every", [1, 2])
def test_fit_gives_one(evaluate_every):
    model = LanguageModel("lstm", "characters", embedding_dim=4, units=4)
    made = model.fit(["abc " * 40], steps=2, window_length=16, evaluate_every=evaluate_every, verbose=0)
    assert isinstance(made, History)
    assert made.updates == list(range(evaluate_every, 3, evaluate_every))
    assert made.history["val_loss"] == [line["val_loss"] for line in made]
