"""Tokenizer: Keras' legacy word and character tokenizer, under the contract of every tokenizer here."""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from lmkeras.archives import parse_json, shortened
from lmkeras.errors import InputError
from lmkeras.tokenizers.base import BaseTokenizer, EncodedText
from lmkeras.tokenizers.keras_legacy import SETTINGS, TABLES, KerasTokenizer, Text
from lmkeras.tokenizers.special import SpecialIds
from lmkeras.tokenizers.word_splitter import lowered_with_origins

if TYPE_CHECKING:
    import tensorflow as tf

_MOST_GAPS = 1_000_000  # how far the largest id in a JSON may exceed the number of ids there


class Tokenizer(KerasTokenizer, BaseTokenizer):
    """Words (or characters) as ids by frequency: Keras' Tokenizer, its arguments and all of its interface.

    Args: those of `KerasTokenizer`. An `analyzer` is code: it is not written to JSON and has no in-graph twin.

    Example:
        >>> tokenizer = Tokenizer(oov_token="<OOV>").fit(["The cat sat.", "The dog!"])
        >>> tokenizer.encode("the dog ran")
        [2, 5, 1]
        >>> tokenizer.decode([2, 5, 1, 0])
        'the dog <OOV>'
    """

    @property
    def spells_text(self) -> bool:
        """True at character level, if texts are not lower-cased and an oov_token stands for unknown characters."""
        return self.char_level and not self.lower and self.analyzer is None and self.oov_token is not None

    @property
    def vocabulary_size(self) -> int:
        """Number of ids that can come out, id 0 included; 1 before fit."""
        size = 1 + max(self.index_word, default=0)
        # num_words bounds the ids of words, but `encode` gives the oov_token's id even where it is above that bound
        return max(min(size, self.num_words or size), 1 + (self.unknown_id or 0))

    @property
    def special(self) -> SpecialIds:
        """Id 0 pads, starts and ends texts; the oov_token's id stands for unknown words."""
        return SpecialIds(padding=0, start=0, ends=(0,), unknown=self.unknown_id)

    def _facts(self):
        tokens = "characters" if self.char_level else "words"
        return {"tokens": tokens, **super()._facts(), "fitted_on_texts": self.document_count or None}

    def fit(self, texts: Iterable[Text]) -> "Tokenizer":
        """Counts the words of one pass over `texts` and numbers them by frequency; returns self."""
        self.fit_on_texts(texts)
        return self

    def encode(self, text: Text) -> list[int]:
        """The ids of a text's words; a word without an id becomes unknown_id, or is dropped where there is none."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[Text]) -> list[list[int]]:
        """The ids of each text, as `encode` gives them."""
        self.require_vocabulary()
        return self.texts_to_sequences(texts)

    def encode_batch_with_offsets(self, texts: Sequence[Text]) -> list[EncodedText]:
        """The ids of each text and their offsets.

        The offsets of a word span the characters from which it was cut, in the text before lower-casing. With
        `split=None` they include filtered characters inside the word. Words without an id are left out as in `encode`.

        Raises:
            InputError: before fit, where an analyzer cuts words out, and for a text that is a list of tokens.
        """
        self.require_vocabulary()
        if self.analyzer is not None and not self.char_level:
            raise InputError("an analyzer does not say where its words stand: use lower, filters and split for offsets")
        if not all(isinstance(text, str) for text in texts):
            raise InputError("a list of tokens has no offsets: give the text that the tokens were cut from")
        numbers = self._numberer()
        return [self._encoded_with_offsets(text, numbers) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The words of ids, joined by one space (by nothing at character level); id 0 is skipped."""
        words = self._words(id for id in ids if id != 0)
        return ("" if self.char_level else " ").join(words)

    def _encoded_with_offsets(self, text: str, numbers: Callable[[Iterable[str]], list[int]]) -> EncodedText:
        lowered, origins = lowered_with_origins(text) if self.lower else (text, range(len(text)))
        if self.char_level:
            words, spans = lowered, [(place, place + 1) for place in range(len(lowered))]
        else:
            words, spans = self._splitter().split_with_spans(lowered)
        ids = numbers(words)
        if len(ids) < len(words):  # some words have no id and are left out
            spans = [span for word, span in zip(words, spans, strict=True) if numbers([word])]
        return EncodedText(ids, [(origins[start], origins[end - 1] + 1) for start, end in spans])

    def to_json(self, **kwargs) -> str:
        """The whole tokenizer as JSON that Keras' tokenizer_from_json reads too; `kwargs` go to json.dumps."""
        if self.analyzer is not None:
            warnings.warn("an analyzer is code and is not written to JSON: set it again after reading", stacklevel=2)
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **kwargs)

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """The tokenizer that `to_json`, here or in Keras, wrote; InputError where the text is not such JSON."""
        config, tables = _read_json(text)
        tokenizer = cls(**config)
        for name, table in tables.items():
            setattr(tokenizer, name, type(getattr(tokenizer, name))(table))
        return tokenizer

    def in_graph(self) -> "tf.Module":
        """The TensorFlow twin; InputError before fit, and where an analyzer would have to run."""
        from lmkeras.tokenizers.in_graph.keras_words import InGraphCharacters, InGraphWords, WordTable

        self.require_vocabulary()
        if self.analyzer is not None:
            raise InputError("a Tokenizer with an analyzer cannot run in TensorFlow: use lower, filters and split")
        limit = self.num_words or 2**31
        table = WordTable(
            ids={word: id for word, id in self.word_index.items() if id < limit},
            unknown_id=self.unknown_id,
            words={id: word for id, word in self.index_word.items() if 0 < id < limit},
            unknown=self.index_word.get(self.unknown_id),
        )
        if self.char_level:
            return InGraphCharacters(table, self.lower)
        return InGraphWords(table, lower=self.lower, filters=self.filters, split=self.split)


def _read_json(text: str) -> tuple[dict, dict[str, dict]]:
    """The settings and the tables that a tokenizer's JSON holds; InputError where one is missing or of a wrong type."""
    try:
        config = parse_json(text)["config"]
        settings = {name: config[name] for name in SETTINGS}
        tables = {name: parse_json(config[name]) for name in TABLES}
        tables = {name: {key(k): value for k, value in tables[name].items()} for name, (key, _) in TABLES.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"not the JSON of a Keras Tokenizer ({type(error).__name__}: {shortened(error)})") from None
    surplus = config.keys() - SETTINGS.keys() - TABLES.keys()
    wrong = [name for name, types in SETTINGS.items() if type(settings[name]) not in types]
    wrong += [
        name for name, (_, kind) in TABLES.items() if any(type(value) is not kind for value in tables[name].values())
    ]
    if isinstance(settings["filters"], list) and not all(isinstance(text, str) for text in settings["filters"]):
        wrong.append("filters")
    if surplus or wrong:
        unexpected = shortened(", ".join(sorted(surplus) + wrong))
        raise InputError(f"damaged JSON of a Keras Tokenizer: unexpected {unexpected}")
    ids = [*tables["word_index"].values(), *tables["index_word"]]
    # An embedding has as many rows as the largest id says, so a damaged id must not ask for billions of them. Gaps
    # between ids are allowed, because users edit these tables by hand.
    if ids and not 0 <= min(ids) <= max(ids) <= len(ids) + _MOST_GAPS:
        raise InputError("damaged JSON of a Keras Tokenizer: word_index and index_word hold ids beyond their number")
    return settings, tables
