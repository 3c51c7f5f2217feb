"""Learning word pieces: each is the most frequent pair's, and the same texts give the same vocabulary."""

import collections
import itertools

from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.tokenizers.word_pieces import MANUAL, SPECIAL


def merge_all(symbols, pair, merged):
    out = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] = merged
        else:
            out.append(symbol)
    return out


def test_each_piece_joins_a_most_frequent_pair():
    tokenizer = WordPieceTokenizer(vocabulary_size=400).fit(MANUAL[:6])
    assert tokenizer.vocabulary_size == 400
    assert tokenizer.vocabulary[:5] == SPECIAL
    words = collections.Counter(word for text in MANUAL[:6] for word in tokenizer.rules.words(text))
    spelled = {word: [word[0], *("##" + character for character in word[1:])] for word in words}
    alphabet = {piece for pieces in spelled.values() for piece in pieces}
    pieces = tokenizer.vocabulary[5:]
    assert alphabet <= set(pieces[: len(alphabet) + len({piece[-1] for piece in alphabet})])
    merged = [piece for piece in pieces if len(piece.removeprefix("##")) > 1]
    assert pieces[-len(merged) :] == merged
    for piece in merged:
        counts = collections.Counter()
        for word, count in words.items():
            for left, right in itertools.pairwise(spelled[word]):
                counts[left, right] += count
        joined = [pair for pair in counts if pair[0] + pair[1].removeprefix("##") == piece]
        best = max(joined, key=counts.get)
        assert counts[best] == max(counts.values())
        spelled = {word: merge_all(symbols, best, piece) for word, symbols in spelled.items()}


def test_where_characters_are_many_the_frequent_ones_come_first():
    ideographs = [chr(0x4E00 + i) for i in range(300)]
    corpus = ["".join(ideographs[:count]) for count in range(1, 301)]
    tokenizer = WordPieceTokenizer(vocabulary_size=105).fit(corpus)
    assert tokenizer.vocabulary[5:] == ideographs[:100]
    in_words = WordPieceTokenizer(vocabulary_size=105, tokenize_chinese_chars=False).fit(corpus)
    sizes = [len(piece.removeprefix("##")) for piece in in_words.vocabulary[5:]]
    merged = sum(size > 1 for size in sizes)
    assert 0 < merged < 50
    assert sizes[:50] == [1] * 50
    assert min(sizes[50 : 50 + merged]) > 1
    assert sizes[50 + merged :] == [1] * (50 - merged)
    known = {piece[-1] for piece in in_words.vocabulary[5:]}
    assert known == set(ideographs[: len(known)])
    assert in_words.vocabulary_size == 105


def test_training_streams_once_and_is_deterministic():
    drawn = iter(MANUAL)
    first = WordPieceTokenizer(vocabulary_size=2000).fit(drawn)
    assert next(drawn, None) is None
    again = WordPieceTokenizer(vocabulary_size=2000).fit(["something else"] * 9).fit(MANUAL)
    assert again.to_json() == first.to_json()


def test_nothing_to_learn_from_leaves_the_special_tokens():
    assert WordPieceTokenizer().fit([]).vocabulary == SPECIAL
    assert WordPieceTokenizer().vocabulary == SPECIAL
