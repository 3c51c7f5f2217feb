"""KerasTokenizer: the interface of Keras' legacy Tokenizer, result for result."""

import functools
import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING

from lmkeras.errors import InputError, unknown_name
from lmkeras.tokenizers.base import in_blocks
from lmkeras.tokenizers.word_splitter import WordSplitter

if TYPE_CHECKING:
    import numpy as np

Text = str | list[str]
# Texts are cut into words in blocks of so many characters: few enough that the words of a block are still in the
# processor's cache when they are counted.
BLOCK_CHARACTERS = 2**14

# What its JSON holds, in Keras' order: the types of the settings, and of the keys and values of the tables.
SETTINGS = {
    "num_words": (int, type(None)),
    "filters": (str, list),
    "lower": (bool,),
    "split": (str, type(None)),
    "char_level": (bool,),
    "oov_token": (str, type(None)),
    "document_count": (int,),
}
TABLES = {
    "word_counts": (str, int),
    "word_docs": (str, int),
    "index_docs": (int, int),
    "index_word": (int, str),
    "word_index": (str, int),
}


class KerasTokenizer:
    """Counts words (or characters) and gives the most frequent the lowest ids, from 1, as Keras' Tokenizer does.

    A text is a string, or a list of tokens that is only lower-cased. The tables `word_index`, `index_word`,
    `word_counts`, `word_docs`, `index_docs` and the number `document_count` are public, as in Keras.

    Args:
        num_words: only words with an id below this number are encoded to their own id; id 0 and the oov_token's id
            count too. None for no limit.
        filters: characters that separate words like `split` does; unused at character level.
        lower: whether texts are lower-cased first.
        split: the string between two words; unused at character level.
        char_level: whether every character is a token, instead of every word.
        oov_token: what stands for tokens without an id; its own id is 1. None drops such tokens.
        analyzer: a function from a text to its words, instead of lower, filters and split.
        nb_words: the former name of num_words.
        document_count: number of texts counted already.

    Source: keras.preprocessing.text.Tokenizer (legacy), whose results are reproduced.
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Callable[[str], Iterable[str]] | None = None,
        *,
        nb_words: int | None = None,
        document_count: int = 0,
    ):
        if nb_words is not None:
            warnings.warn("Tokenizer's nb_words is now called num_words", stacklevel=2)
            num_words = nb_words
        if num_words is not None and num_words < 0:
            raise InputError(f"num_words must be at least 0, not {num_words}: give None for every word")
        self.num_words, self.oov_token, self.analyzer = num_words, oov_token, analyzer
        self.filters, self.lower, self.split, self.char_level = filters, lower, split, char_level
        self.document_count = document_count
        self.word_counts, self.word_docs, self.index_docs = Counter(), Counter(), Counter()
        self.word_index, self.index_word = {}, {}

    def fit_on_texts(self, texts: Iterable[Text]) -> None:
        """Adds texts to the counts and renumbers all words by frequency; equally frequent ones as first seen."""
        for tokens in map(self._tokens, in_blocks(texts, BLOCK_CHARACTERS)):
            self.document_count += len(tokens)
            self.word_counts.update(chain.from_iterable(tokens))
            self.word_docs.update(chain.from_iterable(map(set, tokens)))
        # The order of a set differs from process to process. In the order of word_counts, the same texts give the same
        # JSON.
        self.word_docs = Counter({word: self.word_docs[word] for word in self.word_counts if word in self.word_docs})
        words = sorted(self.word_counts, key=self.word_counts.get, reverse=True)
        words = words if self.oov_token is None else [self.oov_token, *words]
        self.word_index = {word: id for id, word in enumerate(words, start=1)}
        self.index_word = {id: word for word, id in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Counts documents per id, which the matrix mode "tfidf" needs where there were no texts to fit on."""
        self.document_count += len(sequences)
        for ids in sequences:
            self.index_docs.update(set(ids))

    def texts_to_sequences(self, texts: Iterable[Text]) -> list[list[int]]:
        """The ids of each text; a word without an id becomes the oov_token's id, or is left out without oov_token."""
        return list(map(self._numberer(), chain.from_iterable(map(self._tokens, in_blocks(texts, BLOCK_CHARACTERS)))))

    def texts_to_sequences_generator(self, texts: Iterable[Text]) -> Iterator[list[int]]:
        """The ids of each text, one text at a time."""
        numbers = self._numberer()
        return (numbers(self._tokens([text])[0]) for text in texts)

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The words of each sequence, joined by one space; an id without a word, such as 0, becomes the oov_token, or
        is left out if there is no oov_token."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """As `sequences_to_texts`, one sequence at a time."""
        return (" ".join(self._words(ids)) for ids in sequences)

    def texts_to_matrix(self, texts: Iterable[Text], mode: str = "binary") -> "np.ndarray":
        """One row of word weights per text, as `sequences_to_matrix` gives them for the texts' ids."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> "np.ndarray":
        """One row of word weights per sequence.

        Args:
            sequences: ids; those not below the number of columns are left out.
            mode: "binary" (1 where the word occurs), "count", "freq" (count / length of the sequence) or "tfidf"
                ((1 + ln count) * ln(1 + documents / (1 + documents with the word))).

        Returns:
            float64 [sequences, num_words], or [sequences, words + 1] where num_words is not set.

        Raises:
            InputError: unknown mode, or not fitted.
        """
        import numpy as np

        if not self.num_words:
            self.require_vocabulary()
        columns = self.num_words or len(self.word_index) + 1
        weight = _matrix_weight(mode, self.document_count, self.index_docs)
        matrix = np.zeros((len(sequences), columns))
        for row, ids in zip(matrix, sequences, strict=True):
            for id, count in Counter(id for id in ids if id < columns).items():
                row[id] = weight(id, count, len(ids))
        return matrix

    def get_config(self) -> dict:
        """The settings and, each as a JSON text of its own, the tables, as Keras writes them."""
        settings = {name: getattr(self, name) for name in SETTINGS}
        return settings | {name: json.dumps(getattr(self, name)) for name in TABLES}

    @property
    def unknown_id(self) -> int | None:
        """The id of oov_token; None without one, and before fit."""
        return self.word_index.get(self.oov_token)

    def require_vocabulary(self) -> None:
        """Raises InputError where nothing has an id yet."""
        if not self.word_index:
            raise InputError("this Tokenizer has no vocabulary: call fit with texts that are not empty")

    def _tokens(self, texts: list[Text]) -> list[Iterable[str]]:
        """The tokens of each text."""
        if any(isinstance(text, list) for text in texts):
            return [self._lowered(text) if isinstance(text, list) else self._tokens([text])[0] for text in texts]
        if self.analyzer is not None and not self.char_level:
            return list(map(self.analyzer, texts))
        texts = self._lowered(texts)
        if self.char_level:
            return texts
        return self._splitter().split_each(texts)

    def _splitter(self) -> WordSplitter:
        return _cached_splitter(self.filters if isinstance(self.filters, str) else tuple(self.filters), self.split)

    def _lowered(self, texts: list[str]) -> list[str]:
        return [text.lower() for text in texts] if self.lower else texts

    def _numberer(self) -> Callable[[Iterable[str]], list[int]]:
        """The function from tokens to ids."""
        known, limit, unknown = self.word_index.get, self.num_words or math.inf, self.unknown_id
        if self.oov_token is None and not self.num_words:
            return lambda tokens: [id for id in map(known, tokens) if id is not None]
        if self.oov_token is None:
            return lambda tokens: [id for id in map(known, tokens) if id is not None and id < limit]
        if not self.num_words:
            return lambda tokens: list(map(known, tokens, repeat(unknown)))
        return lambda tokens: [unknown if id is None or id >= limit else id for id in map(known, tokens)]

    def _words(self, ids: Iterable[int]) -> Iterator[str]:
        limit = self.num_words or math.inf
        if self.oov_token is not None:
            self.require_vocabulary()
        unknown = self.index_word.get(self.unknown_id)
        for id in ids:
            word = self.index_word.get(id)
            word = unknown if word is None or id >= limit else word
            if word is not None:
                yield word


@functools.lru_cache(maxsize=16)
def _cached_splitter(filters: str | tuple[str, ...], split: str | None) -> WordSplitter:
    return WordSplitter(filters, split)


def _matrix_weight(mode: str, documents: int, index_docs: Counter) -> Callable[[int, int, int], float]:
    """The weight of (id, its count, length of its sequence) in a matrix."""
    import numpy as np

    weights = {
        "binary": lambda id, count, length: 1,
        "count": lambda id, count, length: count,
        "freq": lambda id, count, length: count / length,
        "tfidf": lambda id, count, length: (1 + np.log(count)) * np.log(1 + documents / (1 + index_docs.get(id, 0))),
    }
    if mode not in weights:
        raise unknown_name("matrix mode", mode, weights)
    if mode == "tfidf" and not documents:
        raise InputError("mode 'tfidf' needs document counts: call fit_on_texts or fit_on_sequences first")
    return weights[mode]
