"""Text to ids and back: tokenizers by name, and from the JSON that they write."""

import importlib

from lmkeras.archives import parse_json, shortened
from lmkeras.errors import InputError, unknown_name
from lmkeras.tokenizers.base import BaseTokenizer

_MODULES = {
    "Tokenizer": "keras_words",
    "BytePairTokenizer": "byte_pair",
    "WordPieceTokenizer": "word_piece",
    "PublishedTokenizer": "published",
    "RobertaTokenizer": "roberta",
}


def new_tokenizer(name: str, vocabulary_size: int | None = None) -> BaseTokenizer:
    """The unfitted tokenizer of a name.

    Args:
        name: "words" (lower-cased words), "characters", "byte_pair" (sub-words; every text comes back as it was) or
            "word_piece" (BERT's sub-words, lower-cased and without accents).
        vocabulary_size: largest number of ids, id 0 and the id of unknowns included; None for 10_000 words, every
            character, 4096 byte pairs, or 8192 word pieces.

    Returns:
        A tokenizer to call `fit` on.

    Raises:
        InputError: unknown name, or a vocabulary_size too small to hold anything.

    Example:
        >>> new_tokenizer("characters").fit(["abba"]).encode("abc")
        [2, 3, 1]
    """
    builders = {"words": _words, "characters": _characters, "byte_pair": _byte_pair, "word_piece": _word_piece}
    if name not in builders:
        raise unknown_name("tokenizer", name, builders)
    return builders[name](vocabulary_size)


def tokenizer_from_json(text: str) -> BaseTokenizer:
    """The tokenizer, of whichever class, that `to_json` wrote; Keras' own Tokenizer's JSON is read too.

    Args:
        text: JSON object whose "class_name" names the tokenizer's class.

    Raises:
        InputError: the text is not such an object, or what it holds is damaged.

    Example:
        >>> tokenizer = new_tokenizer("words").fit(["to be or not to be"])
        >>> tokenizer_from_json(tokenizer.to_json()).encode("be not")
        [3, 5]
    """
    try:
        found = parse_json(text)
    except ValueError as error:
        raise InputError(f"a tokenizer must be a JSON object, but this is not JSON: {error}") from None
    if not isinstance(found, dict) or "class_name" not in found:
        raise InputError('a tokenizer must be a JSON object with a "class_name", and this is not one')
    if found["class_name"] not in list(_MODULES):  # a list, because a value from JSON may be unhashable
        raise unknown_name("tokenizer class", shortened(found["class_name"]), _MODULES)
    module = importlib.import_module(f"lmkeras.tokenizers.{_MODULES[found['class_name']]}")
    try:
        return getattr(module, found["class_name"]).from_json(text)
    except InputError as error:
        raise InputError(shortened(error)) from None


def _words(vocabulary_size: int | None) -> BaseTokenizer:
    from lmkeras.tokenizers.keras_words import Tokenizer

    num_words = _at_least_one_token(10_000 if vocabulary_size is None else vocabulary_size)
    return Tokenizer(num_words=num_words, oov_token="<OOV>")


def _characters(vocabulary_size: int | None) -> BaseTokenizer:
    from lmkeras.tokenizers.keras_words import Tokenizer

    num_words = _at_least_one_token(vocabulary_size)
    return Tokenizer(num_words=num_words, char_level=True, lower=False, oov_token="<OOV>")


def _byte_pair(vocabulary_size: int | None) -> BaseTokenizer:
    from lmkeras.tokenizers.byte_pair import BytePairTokenizer

    return BytePairTokenizer() if vocabulary_size is None else BytePairTokenizer(vocabulary_size)


def _word_piece(vocabulary_size: int | None) -> BaseTokenizer:
    from lmkeras.tokenizers.word_piece import WordPieceTokenizer

    return WordPieceTokenizer() if vocabulary_size is None else WordPieceTokenizer(vocabulary_size=vocabulary_size)


def _at_least_one_token(vocabulary_size: int | None) -> int | None:
    if vocabulary_size is not None and vocabulary_size < 3:
        raise InputError(f"vocabulary_size must be at least 3 (padding, unknown, one token), not {vocabulary_size}")
    return vocabulary_size
