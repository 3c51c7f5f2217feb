"""The twin of PublishedTokenizer against the library, for every kind of step that a tokenizer.json may have."""

import functools
import json
import pydoc_data.topics
import random

import pytest
import tensorflow as tf
import tokenizers
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

from lmkeras.errors import InputError
from lmkeras.tokenizers.published import PublishedTokenizer
from lmkeras.tokenizers.spelling import stand_ins
from tests.tokenizers.published import PATTERNS, SPECIAL, byte_level, llama2, sentence_pieces, split, with_added
from tests.tokenizers.random_texts import random_text

PROSE = list(pydoc_data.topics.topics.values())[::16]
NOISE = [random_text(random.Random(seed)) for seed in range(2000)]
TEXTS = PROSE + NOISE
SMOLLM = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])


def sequence(*parts):
    return pre_tokenizers.Sequence([*parts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def ignoring(tokenizer):
    """Whole pieces that are tokens are not merged, and merges are of all ways to split a token, as in Llama 3."""
    model = tokenizer["model"]
    vocabulary, merges = model["vocab"], []
    for token in sorted(vocabulary, key=vocabulary.get):
        cuts = ((token[:at], token[at:]) for at in range(1, len(token)))
        known = [(left, right) for left, right in cuts if left in vocabulary and right in vocabulary]
        merges += sorted(known, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    return {**tokenizer, "model": {**model, "merges": [list(pair) for pair in merges], "ignore_merges": True}}


def shuffled(tokenizer):
    """Merges in an order that no training gives: what is made may merge on before others of its kind are made."""
    merges = random.Random(3).sample(tokenizer["model"]["merges"], len(tokenizer["model"]["merges"]))
    return {**tokenizer, "model": {**tokenizer["model"], "merges": merges}}


def without_bytes(tokenizer, fuses):
    return {**tokenizer, "model": {**tokenizer["model"], "byte_fallback": False, "fuse_unk": fuses}}


ADDED = [
    AddedToken("<think>", normalized=False),
    AddedToken("e\u0301a", normalized=True),
    AddedToken("a b", normalized=True),
    AddedToken("<|im", normalized=False),
    AddedToken("\n\n", normalized=False),
    AddedToken("aa", normalized=False),
]
METASPACES = [("first", True), ("always", False), ("never", True), ("first", False)]
BUILDERS = {
    "gpt2": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), TEXTS),
    "llama3": lambda: ignoring(byte_level(split(PATTERNS["llama3"]), TEXTS)),
    "qwen": lambda: with_added(byte_level(split(PATTERNS["qwen2"]), TEXTS, normalizer=normalizers.NFC()), *ADDED),
    "gpt-oss": lambda: ignoring(byte_level(split(PATTERNS["gpt_oss"]), TEXTS)),
    "smollm": lambda: byte_level(SMOLLM, TEXTS),
    "shuffled merges": lambda: shuffled(byte_level(split(PATTERNS["llama3"]), TEXTS)),
    "space before": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), TEXTS),
    "space before pieces": lambda: byte_level(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.ByteLevel(add_prefix_space=True)]), TEXTS
    ),
    "behaviors": lambda: byte_level(
        sequence(
            pre_tokenizers.Punctuation("merged_with_next"),
            pre_tokenizers.Split(" ", "merged_with_previous"),
            pre_tokenizers.Split(Regex(r"[aeiou]{2,3}|\d(?=x)|(?:ab|c)?d"), "contiguous"),
            pre_tokenizers.Split("th", "isolated"),
        ),
        TEXTS,
    ),
    "kept": lambda: byte_level(
        sequence(pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}{1,2}| \S"), "removed", invert=True)), TEXTS
    ),
    "no cuts": lambda: byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False), TEXTS),
    "gemma": lambda: with_added(sentence_pieces(TEXTS, pre_tokenizer=pre_tokenizers.Split(" ", "isolated")), *ADDED),
    "gemma shuffled": lambda: shuffled(sentence_pieces(TEXTS)),
    "llama2": lambda: llama2(TEXTS),
    "llama2 with added": lambda: with_added(llama2(TEXTS), *ADDED),
    "unknown": lambda: without_bytes(sentence_pieces(TEXTS), fuses=False),
    "unknown fused": lambda: without_bytes(sentence_pieces(TEXTS), fuses=True),
    "composed": lambda: sentence_pieces(
        TEXTS, normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(" ", "▁")])
    ),
    "special normalized": lambda: with_added(
        byte_level(split(PATTERNS["gpt2"]), TEXTS), AddedToken("ab", special=True, normalized=True), AddedToken("b c")
    ),
} | {
    f"metaspace {scheme} {cuts}": lambda scheme=scheme, cuts=cuts: sentence_pieces(
        TEXTS,
        normalizer=normalizers.Sequence([]),
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme=scheme, split=cuts),
    )
    for scheme, cuts in METASPACES
}


