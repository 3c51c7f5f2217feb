"""A search for settings in Python: its trials are trainings like any other, and the best one can be had again."""

import csv
import dataclasses
import json
import logging
import types

import pytest

import lmkeras
from lmkeras.corpora import LabelledCorpus
from lmkeras.errors import InputError
from lmkeras.models.trials import Kept, read_once, remembering
from lmkeras.tokenizers.keras_words import Tokenizer
from lmkeras.training.history import History

WORDS = {"good": ["nice", "fine", "great"], "bad": ["ugly", "poor", "sad"]}
ROWS = [(f"it is {word} {number}", label) for label, words in WORDS.items() for word in words for number in range(8)]
HOW = {"steps": 8, "batch_size": 8, "verbose": 0}


def classifier(**sizes):
    return lmkeras.TextClassifier("dense", "words", **{"embedding_dim": 4, **sizes})


@pytest.fixture
def pretended(monkeypatch):
    """Trainings that take no time: the validation accuracy is a function of the settings; gives the models."""
    models = []

    def fit(self, corpus, validation, settings, callbacks, **others):
        models.append(self)
        rate, sizes = settings.learning_rate or 0.05, self._recipe.sizes
        if sizes.get("units") == 3:
            raise InputError("units of 3 are odd")
        value, loss = 1 - rate, rate / 2 + sizes.get("units", 1) / 1000
        for callback in callbacks:
            callback.set_params({"epochs": 5})
            for epoch in range(5):
                callback.on_train_batch_end(0)
                callback.on_epoch_end(epoch, {"val_accuracy": value})
        course = "exploded" if rate > 0.9 else "nothing" if rate > 0.8 else "level"
        history = History([{"val_accuracy": value, "val_loss": loss}], [5])
        history.outcome = types.SimpleNamespace(course=course, update=5, value=value, mean=None)
        return history

    monkeypatch.setattr(lmkeras.TextClassifier, "fit", fit)
    monkeypatch.setattr("gc.collect", lambda: 0)  # there is nothing to collect, and looking for it takes time
    return models


def test_the_best_trial_is_what_its_settings_give_by_hand():
    search = {"learning_rate": (0.001, 0.1), "units": [None, 4]}
    found = lmkeras.tune(classifier(), ROWS, search=search, trials=3, seed=1, monitor="val_loss", **HOW)
    values = []
    for trial in found.trials:
        units = {} if trial.settings["units"] is None else {"units": trial.settings["units"]}
        how = {**HOW, "learning_rate": trial.settings["learning_rate"], "seed": 1, "monitor": "val_loss"}
        values.append(classifier(**units).fit(ROWS, **how).outcome.value)
    assert [trial.value for trial in found.trials] == values
    assert [trial.updates for trial in found.trials] == [8, 8, 8]
    assert found.best_value == min(values)
    assert found.best_settings == found.trials[values.index(min(values))].settings
    again = found.best_model().fit(ROWS, settings=found.best_training(), verbose=0)
    assert again.outcome.value == found.best_value


def test_bad_trials_are_failed_and_the_search_goes_on(pretended, tmp_path):
    search = {"units": [3, 4], "learning_rate": [0.1, 0.85, 0.95]}
    found = lmkeras.tune(classifier(), ROWS, search=search, trials=14, folder=tmp_path, prune=False, verbose=0)
    assert [trial.number for trial in found.trials] == list(range(1, 15))
    for trial in found.trials:
        units, rate = trial.settings["units"], trial.settings["learning_rate"]
        why = "units of 3 are odd" if units == 3 else {0.1: "", 0.85: "no better than a guess"}.get(rate)
        why = "the loss exploded" if why is None else why
        assert trial.why == why
        assert trial.state == ("finished" if units == 4 and rate < 0.9 else "failed")
        assert trial.value == (1 - rate if trial.finished else None)
    assert {trial.why for trial in found.trials} >= {"units of 3 are odd", "the loss exploded", ""}
    assert found.best_settings == {"units": 4, "learning_rate": 0.1}
    assert found.counts().endswith("failed, most often: units of 3 are odd")
    with (tmp_path / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["state"], row["why"], float(row["value"] or -1)) for row in rows] == [
        (trial.state, trial.why, -1 if trial.value is None else trial.value) for trial in found.trials
    ]
    kept = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert kept["settings"] | found.best_settings == kept["settings"]
    assert kept["settings"]["embedding_dim"] == 4
    assert (tmp_path / "tune.png").read_bytes().startswith(b"\x89PNG")


