"""What every tokenizer owes: round trips, JSON, ids in range, and a TensorFlow twin that agrees with it."""

import contextlib
import functools
import itertools
import json
import pydoc_data.topics
import random

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer, tokenizer_from_json
from lmkeras.tokenizers.byte_pair import BytePairTokenizer
from lmkeras.tokenizers.keras_words import Tokenizer
from lmkeras.tokenizers.published import PublishedTokenizer
from lmkeras.tokenizers.roberta import RobertaTokenizer
from lmkeras.tokenizers.special_tokens import SpecialTokens
from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.tokenizers import roberta
from tests.tokenizers.published import PATTERNS, byte_level, llama2, split

# Characters that meet often enough to be words, merge, and stand in each other's context.
HOT = (
    "aAbB  ''ΣσςİIıi.,!?\u0301\u0307\u00ad\u00b7\u200d\u200c\x00\t\n\x0b\x1c\x85\xa0"
    "\u3000\u2028天空玄黄😀👩🏽₿019ß\ufeff\ufffd_\\"
)
HARD = [
    "",
    "\x00",
    "a\x00b\x00",
    "İI ıi İΣ ΣİΣ",
    "ΟΔΥΣΣΕΥΣ Σ ΑΣ' ΑΣ'Α Α'Σ 'Σ Σ'Σ",
    "e\u0301 ΑΣ\u0301\u0301 ΑΣ\u0301Α",
    "👩🏽\u200d🚀 🇩🇪 ☃\ufe0f",
    "天地玄黄,宇宙洪荒。日月盈昃、辰宿列张!",
    "\ufeffbom \ufffd \u2028\u2029 \x85\xa0\u3000",
    "  two  spaces\t\ttabs\r\n\r\n end  ",
    "x" * 60 + "1" * 20 + "=" * 60 + " " * 60 + "天" * 60 + "\n" * 40,
    "<OOV> <pad> [MASK] <|endoftext|>",
    "[CLS]a[SEP][PAD]b [C\x00LS] [cls] \ue000\ue006[UNK",
    "각\u302e\u1b44\u302f \u302f\u1b44\u0903\u302f\u302e \U0001d15e\U0001d16d\U0001d16e ≠\u037e e\u034f\u0301",
]


def corpus():
    rng = random.Random(5)
    noise = ["".join(rng.choices(HOT, k=rng.randrange(80))) for _ in range(400)]
    return [*list(pydoc_data.topics.topics.values())[::8], *noise, *HARD]


def with_merges(*merges):
    return BytePairTokenizer.from_json(
        json.dumps({"class_name": "BytePairTokenizer", "version": 1, "vocabulary_size": 999, "merges": merges})
    )


BUILDERS = {
    "words": lambda: new_tokenizer("words").fit(corpus()),
    "few words": lambda: Tokenizer(num_words=40).fit(corpus()),
    "exact words": lambda: Tokenizer(lower=False, oov_token="a", filters="\\]^-[.\x00").fit(corpus()),
    "one id": lambda: Tokenizer(num_words=1, oov_token="<OOV>").fit(corpus()),
    "odd split": lambda: Tokenizer(split="aa\\", filters="i\u0307 ").fit(corpus()),
    "split at white space": lambda: Tokenizer(split=None, filters="!天", oov_token="").fit(corpus()),
    "surrogates": lambda: Tokenizer(filters="\udc00", num_words=10**6, oov_token="\ud800").fit(
        [*corpus(), "\ud801 \udfff"]
    ),
    "characters": lambda: new_tokenizer("characters").fit(corpus()),
    "few characters": lambda: new_tokenizer("characters", 20).fit(corpus()),
    "lower-case characters": lambda: Tokenizer(char_level=True).fit(corpus()),
    "byte pairs": lambda: new_tokenizer("byte_pair", 900).fit(corpus()),
    "bytes": lambda: new_tokenizer("byte_pair"),
    # 'aba' comes from ab+a and from a+ba, the latter after aba+b: the new pair overtakes the one that made it.
    "byte pairs made twice": lambda: with_merges((98, 99), (257, 98), (99, 98), (258, 99), (98, 259), (258, 258)),
    "word pieces": lambda: new_tokenizer("word_piece", 600).fit(corpus()),
    "cased word pieces": lambda: WordPieceTokenizer(
        lowercase=False, tokenize_chinese_chars=False, special_tokens=SpecialTokens("e", "ee", "<s", "s>", ">>")
    ).fit(corpus()),
    "accented word pieces": lambda: WordPieceTokenizer(strip_accents=False, vocabulary_size=300).fit(corpus()),
    "padding is no id 0": lambda: WordPieceTokenizer(vocabulary=[*built("word pieces")[0].vocabulary[::-1]]),
    "special tokens alone": lambda: new_tokenizer("word_piece"),
    "published byte pairs": lambda: PublishedTokenizer(byte_level(split(PATTERNS["llama3"]), corpus())),
    "published byte pairs of readers": roberta.tokenizer,
    "published characters": lambda: PublishedTokenizer(llama2(corpus()), {"pad_token": "<pad>"}),
}