@functools.cache
def built(name):
    content = BUILDERS[name]()
    ours = PublishedTokenizer(content)
    twin = ours.in_graph()
    return (
        content,
        ours,
        twin,
        tf.function(twin.encode_with_offsets, input_signature=[tf.TensorSpec([None], tf.string)]),
    )


@pytest.mark.parametrize("name", BUILDERS)
def test_ids_offsets_and_texts_are_the_librarys(name):
    content, ours, twin, locate = built(name)
    theirs = tokenizers.Tokenizer.from_str(json.dumps({**content, "post_processor": None}))
    theirs.encode_special_tokens = True
    encodings = theirs.encode_batch(TEXTS, add_special_tokens=False)
    texts = tf.constant(TEXTS)
    in_graph = twin.encode(texts)
    for text, found, expected in zip(TEXTS, in_graph.to_list(), encodings, strict=True):
        assert found == expected.ids, repr(text)
    located = [column.to_list() for column in locate(texts)]
    offsets = [list(zip(starts, ends, strict=True)) for starts, ends in zip(*located[1:], strict=True)]
    assert located[0] == in_graph.to_list()
    for text, found, expected in zip(TEXTS, offsets, encodings, strict=True):
        assert found == expected.offsets, repr(text)
    assert all(0 <= start < end <= len(text) for text, row in zip(TEXTS, offsets, strict=True) for start, end in row)
    spelled = [ours.decode(encoding.ids) for encoding in encodings]
    assert [text.decode() for text in twin.decode(in_graph).numpy()] == spelled
    # the library takes the letters of this added token for bytes
    rows = [row for row in (encoding.ids for encoding in encodings) if theirs.token_to_id("e\u0301a") not in row]
    assert [ours.decode(row) for row in rows] == theirs.decode_batch(rows)


def test_special_tokens_stay_text():
    for name in ("qwen", "llama2"):
        content, _, twin, _ = built(name)
        special = {token["id"] for token in content["added_tokens"] if token["special"]}
        names = [token["content"] for token in content["added_tokens"] if token["special"]]
        assert not special & {
            *twin.encode(tf.constant(["".join([*SPECIAL, *names]), " ".join(names)])).flat_values.numpy()
        }


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"normalizer": {"type": "NFKC"}}, "normalizer .*NFKC"),
        ({"normalizer": {"type": "Replace", "pattern": {"String": "ab"}, "content": "c"}}, "normalizer .*Replace"),
        ({"pre_tokenizer": {"type": "BertPreTokenizer"}}, "pre_tokenizer .*BertPreTokenizer"),
        ({"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}, "decoder .*WordPiece"),
        ({"model": {"continuing_subword_prefix": "##"}}, "continuing_subword_prefix"),
    ],
)
def test_what_has_no_twin_is_refused_by_its_name(part, message):
    content = BUILDERS["gpt2"]()
    model = {**content["model"], **part.get("model", {})}
    if "model" in part:
        model["merges"] = []
    with pytest.raises(InputError, match=message):
        PublishedTokenizer({**content, **part, "model": model}).in_graph()


