"""The study of a search: it goes on after any end as if it had never stopped."""

import contextlib
import logging
import math
import sqlite3
import sys

import optuna
import pytest

import lmkeras
from lmkeras.errors import InputError
from lmkeras.models.search_space import Choices, Range
from lmkeras.models.studies import Study, TrialResult, alone_in, imported_optuna, study_folder
from lmkeras.models.trials import Hopeless, Watch
from lmkeras.tasks.data import Metric

SPACE = {"rate": Range(1e-4, 0.1, log=True), "units": Range(8, 64), "network": Choices(("cnn", "dense"))}
FACTS = {"units": 8, "text": "abc", "search rate": "0..1"}


def study_in(folder, facts=FACTS, **how):
    return Study(folder, facts, **{"higher_is_better": True, "seed": 3, "prune": True, **how})


def make(study, count, ended="told"):
    """Makes trials as a search does; the last one ends in the way that is asked for."""
    for left in range(count - 1, -1, -1):
        number = len(study.results) + 1
        trial = study.ask(number)
        chosen = {name: values.suggest(trial, name) for name, values in SPACE.items()}
        value = -abs(chosen["rate"] - 0.01) - 0.01 * (chosen["network"] == "cnn")
        state = "failed" if number % 5 == 0 else "finished"
        value = None if state == "failed" else value
        result = TrialResult(number, state, value, settings=chosen, updates=4, seconds=1.0, loss=value)
        if left or ended == "told":
            study.tell(trial, result)
        elif ended == "forgotten":
            study.forget(trial)
        elif ended == "killed with its result":
            study._tell = lambda *_: None
            study.tell(trial, result)


def settings_of(study):
    return [dict(result.settings) for result in study.results]


@pytest.mark.parametrize(
    ("ended", "kept"), [("told", 13), ("forgotten", 12), ("killed", 12), ("killed with its result", 13)]
)
def test_it_goes_on_as_if_it_had_never_stopped(tmp_path, ended, kept):
    whole = study_in(None)
    make(whole, 16)
    make(study_in(tmp_path), 13, ended)
    again = study_in(tmp_path)
    assert len(again.results) == kept
    make(again, 16 - kept)
    assert settings_of(again) == settings_of(whole)
    assert [result.state for result in again.results] == [result.state for result in whole.results]
    assert len({str(settings) for settings in settings_of(whole)}) == 16


def test_another_seed_suggests_other_values():
    one, other = study_in(None), study_in(None, seed=4)
    for study in (one, other):
        make(study, 3)
    assert settings_of(one) != settings_of(other)


def test_the_sampler_learns_from_what_it_saw():
    """Its last suggestions are nearer to the best value than the first ten, which are random."""
    for seed in range(3):
        study, values = study_in(None, seed=seed), []
        for number in range(1, 31):
            trial = study.ask(number)
            values.append(-abs(math.log10(SPACE["rate"].suggest(trial, "rate")) + 3))
            done = {"settings": {}, "updates": 1, "seconds": 1.0, "loss": 1.0}
            study.tell(trial, TrialResult(number, "finished", values[-1], **done))
        assert sum(values[20:]) > sum(values[:10])


def test_other_arguments_are_refused_by_name(tmp_path):
    study_in(tmp_path)
    study_in(tmp_path)
    with pytest.raises(InputError) as refused:
        study_in(tmp_path, {"units": 9, "text": "abd", "search rate": "0..1", "more": None})
    assert "units 8 there, 9 now; another text" in str(refused.value)
    assert "rate" not in str(refused.value)


def test_what_is_no_study_is_refused(tmp_path):
    (tmp_path / "study.db").write_text("nothing of the kind " * 100)
    with pytest.raises(InputError, match=r"study\.db is not the file of a search, or damaged"):
        study_in(tmp_path)


