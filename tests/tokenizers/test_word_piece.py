"""WordPieceTokenizer against transformers' BertTokenizerFast, live, and against greedy matching written out naively."""

import json

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkeras.errors import InputError
from lmkeras.tokenizers.special_tokens import SpecialTokens
from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.tokenizers.word_pieces import MANUAL, SETTINGS, SPECIAL, of_transformers, texts, trained


@settings(max_examples=120)
@example(text="")
@example(text="[CLS][PAD] [SEP]a[MASK]b[UNK] [CLS")
@given(text=texts)
@pytest.mark.parametrize("name", SETTINGS)
def test_ids_and_texts_are_those_of_transformers(name, text):
    ours, theirs = trained(name), of_transformers(name)
    ids = ours.encode(text)
    assert ids == theirs(text, add_special_tokens=False)["input_ids"]
    assert ours.decode(ids) == theirs.decode([id for id in ids if id])
    assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids, skip_special_tokens=True)


def naive_pieces(tokenizer, word):
    """The definition: the longest piece that the rest of the word starts with, again and again."""
    ids, rest, prefix = [], word, ""
    while rest and len(word) <= 100:
        known = [end for end in range(len(rest), 0, -1) if prefix + rest[:end] in tokenizer.vocabulary]
        if not known:
            break
        ids.append(tokenizer.vocabulary.index(prefix + rest[: known[0]]))
        rest, prefix = rest[known[0] :], "##"
    return [tokenizer.unknown_id] if rest else ids


@settings(max_examples=60)
@given(text=st.one_of(texts, st.sampled_from(MANUAL).map(lambda text: text[:200])))
def test_words_take_the_longest_pieces(text):
    tokenizer = trained("uncased")
    for name in SPECIAL:
        text = text.replace(name, "")
    expected = [id for word in tokenizer.rules.words(text) for id in naive_pieces(tokenizer, word)]
    assert tokenizer.encode(text) == expected


def test_names_of_special_tokens_are_free():
    special = SpecialTokens("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    ours = WordPieceTokenizer(vocabulary_size=300, special_tokens=special).fit(MANUAL[:9])
    text = "<s> the [CLS] zzz天 </s><mask>"
    assert [ours.cls_id, ours.sep_id, ours.mask_id, ours.unknown_id] == [2, 3, 4, 1]
    assert [id for id in ours.encode(text) if id < 5] == [2, 1, 3, 4]
    assert ours(text)["input_ids"] == [2, *ours.encode(text), 3]


def test_padding_may_have_any_id():
    tokenizer = WordPieceTokenizer(vocabulary=["a", "b", *SPECIAL])
    pad, unknown, cls, sep, _ = range(2, 7)
    assert tokenizer(["a", "b a c"], padding=True)["input_ids"] == [[cls, 0, sep, pad, pad], [cls, 1, 0, unknown, sep]]
    assert tokenizer.decode([0, pad, 1]) == tokenizer.decode([0, 1]) == "a b"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"vocabulary": ["[PAD]", "[UNK]"]}, r"'\[CLS\]', '\[SEP\]', '\[MASK\]'"),
        ({"vocabulary": [*SPECIAL, 7]}, "list of texts"),
        ({"vocabulary": [*SPECIAL, "\ud800"]}, "surrogate"),
        ({"vocabulary_size": 5}, "at least 6"),
        ({"vocabulary_size": "9"}, "at least 6"),
        ({"model_max_length": 2}, "at least 3"),
        ({"lowercase": "yes"}, "lowercase must be true or false"),
        ({"tokenize_chinese_chars": None}, "tokenize_chinese_chars must be"),
    ],
)
def test_impossible_settings_are_refused(arguments, complaint):
    with pytest.raises(InputError, match=complaint):
        WordPieceTokenizer(**arguments)


@pytest.mark.parametrize("names", [{"pad": ""}, {"pad": "\n"}, {"cls": "[SEP]"}, {"mask": 5}])
def test_special_tokens_need_names_of_their_own(names):
    with pytest.raises(InputError, match="special tokens must have"):
        SpecialTokens(**names)


@pytest.mark.parametrize("id", [-1, 900])
def test_ids_outside_the_vocabulary_are_refused(id):
    with pytest.raises(InputError, match="expected 0 to 899"):
        trained("uncased").decode([7, id])
    twin = trained("uncased").in_graph()
    with pytest.raises(tf.errors.InvalidArgumentError, match=str(id)):
        twin.decode(tf.ragged.constant([[7, id]], tf.int32))


def test_lone_surrogates_are_refused_everywhere():
    for misuse in (trained("uncased").encode, trained("uncased"), lambda text: WordPieceTokenizer().fit(["a", text])):
        with pytest.raises(InputError, match="position 2"):
            misuse("ab\ud800")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("version", 2, "version 2"),
        ("class_name", "Tokenizer", "a Tokenizer of version 1"),
        ("vocabulary", 5, "not the JSON"),
        ("vocabulary", [], "lacks the special tokens"),
        ("vocabulary", [5], "list of texts"),
        ("vocabulary", {"[PAD]": 0}, "lacks the special tokens"),
        ("vocabulary_size", None, "vocabulary_size must be"),
        ("special_tokens", [], "not the JSON"),
        ("special_tokens", {"bos": "<s>"}, "not the JSON"),
        ("special_tokens", {"pad": None}, "special tokens must have"),
        ("lowercase", 1, "lowercase must be"),
        ("surplus", 1, "surplus"),
    ],
)
def test_damaged_json_is_named(field, value, complaint):
    saved = json.loads(trained("uncased").to_json())
    with pytest.raises(InputError, match=complaint):
        WordPieceTokenizer.from_json(json.dumps(saved | {field: value}))


def test_settings_survive_json():
    special = SpecialTokens("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    tokenizer = WordPieceTokenizer([*special.names(), "a"], False, True, False, 77, special, 9)
    read = WordPieceTokenizer.from_json(tokenizer.to_json())
    assert vars(read).keys() == vars(tokenizer).keys()
    for name, value in vars(tokenizer).items():
        assert name == "_library" or getattr(read, name) == value
