"""BytePairTokenizer against byte-pair encoding written out naively, and against damaged input."""

import collections
import itertools
import json
import pydoc_data.topics
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers.byte_pair import BytePairTokenizer
from lmkeras.tokenizers.pieces import piece_pattern

# Python's re spells code points in another way than Oniguruma.
PIECES = re.compile(re.sub(r"\\x\{(\w+)\}", lambda code: re.escape(chr(int(code[1], 16))), piece_pattern()))
MANUAL = list(pydoc_data.topics.topics.values())
TRAINED = BytePairTokenizer(1200).fit(MANUAL)


def merge_all(symbols, pair, merged):
    """Every occurrence of a pair, from the left, becomes one symbol."""
    out = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] = merged
        else:
            out.append(symbol)
    return out


def naive_encode(tokenizer, text):
    """The definition: as long as any pair of neighbours has a rank, merge the leftmost of the lowest rank."""
    ids = {token: id for id, token in enumerate(tokenizer.token_bytes)}
    ranks = {pair: rank for rank, pair in enumerate(tokenizer.merges)}
    out = []
    for piece in PIECES.findall(text):
        symbols = [byte + 1 for byte in piece.encode()]
        while candidates := [(ranks[pair], at) for at, pair in enumerate(itertools.pairwise(symbols)) if pair in ranks]:
            _, at = min(candidates)
            merged = tokenizer.token_bytes[symbols[at]] + tokenizer.token_bytes[symbols[at + 1]]
            symbols[at : at + 2] = [ids[merged]]
        out += symbols
    return out


def test_each_merge_joins_a_most_frequent_pair_until_the_vocabulary_is_full():
    texts = MANUAL[:6]
    tokenizer = BytePairTokenizer(400).fit(texts)
    assert tokenizer.vocabulary_size == 400
    words = collections.Counter(piece for text in texts for piece in PIECES.findall(text))
    spelled = {word: [byte + 1 for byte in word.encode()] for word in words}
    for made, pair in enumerate(tokenizer.merges, start=257):
        counts = collections.Counter()
        for word, count in words.items():
            for neighbours in itertools.pairwise(spelled[word]):
                counts[neighbours] += count
        assert counts[pair] == max(counts.values())
        spelled = {word: merge_all(symbols, pair, made) for word, symbols in spelled.items()}


def test_a_small_corpus_gives_a_small_vocabulary_in_which_nothing_repeats():
    tokenizer = BytePairTokenizer().fit(["abcabc abc", "xy"])
    # ab and abc repeat; ' abc', xy and abcabc occur once.
    assert [tokenizer.token_bytes[id] for id in range(257, tokenizer.vocabulary_size)] == [b"ab", b"abc"]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text("the \n-=aeiou'1.", max_size=80), st.sampled_from(MANUAL).map(lambda text: text[:300])))
def test_encoding_is_byte_pair_encoding_as_defined(text):
    assert TRAINED.encode(text) == naive_encode(TRAINED, text)


def test_training_streams_and_is_deterministic():
    drawn = 0

    def stream():
        nonlocal drawn
        for text in MANUAL:
            drawn += 1
            yield text

    assert BytePairTokenizer(1200).fit(stream()).to_json() == TRAINED.to_json()
    assert drawn == len(MANUAL)


def test_fitting_again_starts_again():
    tokenizer = BytePairTokenizer(1200).fit(["something else entirely"] * 9).fit(MANUAL)
    assert tokenizer.to_json() == TRAINED.to_json()


def test_texts_that_spell_special_tokens_are_texts():
    tokenizer = BytePairTokenizer().fit(["<|endoftext|> [CLS] <s> <pad>"] * 5)
    text = "<|endoftext|>[CLS]</s><pad>"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_character_in_pieces_is_a_replacement_character_until_it_is_whole():
    tokenizer = BytePairTokenizer()
    ids = tokenizer.encode("a天")
    assert [tokenizer.decode(ids[:end]) for end in range(5)] == ["", "a", "a\ufffd", "a\ufffd", "a天"]
    assert tokenizer.decode([0, *ids, 0]) == "a天"


@pytest.mark.parametrize("id", [-1, 257])
def test_ids_outside_the_vocabulary_are_refused(id):
    with pytest.raises(InputError, match="expected 0 to 256"):
        BytePairTokenizer().decode([1, id])


def test_lone_surrogates_are_refused_everywhere():
    for misuse in (BytePairTokenizer().encode, lambda text: BytePairTokenizer().fit(["fine", text])):
        with pytest.raises(InputError, match="position 2"):
            misuse("ab\ud800")


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(InputError, match="at least 257"):
        BytePairTokenizer(256)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("version", 2, "version 2"),
        ("vocabulary_size", "400", "vocabulary_size"),
        ("vocabulary_size", 3, "at least 257"),
        ("merges", 5, "not the JSON"),
        ("merges", [[98]], "not the JSON"),
        ("merges", [[98, 257]], "not made yet"),
        ("merges", [[0, 98]], "not made yet"),
        ("merges", [[98, True]], "not made yet"),
        ("merges", [[98, "a"]], "not made yet"),
        ("merges", [[98, 99], [98, 99]], "repeats"),
        ("merges", [[98, 98], *([id, id] for id in range(257, 300))], "longer than any piece"),
    ],
)
def test_damaged_json_is_named(field, value, complaint):
    saved = json.loads(BytePairTokenizer().to_json())
    with pytest.raises(InputError, match=complaint):
        BytePairTokenizer.from_json(json.dumps(saved | {field: value}))
    del saved[field]
    with pytest.raises(InputError, match=field):
        BytePairTokenizer.from_json(json.dumps(saved))
