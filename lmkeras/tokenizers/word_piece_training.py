"""Learning a vocabulary of word pieces; the same texts give the same vocabulary."""

import collections
from collections.abc import Iterable, Iterator, Mapping

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from lmkeras.tokenizers.bert_text import LONGEST_WORD, BertTextRules
from lmkeras.tokenizers.utf8 import encodable

#: the start of the name of every piece that continues a word
PREFIX = "##"
_WORDS_AT_ONCE = 1000  # in one string that the library trains on


def learn_pieces(texts: Iterable[str], rules: BertTextRules, size: int) -> list[str]:
    """The pieces that words of a corpus are spelled with: characters, and merges of the most frequent pairs of pieces.

    Args:
        texts: read once; their distinct words stay in memory.
        rules: how texts become words.
        size: the most pieces, at least 1.

    Returns:
        The most frequent characters, at most half of `size`, sorted; then merged pieces, in the order of merging; then,
        if merging ended because no pair of pieces occurs twice, the next most frequent characters.

    Raises:
        InputError: a text with lone surrogates.
    """
    words = collections.Counter(word for text in texts for word in rules.words(encodable(text)))
    characters = _characters(words)
    alphabet = set(characters[: max(1, size // 2)])
    pieces = _merged(
        {word: count for word, count in words.items() if alphabet.issuperset(_spelled(word))}, alphabet, size
    )
    return [*pieces, *(piece for piece in characters if piece not in alphabet)][:size]


def _spelled(word: str) -> list[str]:
    return [word[0], *(PREFIX + character for character in word[1:])]


def _characters(words: Mapping[str, int]) -> list[str]:
    """The pieces of one character, the most frequent first.

    A character that occurs inside words gives two pieces: one that starts a word, and behind it one that continues a
    word.
    """
    counts = collections.Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
        for piece in _spelled(word)[1:]:
            counts[piece] += count
    return sorted(counts, key=lambda piece: (-counts[piece], len(piece), piece))


def _merged(words: Mapping[str, int], alphabet: set[str], size: int) -> list[str]:
    learner = tokenizers.Tokenizer(models.WordPiece())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=2,
        # The library numbers characters in the order of a hash table, which differs from run to run, and of equally
        # frequent pairs merges the one with lower numbers. Special tokens are numbered in the order given, so giving
        # all characters as special tokens makes every run the same.
        special_tokens=sorted(alphabet),
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    learner.train_from_iterator(_repeated(words), trainer)
    ids = learner.get_vocab()
    return sorted(ids, key=ids.get)


def _repeated(words: Mapping[str, int]) -> Iterator[str]:
    for word, count in words.items():
        if len(word) <= LONGEST_WORD:
            for done in range(0, count, _WORDS_AT_ONCE):
                yield f"{word} " * min(_WORDS_AT_ONCE, count - done)
