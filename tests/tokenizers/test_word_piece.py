"""WordPieceTokenizer against transformers' BertTokenizerFast, live, and against greedy matching written out naively."""

import collections
import functools
import itertools
import json
import pydoc_data.topics
import random

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizerFast

from lmkeras.errors import InputError
from lmkeras.tokenizers.special_tokens import SpecialTokens
from lmkeras.tokenizers.word_piece import WordPieceTokenizer

MANUAL = list(pydoc_data.topics.topics.values())
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
HOT = "aeiouthAEÉéñçİıΣσς'.,!?-#[]天地龘각豈😀\u0301\u0302\u0327\u302e\u1b44\u034f\u200d\xad\x00\x1c\x85\t \xa0\u3000"
WORDS = [
    *SPECIAL,
    "[sep]",
    "the",
    "statement",
    "don't",
    "Été",
    "x" * 100,
    "x" * 101,
    "e\u0301" * 100,
    "ΑΣ",
    "가각",
    "##ing",
]
texts = st.one_of(
    st.lists(st.sampled_from([*WORDS, " "]), max_size=8).map("".join),
    st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join),
    st.text(HOT, max_size=40),
    st.text(max_size=15),
)
SETTINGS = {
    "uncased": {},
    "cased": {"lowercase": False},
    "accented": {"strip_accents": False},
    "cased without accents": {"lowercase": False, "strip_accents": True},
    "chinese in words": {"tokenize_chinese_chars": False},
}


@functools.cache
def trained(name):
    rng = random.Random(3)
    noise = ["".join(rng.choices(HOT, k=50)) for _ in range(100)]
    return WordPieceTokenizer(vocabulary_size=900, **SETTINGS[name]).fit([*MANUAL[::9], *noise, *WORDS * 2])


@pytest.fixture(params=SETTINGS, scope="module")
def pair(request, tmp_path_factory):
    """A tokenizer, and what transformers makes of the files that it writes."""
    folder = tmp_path_factory.mktemp("vocabulary")
    trained(request.param).save_vocabulary(folder)
    return trained(request.param), BertTokenizerFast.from_pretrained(folder)


@settings(max_examples=120)
@example(text="")
@example(text="[CLS][PAD] [SEP]a[MASK]b[UNK] [CLS")
@given(text=texts)
def test_ids_and_texts_are_those_of_transformers(pair, text):
    ours, theirs = pair
    ids = ours.encode(text)
    assert ids == theirs(text, add_special_tokens=False)["input_ids"]
    assert ours.decode(ids) == theirs.decode([id for id in ids if id])
    assert ours.decode(ids, skip_special_tokens=True) == theirs.decode(ids, skip_special_tokens=True)


lengths = st.one_of(st.none(), st.integers(3, 12))
calls = st.fixed_dictionaries(
    {
        "padding": st.sampled_from([False, True, "longest", "max_length"]),
        "truncation": st.sampled_from([None, False, True, "longest_first"]),
        "max_length": lengths,
    }
).filter(lambda call: call["max_length"] or (call["padding"] != "max_length" and call["truncation"] in (None, False)))


@settings(max_examples=150)
@given(batch=st.lists(st.tuples(texts, texts), min_size=1, max_size=4), paired=st.booleans(), call=calls)
def test_batches_and_pairs_are_those_of_transformers(pair, batch, paired, call):
    ours, theirs = pair
    first, second = map(list, zip(*batch, strict=True))
    arguments = (first, second) if paired else (first,)
    assert ours(*arguments, **call) == dict(theirs(*arguments, **call))
    one = (first[0], second[0]) if paired else (first[0],)
    assert ours(*one, **call) == dict(theirs(*one, **call))


def test_arrays_are_those_of_transformers(pair):
    ours, theirs = pair
    arguments = {"padding": True, "truncation": True, "max_length": 20, "return_tensors": "np"}
    first, second = ([text[:200] for text in texts] for texts in (MANUAL[:3], MANUAL[3:6]))
    expected = theirs(first, second, **arguments)
    found = ours(first, second, **arguments)
    in_tensorflow = ours(first, second, **arguments | {"return_tensors": "tf"})
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        assert in_tensorflow[name].dtype == tf.int32
        np.testing.assert_array_equal(in_tensorflow[name], array)
    assert ours("the", return_tensors="np")["input_ids"].tolist() == [ours("the")["input_ids"]]