@functools.cache
def built(name):
    """A tokenizer and its twin, shared by all tests: none of them changes it."""
    tokenizer = BUILDERS[name]()
    return tokenizer, tokenizer.in_graph()


@pytest.fixture(params=BUILDERS, scope="module")
def pair(request):
    return built(request.param)


def utf8(texts):
    return tf.constant([text.encode() for text in texts], tf.string)


def decoded(tokenizer, rows):
    """What UTF-8 can say of each text: an oov_token may hold surrogates."""
    return [tokenizer.decode(row).encode("utf-8", "replace") for row in rows]


def spells_padding(tokenizer, text):
    own = isinstance(tokenizer, WordPieceTokenizer | RobertaTokenizer)
    return own and tokenizer.token(tokenizer.special.padding) in text


# Characters that lower-case to two, decompose, change places, vanish, or are words by themselves; and special tokens.
MOVING = (
    "aİıßΣσςé\u0301\u0344\u0f73\u0334\u302e\u302f\u1b44\u034f\u0903\U0001d15e\U0001d165가각天豈\U0002f800\x00\xad\u200d"
    "👩🏽\u2028"
)
SPELLED_OUT = ["[CLS]", "[PAD]", "[SEP", "<s", "ee", ">>", "<OOV>", "aa\\", "x" * 101, "e\u0301" * 100]
located_texts = st.one_of(
    st.text(),
    st.text(MOVING, max_size=20),
    st.lists(st.one_of(st.sampled_from(SPELLED_OUT), st.text(MOVING + HOT, max_size=6)), max_size=6).map("".join),
)
batches = st.lists(st.one_of(st.text(HOT, max_size=60), st.text(max_size=15), st.sampled_from(HARD)), max_size=5)


@settings(max_examples=40, deadline=None)
@example(batch=[])
@example(batch=HARD)
@given(batch=batches)
def test_ids_are_in_range_and_the_twin_gives_the_same_ids_and_texts(pair, batch):
    tokenizer, twin = pair
    ids = tokenizer.encode_batch(batch)
    assert ids == [tokenizer.encode(text) for text in batch]
    assert all(0 <= id < tokenizer.vocabulary_size for row in ids for id in row)
    padding = tokenizer.special.padding
    assert not any(padding in row and not spells_padding(tokenizer, text) for text, row in zip(batch, ids, strict=True))
    in_graph = twin.encode(utf8(batch))
    assert in_graph.dtype == tf.int32
    assert in_graph.to_list() == ids
    assert twin.decode(in_graph).numpy().tolist() == decoded(tokenizer, ids)


STRINGS = [tf.TensorSpec([None], tf.string)]


@functools.cache
def locating(twin):
    """The twin's offsets as one traced function."""
    return tf.function(twin.encode_with_offsets, input_signature=STRINGS)


def located_in_graph(twin, texts):
    """What `encode_batch_with_offsets` gives, from the twin."""
    columns = [column.to_list() for column in locating(twin)(texts)]
    return [(ids, list(zip(starts, ends, strict=True))) for ids, starts, ends in zip(*columns, strict=True)]


@settings(max_examples=40, deadline=None)
@example(batch=[])
@example(batch=HARD)
@given(batch=st.lists(located_texts, max_size=4))
def test_offsets_are_places_in_the_text_and_the_twin_gives_the_same(pair, batch):
    tokenizer, twin = pair
    located = tokenizer.encode_batch_with_offsets(batch)
    assert [ids for ids, _ in located] == tokenizer.encode_batch(batch)
    for text, (ids, offsets) in zip(batch, located, strict=True):
        assert len(ids) == len(offsets)
        assert all(0 <= start < end <= len(text) for start, end in offsets)
        assert all(one[0] <= next[0] and one[1] <= next[1] for one, next in itertools.pairwise(offsets))
        assert tokenizer.offsets(text) == offsets
    assert located_in_graph(twin, utf8(batch)) == located
    assert locating(twin).experimental_get_tracing_count() == 1


@settings(max_examples=40, deadline=None)
@example(batch=HARD)
@given(batch=batches)
def test_a_text_of_known_characters_comes_back(pair, batch):
    tokenizer, _ = pair
    for text in batch if tokenizer.spells_text else []:
        ids = tokenizer.encode(text)
        assert tokenizer.special.unknown in ids or tokenizer.decode(ids) == text


@pytest.mark.parametrize("name", ["bytes", "byte pairs", "byte pairs made twice", "characters", "few characters"])
def test_tokenizers_that_spell_say_so(name):
    assert built(name)[0].spells_text
    assert not built("lower-case characters")[0].spells_text