def test_where_all_trials_fail_the_reason_is_said(pretended):
    with pytest.raises(InputError, match="none of 2 trials came to its end; most often: units of 3 are odd"):
        lmkeras.tune(classifier(units=3), ROWS, search={"learning_rate": (0.1, 0.2)}, trials=2, verbose=0)


def test_of_equal_values_the_lower_loss_is_better(pretended):
    found = lmkeras.tune(classifier(), ROWS, search={"units": [9, 5, 7]}, learning_rate=0.1, trials=12, verbose=0)
    assert {trial.settings["units"] for trial in found.trials} == {5, 7, 9}
    assert {trial.value for trial in found.trials} == {0.9}
    assert found.best_settings == {"units": 5}


def test_each_network_gets_the_sizes_that_it_has(pretended):
    search = {"network": ["dense", "cnn", "transformer"], "units": [4, 5], "d_model": [8], "filters": [2]}
    found = lmkeras.tune(classifier(), ROWS, search=search, trials=12, verbose=0)
    has = {"dense": {"units"}, "cnn": {"filters"}, "transformer": {"d_model"}}
    assert {trial.settings["network"] for trial in found.trials} == set(has)
    for trial, model in zip(found.trials, pretended, strict=True):
        network = trial.settings["network"]
        assert set(trial.settings) == {"network"} | has[network]
        fixed = {} if network == "transformer" else {"embedding_dim": 4}
        assert model._recipe.sizes == {**fixed, **{name: trial.settings[name] for name in has[network]}}
    assert " units " in found.table().splitlines()[0]


def test_the_text_is_read_once_and_the_tokenizer_fitted_once(monkeypatch):
    reads, fits, encoded = [], [], []

    def rows():
        reads.append(1)
        return iter(ROWS)

    fit, encode = Tokenizer.fit, Tokenizer.encode_batch
    monkeypatch.setattr(Tokenizer, "fit", lambda self, texts: fits.append(1) or fit(self, texts))
    monkeypatch.setattr(Tokenizer, "encode_batch", lambda self, texts: encoded.extend(texts) or encode(self, texts))
    search = {"learning_rate": (0.01, 0.1)}
    lmkeras.tune(classifier(), LabelledCorpus(rows), ROWS, search=search, trials=2, **{**HOW, "steps": 2})
    assert (len(reads), len(fits)) == (1, 1)
    assert sorted(encoded) == sorted(set(encoded))


def test_a_large_corpus_is_not_kept_in_memory(monkeypatch):
    whole = read_once(LabelledCorpus.from_examples(["ab", "cd"], ["x", "y"]))
    monkeypatch.setattr("lmkeras.models.trials._MOST_CHARACTERS", 5)
    corpus = LabelledCorpus.from_examples(["ab", "cd"], ["x", "y"])
    large = read_once(corpus)
    assert large == Kept(corpus, whole.digest, in_memory=False)
    assert list(whole.corpus) == list(corpus)
    assert whole.in_memory
    assert read_once(LabelledCorpus.from_examples(["ab", "c"], ["d", "y"])).digest != whole.digest


def test_what_is_remembered_is_what_the_tokenizer_gives():
    tokenizer = Tokenizer().fit(["a b", "c"])
    again = remembering(tokenizer)
    texts = ["a b", "c", "a b", "x", ""]
    assert [again.encode_batch(texts), again.encode_batch(texts[::-1])] == [
        tokenizer.encode_batch(texts),
        tokenizer.encode_batch(texts[::-1]),
    ]
    assert again.to_json() == tokenizer.to_json()


def test_it_goes_on_to_more_trials_and_refuses_other_arguments(pretended, tmp_path):
    search = {"learning_rate": "0.01..0.5", "dropout": (0, 0.5)}
    how = {"search": search, "verbose": 0}
    whole = lmkeras.tune(classifier(), ROWS, trials=13, **how)
    lmkeras.tune(classifier(), ROWS, trials=4, folder=tmp_path, **how)
    with pytest.raises(InputError, match="holds a search already"):
        lmkeras.tune(classifier(), ROWS, trials=4, folder=tmp_path, **how)
    found = lmkeras.tune(classifier(), ROWS, trials=13, folder=tmp_path, resume=True, **how)
    assert [trial.settings for trial in found.trials] == [trial.settings for trial in whole.trials]
    assert [trial.state for trial in found.trials] == [trial.state for trial in whole.trials]
    for change, says in (
        ({"batch_size": 8}, "batch_size none there, 8 now"),
        ({"search": {"learning_rate": (0.01, 0.6)}}, "search learning_rate 0.01..0.5:log there, 0.01..0.6:log now"),
        ({"validation": ROWS}, "another text; another validation"),
    ):
        with pytest.raises(InputError) as refused:
            lmkeras.tune(classifier(), ROWS, trials=13, folder=tmp_path, resume=True, **{**how, **change})
        assert says in str(refused.value)
    with pytest.raises(InputError, match="embedding_dim 4 there, 5 now"):
        lmkeras.tune(classifier(embedding_dim=5), ROWS, trials=13, folder=tmp_path, resume=True, **how)
    assert len(lmkeras.tune(classifier(), ROWS, trials=1, folder=tmp_path, overwrite=True, **how).trials) == 1