@pytest.mark.parametrize("model_max_length", [None, 7])
def test_without_a_max_length_the_models_counts(tmp_path, model_max_length):
    ours = WordPieceTokenizer(trained("cased").vocabulary, lowercase=False, model_max_length=model_max_length)
    ours.save_vocabulary(tmp_path)
    theirs = BertTokenizerFast.from_pretrained(tmp_path)
    if model_max_length is None:
        for call in ({"truncation": True}, {"padding": "max_length"}):
            with pytest.raises(InputError, match="give max_length"):
                ours(MANUAL[0], **call)
    else:
        for call in ({"truncation": True}, {"padding": "max_length"}, {"truncation": True, "padding": "max_length"}):
            for text in ("a", MANUAL[0]):
                assert ours(text, **call) == dict(theirs(text, **call))


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


def test_names_of_special_tokens_are_free():
    special = SpecialTokens("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    ours = WordPieceTokenizer(vocabulary_size=300, special_tokens=special).fit(MANUAL[:9])
    text = "<s> the [CLS] zzz天 </s><mask>"
    assert [ours.cls_id, ours.sep_id, ours.mask_id, ours.unknown_id] == [2, 3, 4, 1]
    assert [id for id in ours.encode(text) if id < 5] == [2, 1, 3, 4]
    assert ours(text)["input_ids"] == [2, *ours.encode(text), 3]


def write(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


SAMPLES = ["Où est l'Été? [SEP] 天地", "The Statement", "ΑΣ İ"]


@pytest.mark.parametrize("name", SETTINGS)
def test_files_of_transformers_are_read(tmp_path, name):
    trained(name).save_vocabulary(tmp_path / "ours")
    AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    assert not (tmp_path / "theirs" / "vocab.txt").exists()  # version 5 writes tokenizer.json instead
    for folder in ("ours", "theirs"):
        read = WordPieceTokenizer.from_pretrained(tmp_path / folder)
        assert read.vocabulary == trained(name).vocabulary
        assert read.encode_batch(SAMPLES) == trained(name).encode_batch(SAMPLES)
    (tmp_path / "theirs" / "tokenizer_config.json").unlink()
    assert WordPieceTokenizer.from_pretrained(tmp_path / "theirs").rules.normalizer().normalize_str(
        SAMPLES[0]
    ) == trained(name).rules.normalizer().normalize_str(SAMPLES[0])


def test_a_vocabulary_file_has_the_settings_of_uncased_bert_or_those_given(tmp_path):
    write(tmp_path, "some.txt", "\r\n".join([*SPECIAL, "the", "The", "天"]) + "\r\n")
    assert WordPieceTokenizer.from_pretrained(tmp_path / "some.txt").encode("The 天") == [5, 7]
    cased = WordPieceTokenizer.from_pretrained(str(tmp_path / "some.txt"), lowercase=False)
    assert cased.encode("The 天") == [6, 7]
    assert cased.vocabulary_size == 8


def test_special_tokens_may_be_written_as_objects(tmp_path):
    write(tmp_path, "vocab.txt", "\n".join(["<pad>", *SPECIAL[1:], "a"]))
    write(tmp_path, "tokenizer_config.json", {"pad_token": {"content": "<pad>"}, "model_max_length": 1e30})
    tokenizer = WordPieceTokenizer.from_pretrained(tmp_path)
    assert tokenizer.special_tokens.pad == "<pad>"
    assert tokenizer.model_max_length is None


VOCABULARY = "\n".join([*SPECIAL, "a"])


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "expected vocab.txt or tokenizer.json"),
        ({"vocab.txt": "a\nb"}, "lacks the special tokens"),
        ({"vocab.txt": "\n".join(SPECIAL[::-1])}, "must have id 0"),
        ({"vocab.txt": VOCABULARY, "tokenizer_config.json": "{"}, "tokenizer_config.json is damaged"),
        ({"vocab.txt": VOCABULARY, "tokenizer_config.json": "[]"}, "expected a JSON object"),
        ({"vocab.txt": VOCABULARY, "tokenizer_config.json": {"do_lower_case": 1}}, "lowercase must be"),
        ({"vocab.txt": VOCABULARY, "tokenizer_config.json": {"pad_token": 1}}, "printable"),
        ({"vocab.txt": VOCABULARY, "tokenizer_config.json": {"pad_token": {}}}, "printable"),
        ({"vocab.txt": VOCABULARY, "tokenizer.json": {"model": {"type": "BPE"}}}, "not BERT's"),
        ({"vocab.txt": VOCABULARY, "tokenizer.json": {"normalizer": {"type": "NFC"}}}, "not BERT's"),
        ({"vocab.txt": VOCABULARY, "tokenizer.json": {"normalizer": [1]}}, "damaged"),
        ({"vocab.txt": VOCABULARY, "tokenizer.json": {"added_tokens": [{"content": "[E]"}]}}, r"\['\[E\]'\]"),
        ({"tokenizer.json": {"model": {"vocab": {"[PAD]": 0, "a": 2}}}}, "ids from 0 on"),
        ({"tokenizer.json": {"model": {"vocab": []}}}, "ids from 0 on"),
        ({"tokenizer.json": {"model": 5}}, "damaged"),
    ],
)
def test_what_is_wrong_with_files_is_said(tmp_path, files, complaint):
    for name, content in files.items():
        write(tmp_path, name, content)
    with pytest.raises(InputError, match=complaint):
        WordPieceTokenizer.from_pretrained(tmp_path)