@settings(max_examples=40, deadline=None)
@example(rows=[])
@example(rows=[[], [0], []])
@given(rows=st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=12), max_size=4))
def test_any_ids_decode_alike(pair, rows):
    tokenizer, twin = pair
    if isinstance(tokenizer, BytePairTokenizer | WordPieceTokenizer):  # which have no word for ids they do not know
        rows = [[id % tokenizer.vocabulary_size for id in row] for row in rows]
    else:
        rows = [[id % 100 - 5 if id % 3 else id for id in row] for row in rows]
    ragged = tf.ragged.constant(rows, tf.int32, ragged_rank=1)
    assert twin.decode(ragged).numpy().tolist() == decoded(tokenizer, rows)
    whole = [tokenizer.decode_whole(row).encode("utf-8", "replace") for row in rows]
    assert getattr(twin, "decode_whole", twin.decode)(ragged).numpy().tolist() == whole


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.integers(0, 10**4), max_size=12))
def test_more_ids_only_add_to_the_end(pair, rows):
    tokenizer, _ = pair
    ids = [id % tokenizer.vocabulary_size for id in rows]
    for end in range(len(ids)):
        assert tokenizer.decode(ids).startswith(tokenizer.decode(ids[:end]).rstrip("\ufffd"))
        assert tokenizer.decode(ids).startswith(tokenizer.decode_whole(ids[:end]))


@settings(max_examples=40, deadline=None)
@given(batch=st.lists(st.one_of(st.binary(max_size=12), st.text(HOT, max_size=9).map(str.encode)), max_size=4))
def test_bytes_that_are_not_utf8_count_as_replacement_characters(pair, batch):
    tokenizer, twin = pair
    pieces = [b"".join(batch), *batch]  # joined, truncated characters meet others
    expected = tokenizer.encode_batch_with_offsets([piece.decode(errors="replace") for piece in pieces])
    assert twin.encode(tf.constant(pieces, tf.string)).to_list() == [ids for ids, _ in expected]
    assert located_in_graph(twin, tf.constant(pieces, tf.string)) == expected


def test_long_texts(pair):
    tokenizer, twin = pair
    rng = random.Random(1)
    prose = "\n".join(pydoc_data.topics.topics.values())[:100_000]
    noise = "".join(rng.choices(HOT, k=100_000))
    one_word = "天" * 50_000 + "x" * 50_000
    ids = tokenizer.encode_batch([prose, noise, one_word])
    in_graph = twin.encode(utf8([prose, noise, one_word]))
    assert in_graph.to_list() == ids
    assert twin.decode(in_graph).numpy().tolist() == decoded(tokenizer, ids)
    pieces = [prose[:10_000], noise[:10_000], one_word[45_000:55_000]]
    assert located_in_graph(twin, utf8(pieces)) == tokenizer.encode_batch_with_offsets(pieces)


def test_json_round_trip(pair):
    tokenizer, _ = pair
    read = tokenizer_from_json(tokenizer.to_json())
    assert type(read) is type(tokenizer)
    assert read.to_json() == tokenizer.to_json()
    assert read.vocabulary_size == tokenizer.vocabulary_size
    assert read.special.unknown == tokenizer.special.unknown
    assert read.encode_batch(HARD) == tokenizer.encode_batch(HARD)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(["words", "characters", "byte_pair", "word_piece"]), data=st.data())
def test_damaged_json_is_read_or_refused_with_an_input_error(name, data):
    text = new_tokenizer(name, 270).fit(["to be or not to be"]).to_json()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    filling = data.draw(st.sampled_from(["", "0", "null", "[", "{}", "1e9", '"']))
    damaged = text[:start] + filling + text[end:]
    with contextlib.suppress(InputError):
        assert type(tokenizer_from_json(damaged)) is type(new_tokenizer(name))


def test_the_vocabulary_follows_from_the_texts_alone():
    for name in ("words", "characters", "byte pairs", "word pieces"):
        assert BUILDERS[name]().encode_batch(HARD) == built(name)[0].encode_batch(HARD)


@pytest.mark.parametrize("name", ["characters", "byte pairs"])
def test_chinese_text_is_learnt(name):
    chinese = "天地玄黄,宇宙洪荒。日月盈昃,辰宿列张。"
    tokenizer = new_tokenizer("characters" if name == "characters" else "byte_pair").fit([chinese * 3])
    ids = tokenizer.encode(chinese)
    assert tokenizer.decode(ids) == chinese
    assert len(ids) <= len(chinese)
    assert tokenizer.special.unknown not in ids


def test_twins_work_inside_a_function_with_an_input_signature(pair):
    tokenizer, twin = pair

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def there_and_back(batch):
        return twin.decode(twin.encode(batch))

    expected = decoded(tokenizer, tokenizer.encode_batch(HARD))
    assert there_and_back(utf8(HARD)).numpy().tolist() == expected
