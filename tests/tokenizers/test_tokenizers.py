"""Tokenizers by name and by class."""

import json

import pytest

from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer, tokenizer_from_json


def test_names_give_tokenizers_with_their_usual_settings():
    words = new_tokenizer("words").fit(["The cat! the"])
    assert words.num_words == 10_000
    assert words.encode("THE dog, the cat") == [2, 1, 2, 3]
    characters = new_tokenizer("characters").fit(["aA!"])
    assert characters.num_words is None
    assert sorted(characters.encode("!Aab")) == [1, 2, 3, 4]
    assert new_tokenizer("byte_pair").max_vocabulary_size == 4096


@pytest.mark.parametrize("name", ["words", "characters", "byte_pair"])
def test_a_vocabulary_size_bounds_the_vocabulary(name):
    tokenizer = new_tokenizer(name, 260).fit([chr(code) * 2 + " " for code in range(0x4E00, 0x5000)])
    assert tokenizer.vocabulary_size == 260
    with pytest.raises(InputError, match="vocabulary_size must be at least"):
        new_tokenizer(name, 0)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'words'"):
        new_tokenizer("word")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 10**5, "not JSON"),
        ("[]", "class_name"),
        ('"Tokenizer"', "class_name"),
        ("{}", "class_name"),
        (json.dumps({"class_name": "Tokeniser"}), "did you mean 'Tokenizer'"),
        (json.dumps({"class_name": ["Tokenizer"]}), "unknown tokenizer class"),
        (json.dumps({"class_name": "Tokenizer"}), "config"),
        (json.dumps({"class_name": "Tokenizer", "config": []}), "JSON of a Keras Tokenizer"),
        (json.dumps({"class_name": "BytePairTokenizer"}), "version"),
    ],
)
def test_what_is_wrong_with_json_is_said(text, complaint):
    with pytest.raises(InputError, match=complaint):
        tokenizer_from_json(text)