@pytest.mark.parametrize(
    "expression",
    [r"(a+)+", r"a+?", r"\bword", r"a*", r"(?<=a)b", r"(a)\1", "x{2000}", r"[a-z&&[^b]]", "(?i:ss)", "(?i:é)"],
)
def test_expressions_without_a_twin_are_named(expression):
    cut = pre_tokenizers.Split(Regex(expression), "isolated")
    content = {**BUILDERS["gpt2"](), "pre_tokenizer": json.loads(cut.__getstate__())}
    with pytest.raises(InputError, match="has no twin in TensorFlow"):
        PublishedTokenizer(content).in_graph()


def test_an_added_token_that_takes_blanks_behind_it_in_is_refused():
    content = with_added(BUILDERS["gpt2"](), AddedToken("<mask>", rstrip=True))
    with pytest.raises(InputError, match="<mask>"):
        PublishedTokenizer(content).in_graph()


def test_an_added_token_takes_in_the_blanks_before_it_but_none_of_the_text_before():
    content = with_added(BUILDERS["gpt2"](), AddedToken("<mask>", lstrip=True), AddedToken("<b>"))
    tokenizer = PublishedTokenizer(content)
    texts = ["a <mask> b", " \n\u3000<mask><mask>", "a", "<b> <mask>", "  ", " <mask >", "x<mask>  <mask>\x1c<mask>"]
    assert tokenizer.in_graph().encode(tf.constant(texts)).to_list() == tokenizer.encode_batch(texts)
    assert tokenizer.encode("a <mask>") == tokenizer.encode("a<mask>")


def test_ids_that_no_token_has_are_skipped_in_decoding():
    _, ours, twin, _ = built("llama2")
    rows = [[10**6, *ours.encode("a b"), -1], []]
    assert twin.decode(tf.ragged.constant(rows, tf.int32, ragged_rank=1)).numpy().tolist() == [b"a b", b""]


def test_long_pieces_take_no_longer_than_their_merges():
    _, ours, twin, _ = built("qwen")
    text = "天" * 20_000 + " " * 5000 + "ab" * 5000 + "=" * 3000
    assert twin.encode(tf.constant([text, ""])).to_list() == ours.encode_batch([text, ""])


def lacking(tokenizer, left_out):
    """The tokenizer without the bytes, and without the tokens that hold them, as SmolLM2's lacks 21 of them."""
    gone = {stand_ins()[byte] for byte in left_out}
    model = tokenizer["model"]
    tokens = [token for token in sorted(model["vocab"], key=model["vocab"].get) if not gone & {*token}]
    merges = [pair for pair in model["merges"] if not gone & {*"".join(pair)}]
    model = {**model, "vocab": {token: id for id, token in enumerate(tokens)}, "merges": merges}
    return {**tokenizer, "model": model, "added_tokens": []}


@pytest.mark.parametrize("ignored", [False, True])
def test_bytes_that_the_vocabulary_lacks_are_left_out(ignored):
    """Ids are the library's, in which what follows such a byte has wrong offsets; here each id's bytes tell them."""
    left_out = {ord("e"), 0x04, 0xB8, 0xF0, 0xC3}
    whole = byte_level(SMOLLM, TEXTS)
    content = lacking(ignoring(whole) if ignored else whole, left_out)
    ours, theirs = PublishedTokenizer(content), tokenizers.Tokenizer.from_str(json.dumps(content))
    theirs.encode_special_tokens = True
    twin = ours.in_graph()
    ids, starts, ends = (column.to_list() for column in twin.encode_with_offsets(tf.constant(TEXTS)))
    assert ids == [encoding.ids for encoding in theirs.encode_batch(TEXTS, add_special_tokens=False)]
    found = ours.encode_batch_with_offsets(TEXTS)
    assert [one.ids for one in found] == ids
    for text, one, *columns in zip(TEXTS, found, starts, ends, strict=True):
        assert one.offsets == list(zip(*columns, strict=True)), repr(text)
        for id, (start, end) in zip(one.ids, one.offsets, strict=True):
            written = bytes(byte for byte in text[start:end].encode() if byte not in left_out)
            assert ours._token_bytes[id] in written
    assert any(len(one.ids) < len(text) / 3 for text, one in zip(TEXTS, found, strict=True))