def test_what_has_a_value_is_not_searched(pretended):
    for fixed, name in (({"learning_rate": 0.1}, "learning_rate"), ({}, "embedding_dim")):
        with pytest.raises(InputError, match=f"{name} has a value and is searched as well"):
            lmkeras.tune(classifier(), ROWS, search={name: [1, 2]}, **fixed)
    found = lmkeras.tune(classifier(), ROWS, trials=1, weight_decay=0.1, verbose=0)
    assert set(found.searched) == {"learning_rate", "batch_size", "dropout"}
    rate = found.searched["learning_rate"]
    assert rate.low * 10 == pytest.approx(rate.high / 10)  # around the network's own


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"validation_fraction": 0}, "trials are compared on a validation part"),
        ({"trials": 0}, "trials must be a whole number, at least 1"),
        ({"minutes_in_total": 0}, "minutes_in_total must be greater than 0"),
        ({"resume": True}, "name that folder too"),
        ({"monitor": "val_f2"}, "unknown monitor"),
        ({"distribute": "multi_worker"}, "a search trains in one process"),
        ({"lerning_rate": 1}, "tune has no argument 'lerning_rate'; did you mean 'learning_rate'?"),
    ],
)
def test_what_cannot_be_done_is_refused(how, says):
    with pytest.raises(InputError) as refused:
        lmkeras.tune(classifier(), ROWS, **how)
    assert says in str(refused.value)


def test_the_time_in_all_is_limited(pretended, capsys):
    found = lmkeras.tune(classifier(), ROWS, minutes_in_total=1e-9, search={"units": [4, 5]})
    assert len(found.trials) == 1  # the first is made in any case
    assert "minutes in total are over" in capsys.readouterr().out


def test_a_best_setting_at_the_end_of_a_wide_range_is_named(pretended):
    search = {"learning_rate": (0.001, 0.1), "units": (4, 400), "dropout": (0.1, 0.2)}
    found = lmkeras.tune(classifier(), ROWS, verbose=0, prune=False, trials=5, search=search)

    def advice(trials=5, **settings):
        trial = dataclasses.replace(found.best, settings={**found.best_settings, **settings})
        return dataclasses.replace(found, trials=(trial,) * trials).advice()

    assert advice(learning_rate=0.01, units=40, dropout=0.1) == ""
    assert advice(learning_rate=0.09, units=40) == "the best learning_rate is at the end of what was searched"
    assert advice(learning_rate=0.01, units=390) == "the best units is at the end of what was searched"
    assert advice(learning_rate=0.00105, units=4).startswith("the best learning_rate and units are at the ends")
    assert advice(trials=4, learning_rate=0.00105, units=4) == ""


def test_it_shows_what_it_found(pretended, tmp_path, caplog):
    search = {"learning_rate": (0.1, 0.2), "dropout": (0, 0.5)}
    found = lmkeras.tune(classifier(), ROWS, search=search, trials=12, verbose=0, prune=False)
    header, *rows = [line.split() for line in found.table(most=3).splitlines()]
    assert header == ["trial", "val_accuracy", "learning_rate", "dropout", "updates", "seconds"]
    best = sorted(found.trials, key=lambda trial: trial.settings["learning_rate"])
    assert [int(row[0]) for row in rows] == [trial.number for trial in best[:3]]
    assert str(found).splitlines()[-1] == "12 trials: 12 finished"
    assert repr(found).startswith(f"Tuning(trials=12, val_accuracy={found.best_value:.4f}, learning_rate=0.1")
    assert found._repr_html_().count("<tr>") == 11
    data = json.loads(json.dumps(found.data()))
    assert (data["best"]["number"], len(data["trials"])) == (found.best.number, 12)
    with caplog.at_level(logging.WARNING):
        found.draw(tmp_path / "图.png")
    assert not caplog.records
    assert (tmp_path / "图.png").read_bytes().startswith(b"\x89PNG")