def test_any_folder_can_hold_it_and_other_programs_can_read_it(tmp_path):
    folder = study_folder(tmp_path / "搜索 a?b%20#c", overwrite=False, resume=False)
    make(study_in(folder), 2)
    with contextlib.closing(sqlite3.connect(folder / "study.db")) as file:
        assert file.execute("select count(*) from trials where state = 'COMPLETE'").fetchone() == (2,)


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "config.json").touch()
    with pytest.raises(InputError, match="holds a model"):
        study_folder(tmp_path, overwrite=True, resume=False)
    (tmp_path / "config.json").unlink()
    (tmp_path / "trials.csv").touch()
    with pytest.raises(InputError, match=r"holds trials\.csv already"):
        study_folder(tmp_path, overwrite=False, resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        study_folder(tmp_path / "file", overwrite=False, resume=False)
    with pytest.raises(InputError, match="say one of them"):
        study_folder(tmp_path, overwrite=True, resume=True)


def test_two_searches_do_not_share_a_folder(tmp_path):
    with alone_in(tmp_path), pytest.raises(InputError, match="another process searches"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path), alone_in(None):
        pass


def test_optunas_log_is_left_out_and_left_as_it_was(capsys):
    optuna.logging.set_verbosity(logging.INFO)
    study = study_in(None)
    make(study, 2)
    assert capsys.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == logging.INFO


def test_without_optuna_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'lmkeras\[tune\]'"):
        imported_optuna()
    with pytest.raises(InputError, match="needs Optuna"):
        lmkeras.tune(lmkeras.TextClassifier("dense"), [("a", "b")])


def watch(study, higher=True, epochs=5):
    trial = study.ask(1 + len(study.results))
    callback = Watch(trial, Metric("val_f1", higher))
    callback.set_params({"epochs": epochs})
    return trial, callback


@pytest.mark.parametrize("higher", [True, False])
def test_a_trial_worse_than_the_median_is_ended_but_not_at_once(higher):
    study = study_in(None, higher_is_better=higher)
    sign = 1 if higher else -1
    for number in range(1, 6):
        trial, callback = watch(study, higher)
        for epoch in range(5):
            callback.on_epoch_end(epoch, {"val_f1": sign * (number + epoch)})
        value = callback.best
        assert value == sign * (number + 4)
        study.tell(trial, TrialResult(number, "finished", value, settings={}, updates=5, seconds=1.0, loss=1.0))
    _, callback = watch(study, higher)
    callback.on_epoch_end(0, {"val_f1": sign * 0.5})  # the learning rate is still at its highest
    with pytest.raises(Hopeless):
        callback.on_epoch_end(1, {"val_f1": sign * 3.9})  # the median of 2, 3, 4, 5, 6 is 4
    _, callback = watch(study, higher)
    for epoch, value in enumerate((0.5, 4.1, 4.0, float("nan"), 0)):  # the best so far counts; the end is never cut off
        if epoch != 2:
            callback.on_epoch_end(epoch, {"val_f1": sign * value})


def test_trials_of_other_lengths_are_compared_by_tenths_of_their_training():
    study = study_in(None)
    trial, callback = watch(study, epochs=33)
    for epoch in range(33):
        callback.on_train_batch_end(0)
        callback.on_epoch_end(epoch, {"val_f1": epoch})
    # the first evaluation in or after each tenth: of 33 evaluations the 4th, 7th, 10th, 14th …
    assert trial.storage.get_trial(trial._trial_id).intermediate_values == {
        tenth: float(-(-33 * tenth // 10) - 1) for tenth in range(1, 10)
    }
    assert callback.updates == 33


def test_without_pruning_nothing_is_ended():
    study = study_in(None, prune=False)
    for value in (9, 9, 9, 9, 9, 9, 0):
        trial, callback = watch(study)
        for epoch in range(5):
            callback.on_epoch_end(epoch, {"val_f1": value})
        study.tell(trial, TrialResult(1, "finished", value, settings={}, updates=5, seconds=1.0, loss=1.0))
