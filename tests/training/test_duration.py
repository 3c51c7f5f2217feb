"""A training of so many minutes is one of so many updates, whose number is found at the start."""

import itertools
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from lmkeras.errors import InputError
from lmkeras.networks.judged import JudgedByHead
from lmkeras.training import duration
from lmkeras.training.checkpoints import Checkpoints
from lmkeras.training.duration import Speed
from lmkeras.training.settings import ClassifierFitSettings, TrainingSettings
from tests.training.test_fit import fit, tiny

# by a clock that is read once a second: 7 s for measuring 4 updates and 2 batches leave 53 s, enough for 42 updates
# of 1 s and, after every fourth and the last of them, 11 evaluations of 1 s
TOTAL = 42


@pytest.fixture
def seconds(monkeypatch):
    """A clock on which a second passes from one reading to the next."""
    monkeypatch.setattr(duration, "time", SimpleNamespace(monotonic=itertools.count(100.0).__next__))


def same_weights(network, other):
    return all(map(np.array_equal, network.get_weights(), other.get_weights()))


@pytest.mark.parametrize("update", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("evaluation", [0.0, 0.7, 30.0])
@pytest.mark.parametrize("every", [1, 7, 50])
def test_as_many_updates_as_end_in_time(update, evaluation, every):
    total = Speed(update, evaluation, spent=12.0).updates_in(2, lambda updates: every)

    def seconds(updates):
        return 12 + updates * update + -(-updates // every) * evaluation

    assert seconds(total) <= 120 + 1e-6 or total == 1
    assert seconds(total + 1) > 120 - 1e-6


def test_where_no_time_is_left_one_update_is_made():
    assert Speed(0.1, 0.1, spent=61.0).updates_in(1, lambda updates: 1) == 1


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_it_is_the_training_of_so_many_steps_bit_for_bit_and_traced_once(seconds, optimizer, monkeypatch):
    traces, step = [], JudgedByHead.train_step
    monkeypatch.setattr(JudgedByHead, "train_step", lambda self, data: traces.append(1) or step(self, data))
    network, other = tiny(dropout=0.2), tiny(dropout=0.2)
    settings = {"evaluate_every": 4, "optimizer": optimizer}
    history = fit(network, steps=None, minutes=1, **settings)
    assert len(traces) == 1
    assert int(network.optimizer.iterations) == TOTAL
    assert history == fit(other, steps=TOTAL, **settings)
    assert same_weights(network, other)
    assert not same_weights(network, tiny(dropout=0.2))
    assert network.optimizer.get_config()["learning_rate"] == other.optimizer.get_config()["learning_rate"]


def test_without_validation_all_of_the_time_is_for_updates(seconds):
    network = tiny()
    fit(network, validation=False, steps=None, minutes=1)
    assert int(network.optimizer.iterations) == 60 - 5  # the last reading of the clock is a second after 4 updates


class Killed(keras.callbacks.Callback):
    """Ends a training after an update, as a crash would."""

    def __init__(self, update):
        super().__init__()
        self.left = update

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise RuntimeError("killed")


def test_resumed_it_ends_as_it_would_have_ended_whatever_the_speed_is_now(seconds, tmp_path, monkeypatch):
    settings = {"steps": None, "minutes": 1, "checkpoint_every": 1, "tensorboard": False}
    with pytest.raises(RuntimeError, match="killed"):
        fit(tiny(dropout=0.2), run_folder=tmp_path, callbacks=[Killed(10)], **settings)
    monkeypatch.setattr(duration, "measured_speed", None)  # it would fail if it was called
    network, other = tiny(dropout=0.2), tiny(dropout=0.2)
    history = fit(network, run_folder=tmp_path, resume=True, **settings)
    assert history == fit(other, steps=TOTAL)
    assert same_weights(network, other)
    recorded = Checkpoints(tmp_path, 2).newest().facts["made_of"]
    assert (recorded["minutes"], recorded["total"]) == (1, TOTAL)


def test_a_run_of_so_many_minutes_is_not_resumed_as_one_of_other_length(seconds, tmp_path):
    fit(tiny(), run_folder=tmp_path, steps=None, minutes=0.3, tensorboard=False)
    for settings in ({"minutes": 0.4}, {"steps": 12, "minutes": None}):
        with pytest.raises(InputError, match=r"of a training with another (minutes: 0\.3|steps: None) there"):
            fit(tiny(), run_folder=tmp_path, resume=True, tensorboard=False, **{"steps": None, **settings})


@pytest.mark.parametrize(("epochs", "total"), [(1, 5), (4, 20), (8, 40), (100, TOTAL)])
def test_of_epochs_and_minutes_those_decide_that_end_first(seconds, tmp_path, epochs, total):
    network, other = tiny(dropout=0.2), tiny(dropout=0.2)
    limits = {"epochs": epochs, "minutes": 1, "evaluate_every": 4, "tensorboard": False}
    history = fit(network, run_folder=tmp_path, steps=None, an_epoch=5, **limits)
    assert int(network.optimizer.iterations) == total
    assert history == fit(other, steps=total, evaluate_every=4)
    assert same_weights(network, other)
    recorded = Checkpoints(tmp_path, 2).newest().facts["made_of"]
    assert (recorded["epochs"], recorded["minutes"], recorded["total"]) == (epochs, 1, total)


def test_epochs_and_minutes_are_resumed_exactly(seconds, tmp_path, monkeypatch):
    settings = {"steps": None, "epochs": 4, "minutes": 1, "checkpoint_every": 1, "tensorboard": False, "an_epoch": 5}
    with pytest.raises(RuntimeError, match="killed"):
        fit(tiny(dropout=0.2), run_folder=tmp_path, callbacks=[Killed(7)], **settings)
    with pytest.raises(InputError, match="of a training with another epochs: 4 there, 5 now"):
        fit(tiny(), run_folder=tmp_path, resume=True, **{**settings, "epochs": 5})
    monkeypatch.setattr(duration, "measured_speed", None)  # it would fail if it was called
    network, other = tiny(dropout=0.2), tiny(dropout=0.2)
    history = fit(network, run_folder=tmp_path, resume=True, **settings)
    assert history == fit(other, steps=20)
    assert same_weights(network, other)


def test_measuring_takes_no_more_than_a_twentieth_of_the_updates_that_epochs_ask_for(monkeypatch):
    made, end = [], duration._Watch.on_train_batch_end
    monkeypatch.setattr(
        duration._Watch, "on_train_batch_end", lambda self, batch, logs=None: made.append(batch) or end(self, batch)
    )
    fit(tiny(), steps=None, minutes=60, epochs=2, an_epoch=5)
    assert len(made) == 3  # the fewest, of 10 updates
    fit(tiny(), steps=None, minutes=60, epochs=20, an_epoch=5)
    assert len(made) == 3 + 5


def test_minutes_that_are_over_before_training_begins_are_said(seconds, caplog):
    network = tiny()
    fit(network, steps=None, minutes=0.1)
    assert int(network.optimizer.iterations) == 1
    assert "minutes 0.1: compiling and measuring alone took 6 s; one update follows" in caplog.text


@pytest.mark.parametrize(
    "given", [{"steps": 3, "minutes": 1}, {"epochs": 3, "steps": 3}, {"epochs": 10, "steps": 3}, {"minutes": 0}]
)
@pytest.mark.parametrize("settings", [TrainingSettings, ClassifierFitSettings])
def test_lengths_that_contradict_each_other_are_refused(given, settings):
    words = " and ".join(f"{name} {value}" for name, value in given.items())
    message = "minutes must be greater than 0" if "minutes 0" in words else f"^{words}: steps say how long"
    with pytest.raises(InputError, match=message):
        settings(**given)


def test_several_workers_are_not_measured():
    with pytest.raises(InputError, match="give steps or epochs with distribute multi_worker"):
        TrainingSettings(minutes=1, distribute="multi_worker")


def test_the_number_of_updates_is_unknown_before_it_is_measured():
    assert TrainingSettings(minutes=1).total_steps(10) is None


def test_what_is_compiled_once_does_not_count_as_the_time_of_an_update(monkeypatch):
    pauses = [9.0, 3.0, 0.5, 0.4, 0.6, 7.0, 0.5, 0.5, 5.0, 0.5, 0.5, 1.0, 0.25]
    monkeypatch.setattr(duration, "time", SimpleNamespace(monotonic=iter(np.cumsum([0.0, *pauses, 0.0])).__next__))
    watch = duration._Watch(enough=1e9)
    for batch in range(len(pauses)):
        watch.on_train_batch_end(batch)
    steady = [one for one in pauses[3:] if one < 5]
    assert watch.speed(0).update == pytest.approx(np.mean(steady))
