import dataclasses

import numpy as np
import pytest

from lmkeras import InputError, TextClassifier
from lmkeras.corpora import LabelledCorpus
from lmkeras.datasets import TextLayout
from lmkeras.models.recipe import Recipe
from lmkeras.networks.bodies.dense import dense_classifier
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.tasks.classification import Classification
from lmkeras.tokenizers import new_tokenizer

TEXTS = ["so good, so bad", "déjà vu"]
CORPUS = LabelledCorpus.from_examples(TEXTS, ["a", "b"])


LEARNT = Classification(labels=("a", "b"))


def recipe(network="dense", tokenizer=None, vocabulary_size=None, max_length=None, weights=None, **sizes):
    return Recipe(Classification(max_length), network, tokenizer, vocabulary_size, weights, sizes)


def layout_for(network, fitted, pairs, max_length, long_texts):
    return Classification(max_length, long_texts, pairs=pairs, labels=("a", "b")).layout(network, fitted)


@pytest.mark.parametrize(
    ("network", "tokenizer", "expected"),
    [("dense", None, "words"), ("bert", None, "word_piece"), ("bert", "characters", "characters")],
)
def test_the_tokenizer_is_the_one_named_or_what_suits_the_network(network, tokenizer, expected):
    made, _ = recipe(network, tokenizer).tokenizer_for(CORPUS)
    assert made.to_json() == new_tokenizer(expected).fit(TEXTS).to_json()


def test_a_fitted_tokenizer_stays_what_it_is():
    fitted = new_tokenizer("words").fit(["other words"])
    assert recipe(tokenizer=fitted).tokenizer_for(CORPUS) == (fitted, "")


@pytest.mark.parametrize("tokenizer", ["words", "characters", "byte_pair", "word_piece"])
@pytest.mark.parametrize("network", ["dense", "bert"])
def test_a_network_has_room_for_what_stands_between_pairs(network, tokenizer):
    """Every id of the layout of pairs is one that the embedding has, and none of a text's own."""
    sizes = {"d_model": 8, "num_heads": 2} if network == "bert" else {"embedding_dim": 3}
    size = None if tokenizer == "characters" else 300
    made = recipe(network, tokenizer, size, **sizes)
    fitted, _ = made.tokenizer_for(CORPUS)
    built = made.network_for(Classification(labels=("a", "b", "c")), fitted, seed=0)
    layout = layout_for(built, fitted, True, None, "start")
    assert layout.separator not in [id for text in TEXTS for id in fitted.encode(text)]
    assert (
        layout.separator == built.body.vocabulary_size - 1
        if fitted.special.separator is None
        else layout.separator == fitted.special.separator
    )
    assert built(np.array([[1, layout.separator, 1]])).shape == (1, 3)


def test_the_seed_draws_the_weights():
    made = recipe(embedding_dim=3)
    fitted, _ = made.tokenizer_for(CORPUS)
    first, same, other = (made.network_for(LEARNT, fitted, seed).get_weights()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3


def test_max_length_is_the_networks_where_it_has_one():
    made = recipe("transformer", max_length=7, d_model=4, num_heads=1)
    fitted, _ = made.tokenizer_for(CORPUS)
    task = dataclasses.replace(LEARNT, max_length=7)
    assert made.network_for(task, fitted, 0).body.max_length == 7
    assert recipe(max_length=7, embedding_dim=2).network_for(task, fitted, 0).body.max_length is None


@pytest.mark.parametrize(
    ("limit", "max_length", "expected"), [(None, None, 512), (None, 9, 9), (20, None, 20), (20, 9, 9)]
)
def test_texts_are_as_long_as_the_network_and_the_user_let_them(limit, max_length, expected):
    fitted = new_tokenizer("words").fit(TEXTS)
    network = dense_classifier(fitted.vocabulary_size, 2, embedding_dim=2)
    network.body.max_length = limit
    assert layout_for(network, fitted, False, max_length, "both") == TextLayout(expected, "both")
    network.body.max_length = 20
    with pytest.raises(InputError, match="max_length 21 is more than the network's limit of 20"):
        layout_for(network, fitted, False, 21, "both")


def test_word_pieces_stand_between_their_special_tokens():
    fitted = new_tokenizer("word_piece", 60).fit(TEXTS)
    network = recipe("bert", fitted, d_model=8, num_heads=2).network_for(LEARNT, fitted, 0)
    single = TextLayout(512, first=fitted.special.classification, last=fitted.special.separator)
    assert layout_for(network, fitted, False, None, "start") == single
    pairs = dataclasses.replace(single, separator=fitted.special.separator, token_types=True)
    assert layout_for(network, fitted, True, None, "start") == pairs


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tokenizer": None}, "a built network needs the fitted tokenizer that it belongs to"),
        ({"tokenizer": "words"}, "a built network needs the fitted tokenizer that it belongs to"),
        ({"labels": None}, "needs the fitted tokenizer and the labels"),
        ({"labels": ["a", "b"]}, "expected 3 labels, one for each of the network's classes, got a, b"),
        ({"labels": ["a", "b", "a"]}, "expected 3 labels"),
        ({"labels": [0, 1, 2]}, r"labels must be a list of strings, got \[0, 1, 2\]"),
        ({"labels": "abc"}, "labels must be a list of strings, got 'abc'"),
        ({"vocabulary_size": 9, "units": 3}, "vocabulary_size, units: for a network's name"),
        ({"weights": "folder"}, "weights: for a network's name"),
        ({"tokenizer": new_tokenizer("words").fit(["many more words than the network has"])}, "a vocabulary of 7"),
        ({"pairs": True}, "build the network with a vocabulary of 8"),
        (
            {"network": lstm_language_model(7, 2, 2)},
            "a body that reads whole texts, got one of RecurrentWriter and",
        ),
        ({"max_length": 1}, "max_length must be at least 2"),
    ],
    # not the objects, whose names differ from one test process to another
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_does_not_belong_to_a_built_network_is_refused(arguments, says):
    fitted = new_tokenizer("words").fit(TEXTS)
    assert fitted.vocabulary_size == 7
    given = {"network": dense_classifier(7, 3, embedding_dim=2), "tokenizer": fitted, "labels": ["a", "b", "c"]}
    assert TextClassifier(**given).predict("so").label in "abc"
    with pytest.raises(InputError, match=says):
        TextClassifier(**given | arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"num_layers": 3}, "pretrained weights bring their own num_layers; beside them dropout can be set"),
        ({"tokenizer": "words"}, "pretrained weights bring their own tokenizer"),
        ({"vocabulary_size": 100}, "pretrained weights bring their own tokenizer"),
    ],
    ids=str,
)
def test_what_pretrained_weights_bring_is_not_chosen_again(arguments, says):
    with pytest.raises(InputError, match=says):
        recipe("bert", weights="folder", **arguments)