def test_bytes_are_no_vocabulary(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe[PAD]")
    with pytest.raises(InputError, match="expected UTF-8"):
        WordPieceTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["bert-nowhere", "nobody/bert-nowhere"])
def test_names_on_the_hub_need_the_hub(monkeypatch, name):
    import huggingface_hub

    def offline(*arguments, **settings):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(InputError, match=f"no folder '{name}'.*no connection.*give a folder"):
        WordPieceTokenizer.from_pretrained(name)


def test_names_on_the_hub_are_downloaded(monkeypatch, tmp_path):
    import huggingface_hub

    trained("cased").save_vocabulary(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: {"some/bert": str(tmp_path)}[name])
    assert (
        WordPieceTokenizer.from_pretrained("some/bert").to_json()
        == WordPieceTokenizer.from_pretrained(tmp_path).to_json()
    )


@pytest.mark.parametrize("path", ["no/such/folder", "/nowhere", "./nowhere"])
def test_paths_are_not_looked_up_on_the_hub(path):
    with pytest.raises(InputError, match="no name on the hub"):
        WordPieceTokenizer.from_pretrained(path)


@pytest.mark.parametrize("token", ["a\nb", "a\u2028", " a", ""])
def test_tokens_that_would_not_come_back_from_a_file_are_not_written(tmp_path, token):
    with pytest.raises(InputError, match="would not come back"):
        WordPieceTokenizer([*SPECIAL, token]).save_vocabulary(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_where_a_token_is_there_twice_the_last_id_counts(tmp_path):
    ours = WordPieceTokenizer([*SPECIAL, "a", "b", "a"])
    ours.save_vocabulary(tmp_path)
    theirs = BertTokenizerFast.from_pretrained(tmp_path)
    assert ours.encode("a b") == theirs("a b", add_special_tokens=False)["input_ids"] == [7, 6]
    assert ours.decode([6, 5, 7]) == theirs.decode([6, 5, 7]) == "b a"
    twin = ours.in_graph()
    assert twin.decode(tf.ragged.constant([[6, 5, 7], [5, 6]])).numpy().tolist() == [b"b a", b"b"]
    assert twin.encode(["a b"]).to_list() == [[7, 6]]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"vocabulary": ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]}, r"\[PAD\] must have id 0.*id 1"),
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


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((5,), "texts and pairs"),
        (([5],), "texts and pairs"),
        (("a", ["b"]), "texts and pairs"),
        ((["a"], "b"), "texts and pairs"),
        ((["a"], ["b", "c"]), "1 texts came with 2 pairs"),
        (("a", None, "always"), "unknown padding 'always'"),
        (("a", None, False, "only_first"), "unknown truncation 'only_first'"),
        (("a", None, False, True, -1), "max_length must be"),
        (("a", None, False, True, 1.5), "max_length must be"),
        (("a", None, False, True, 1), "max_length must be at least 2"),
        (("a", "b", False, True, 2), "max_length must be at least 3"),
        (("a", None, False, None, None, "pt"), "unknown return_tensors 'pt'"),
        ((["a", "a b"], None, False, None, None, "np"), "padding=True"),
    ],
)
def test_calls_that_make_no_sense_are_answered(arguments, complaint):
    with pytest.raises(InputError, match=complaint):
        trained("uncased")(*arguments)


def test_no_texts_make_an_empty_batch():
    assert trained("uncased")([], padding=True) == {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    assert trained("uncased")([], return_tensors="np")["input_ids"].shape == (0, 0)


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
