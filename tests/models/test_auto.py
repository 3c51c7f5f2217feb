"""The network auto: chosen for the corpus, and what the user says counts before it."""

import json

import pytest

import lmkeras
from lmkeras.errors import InputError
from lmkeras.models.recipe import Recipe
from lmkeras.tasks.choosing import LabelledAmount, classifier_defaults
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language
from lmkeras.tasks.scaling import TextAmount, language_defaults
from lmkeras.training.settings import ClassifierFitSettings, FitSettings

TEXTS, LABELS = ["so good", "so bad", "good fun", "bad, bad", "good", "bad"] * 4, ["yes", "no"] * 12
CORPUS = ["the cat sat on the mat. " * 40]


def recipe(task=Classification(labels=("a", "b")), network="auto", tokenizer="auto", **others):  # noqa: B008
    others = {"vocabulary_size": None, "weights": None, "sizes": {}, **others}
    return Recipe(task, network, tokenizer, **others)


def test_a_classifier_is_made_for_its_texts():
    model = lmkeras.TextClassifier()
    history = model.fit(TEXTS, LABELS, validation_fraction=0, verbose=0)
    found = classifier_defaults(LabelledAmount.of(TEXTS, labels=2), Classification.auto_networks)
    sizes = model.network.body.get_config()
    assert {name: list(value) if isinstance(value, tuple) else value for name, value in found.sizes.items()} == {
        name: sizes[name] for name in found.sizes
    }
    assert history.updates[-1] == found.settings["epochs"]  # each is one update
    assert model.predict("good").label == "yes"
    again = model.fit(TEXTS, LABELS, validation_fraction=0, verbose=0)  # the same network goes on, for as long
    assert again.updates[-1] == history.updates[-1]
    assert model.untrained()._recipe.network == "auto"


def test_a_language_model_is_made_for_its_text():
    model = lmkeras.LanguageModel()
    model.fit(CORPUS, steps=1, validation_fraction=0, verbose=0)
    found, sizes = language_defaults(TextAmount.of(CORPUS)), model.network.body.get_config()
    assert {name: sizes[name] for name in found.sizes} == found.sizes
    assert model.tokenizer.vocabulary_size <= found.vocabulary_size
    assert [type(model.tokenizer).__name__, found.tokenizer] == ["BytePairTokenizer", "byte_pair"]


def test_what_the_user_says_counts_before_it():
    model = lmkeras.LanguageModel(tokenizer="characters", d_model=8, num_heads=2, num_layers=1, dropout=0.3)
    model.fit(CORPUS, steps=1, validation_fraction=0, verbose=0)
    sizes = model.network.body.get_config()
    assert [sizes[name] for name in ("d_model", "num_heads", "num_layers", "dropout")] == [8, 2, 1, 0.3]
    assert type(model.tokenizer).__name__ == "Tokenizer"
    filled = FitSettings(batch_size=3, minutes=1).filled(
        {"batch_size": 8, "epochs": 4, "minutes": 9, "weight_decay": 0.1}
    )
    assert [filled.batch_size, filled.epochs, filled.minutes, filled.weight_decay] == [3, None, 1, 0.1]
    own = ClassifierFitSettings(optimizer="adam").filled({"learning_rate": 0.3})
    assert own.learning_rate is None, "it is that of another optimizer"
    assert FitSettings(distribute="multi_worker").filled({"minutes": 9, "epochs": 4}).minutes is None
    assert [FitSettings().filled({}).batch_size, FitSettings().filled({}).weight_decay] == [32, 0]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "ngrams"),
        ({"sizes": {"filters": 5}}, "cnn"),
        ({"sizes": {"word_widths": (1,)}}, "ngrams"),
        ({"sizes": {"pooling": "max"}}, "lstm"),
        ({"tokenizer": "words"}, "cnn"),
        ({"tokenizer": "characters"}, "ngrams"),
        ({"network": "dense"}, "dense"),
    ],
)
def test_sizes_and_tokenizer_decide_which_networks_may_be_chosen(given, expected):
    corpus = lmkeras.LabelledCorpus.from_examples(TEXTS, LABELS)
    assert recipe(**given).settled(Classification(labels=("no", "yes")), corpus)[0].network == expected


def test_pretrained_weights_are_those_of_bert():
    assert recipe(weights="folder").network == "bert"


def test_pairs_are_not_for_ngrams():
    corpus = lmkeras.LabelledCorpus.from_examples([("a", "b")] * 4, ["x", "y"] * 2)
    task = Classification(labels=("x", "y"), pairs=True)
    assert recipe(task).settled(task, corpus)[0].network == "cnn"


def test_sizes_that_no_network_has_are_refused_at_once():
    with pytest.raises(InputError, match="d_modle"):
        recipe(sizes={"d_modle": 3})
    with pytest.raises(InputError, match="units"):
        recipe(Language(), sizes={"units": 3})


def test_a_run_goes_on_as_it_was_chosen(tmp_path):
    first, again = (lmkeras.TextClassifier() for _ in range(2))
    first_history = first.fit(TEXTS, LABELS, run_folder=tmp_path / "run", verbose=0)
    history = again.fit(TEXTS, LABELS, run_folder=tmp_path / "run", resume=True, verbose=0)
    assert history == first_history
    assert again.predict("good").probabilities == first.predict("good").probabilities


@pytest.mark.parametrize("with_spaces", [True, False])
@pytest.mark.parametrize("labels", [2, 6, 300])
def test_the_rule_is_bounded(with_spaces, labels):
    buckets = []
    for texts in (10, 500, 5_000, 30_000, 1_000_000):
        found = classifier_defaults(
            LabelledAmount(texts, texts * 200, labels, with_spaces), Classification.auto_networks
        )
        assert found.network == "ngrams"
        assert 2**16 <= found.sizes["buckets"] <= 2**20
        assert found.sizes["buckets"] * labels <= 2**24 or found.sizes["buckets"] == 2**16
        assert 3 <= found.settings["epochs"] <= 20
        buckets.append(found.sizes["buckets"])
    assert buckets == sorted(buckets)
    assert found.reason.startswith("1,000,000 texts of 200 characters")


def test_settings_json_says_how_they_act(tmp_path):
    lmkeras.TextClassifier().fit(["天地玄黄", "宇宙洪荒"] * 8, LABELS[:16], run_folder=tmp_path / "run", verbose=0)
    entries = json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))
    assert [entries["settings"]["network"], entries["settings"]["learning_rate"]] == ["auto", None]
    acting = {name: entries["acting"][name] for name in ("network", "learning_rate", "batch_size", "epochs")}
    assert acting == {"network": "ngrams", "learning_rate": 1.0, "batch_size": 32, "epochs": 20}


def test_learning_again_after_a_search_for_the_rate_is_as_long():
    model = lmkeras.TextClassifier()
    with pytest.raises(InputError, match="begins near its best"):
        model.find_learning_rate(TEXTS, LABELS, steps=10)
    assert model.fit(TEXTS, LABELS, validation_fraction=0, verbose=0).updates[-1] == 20
