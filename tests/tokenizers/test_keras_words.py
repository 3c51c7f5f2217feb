"""Tokenizer against tf.keras' own Tokenizer, live."""

import json
import pydoc_data.topics
import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers.keras_words import Tokenizer

PARITY = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "tokenizer_parity.py"))
outputs, differences, TRICKY = PARITY["outputs"], PARITY["differences"], PARITY["TRICKY"]
keras_text = tf.keras.preprocessing.text

strings = st.one_of(st.text(TRICKY, max_size=40), st.text(st.characters(exclude_categories=()), max_size=20))
texts = st.lists(st.one_of(strings, st.lists(strings, max_size=4)), max_size=6)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "num_words": st.one_of(st.none(), st.integers(0, 12)),
        "filters": st.one_of(st.text(TRICKY, max_size=6), st.text(max_size=3)),
        "lower": st.booleans(),
        "split": st.one_of(st.none(), st.text(TRICKY, min_size=1, max_size=3)),
        "char_level": st.booleans(),
        "oov_token": st.one_of(st.none(), st.sampled_from(["<OOV>", "", "a", "ς"])),
        "analyzer": st.sampled_from([None, str.split, lambda text: list(text[::2])]),
    },
)


def fitted_pair(configuration, fit_texts):
    ours, theirs = Tokenizer(**configuration), keras_text.Tokenizer(**configuration)
    ours.fit_on_texts(fit_texts)
    theirs.fit_on_texts(fit_texts)
    return ours, theirs


@pytest.mark.filterwarnings("ignore:an analyzer is code")
@settings(max_examples=300, deadline=None)
@given(configurations, texts, texts)
def test_every_output_is_that_of_keras(configuration, fit_texts, more_texts):
    ours, theirs = fitted_pair(configuration, fit_texts)
    assert differences(outputs(ours, fit_texts + more_texts), outputs(theirs, fit_texts + more_texts)) == []
    for tokenizer in (ours, theirs):
        tokenizer.fit_on_texts(more_texts)
        tokenizer.fit_on_sequences([[1, 2, 2], [], [40]])
    assert differences(outputs(ours, more_texts), outputs(theirs, more_texts)) == []


@settings(max_examples=100, deadline=None)
@given(configurations.filter(lambda configuration: not configuration.get("analyzer")), texts, texts)
def test_json_is_read_by_keras_and_read_from_keras(configuration, fit_texts, more_texts):
    ours, theirs = fitted_pair(configuration, fit_texts)
    expected = outputs(theirs, more_texts)
    assert differences(outputs(keras_text.tokenizer_from_json(ours.to_json()), more_texts), expected) == []
    read = Tokenizer.from_json(theirs.to_json())
    assert differences(outputs(read, more_texts), expected) == []
    again = fitted_pair(configuration, fit_texts)[1]
    for tokenizer in (read, again):
        tokenizer.fit_on_texts(more_texts)  # which Keras' own cannot after reading, so compare with one never written
    assert differences(outputs(read, more_texts), outputs(again, more_texts)) == []


@pytest.mark.parametrize(
    "configuration",
    [{}, {"num_words": 500, "oov_token": "<OOV>"}, {"char_level": True}, {"split": "e", "filters": "t"}],
)
def test_every_output_is_that_of_keras_on_the_python_manual(configuration):
    manual = list(pydoc_data.topics.topics.values())
    ours, theirs = fitted_pair(configuration, manual[:60])
    assert len(ours.word_index) > 70
    assert differences(outputs(ours, manual[50:70]), outputs(theirs, manual[50:70])) == []


def test_generators_are_lazy_and_give_what_the_lists_give():
    tokenizer = Tokenizer().fit(["a b", "c"])

    def endless():
        while True:
            yield "c a"

    assert next(tokenizer.texts_to_sequences_generator(endless())) == tokenizer.texts_to_sequences(["c a"])[0]
    assert next(tokenizer.sequences_to_texts_generator([3, 1] for _ in endless())) == "c a"


def test_vocabulary_size_bounds_the_ids_where_an_oov_token_is_also_a_word_or_above_num_words():
    doubled = Tokenizer(oov_token="a").fit([["b", "a"], ["a", "b"], ["b"]])
    assert doubled.encode(["b", "x"]) == [2, 3]
    assert doubled.vocabulary_size == 4
    squeezed = Tokenizer(num_words=1, oov_token="<OOV>").fit(["a b"])
    assert squeezed.encode("a") == [1]
    assert squeezed.vocabulary_size == 2


def test_decode_skips_padding_and_joins_characters_by_nothing():
    words = Tokenizer(oov_token="<OOV>").fit(["to be or not to be"])
    assert words.decode([0, *words.encode("to be"), 0, 99, 0]) == "to be <OOV>"
    characters = Tokenizer(char_level=True, lower=False).fit(["Ab"])
    assert characters.decode(np.array([0, *characters.encode("bA b"), 99])) == "bAb"


def test_former_keyword_arguments():
    with pytest.warns(UserWarning, match="num_words"):
        assert Tokenizer(nb_words=7).num_words == 7
    assert Tokenizer(document_count=3).fit(["a"]).document_count == 4
    with pytest.raises(TypeError):
        Tokenizer(words=7)


def test_an_analyzer_is_announced_as_missing_from_json():
    with pytest.warns(UserWarning, match="set it again"):
        Tokenizer(analyzer=str.split).fit(["a"]).to_json()


@pytest.mark.parametrize(
    ("misuse", "advice"),
    [
        (lambda: Tokenizer(num_words=-1), "give None"),
        (lambda: Tokenizer(split="").fit(["a b"]), "char_level=True"),
        (lambda: Tokenizer().encode("a"), "call fit"),
        (lambda: Tokenizer(oov_token="?").decode([1]), "call fit"),
        (lambda: Tokenizer().texts_to_matrix(["a"]), "call fit"),
        (lambda: Tokenizer().in_graph(), "call fit"),
        (lambda: Tokenizer(analyzer=str.split).fit(["a"]).in_graph(), "analyzer"),
        (lambda: Tokenizer(num_words=3).sequences_to_matrix([[1]], "tfidf"), "fit_on_sequences"),
        (lambda: Tokenizer(num_words=3).sequences_to_matrix([], "binery"), "did you mean 'binary'"),
    ],
)
def test_misuse_is_answered_with_advice(misuse, advice):
    with pytest.raises(InputError, match=advice):
        misuse()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_words", "5"),
        ("lower", 1),
        ("char_level", None),
        ("word_index", {"a": 1}),
        ("word_index", '{"a": -1}'),
        ("word_index", '{"a": "1"}'),
        ("word_index", '{"a": 3000000000}'),
        ("index_word", '{"x": "a"}'),
        ("index_word", '["a"]'),
        ("word_counts", "{"),
        ("analyzer", "os.system"),
    ],
)
def test_damaged_json_is_named(name, value):
    saved = json.loads(Tokenizer().fit(["a"]).to_json())
    saved["config"][name] = value
    with pytest.raises(InputError, match="JSON of a Keras Tokenizer"):
        Tokenizer.from_json(json.dumps(saved))
    del saved["config"][name]
    if name != "analyzer":
        with pytest.raises(InputError, match=name):
            Tokenizer.from_json(json.dumps(saved))
