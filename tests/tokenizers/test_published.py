"""PublishedTokenizer against the `tokenizers` library that reads the same tokenizer.json."""

import json
import pydoc_data.topics

import pytest
import tokenizers
from tokenizers import AddedToken

from lmkeras.errors import InputError
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.published import PublishedTokenizer
from lmkeras.tokenizers.special import SpecialIds
from tests.tokenizers.published import PATTERNS, byte_level, llama2, sentence_pieces, split, with_added

TEXTS = list(pydoc_data.topics.topics.values())[::16]
QWEN = with_added(
    byte_level(split(PATTERNS["qwen2"]), TEXTS), AddedToken("<think>", normalized=False), AddedToken("</think>")
)
LLAMA = llama2(TEXTS)
CONFIG = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": {"content": "<|endoftext|>"}, "unk_token": 7}


def library(tokenizer):
    return tokenizers.Tokenizer.from_str(json.dumps(tokenizer))


def test_special_tokens_are_read_where_they_are_asked_for():
    tokenizer, theirs = PublishedTokenizer(QWEN, CONFIG), library(QWEN)
    text = "<|im_start|>user\nWhat is <think>?<|im_end|>\n<|endoftext|>"
    assert tokenizer.encode_marked(text) == theirs.encode(text).ids
    plain = tokenizer.encode(text)
    assert not {theirs.token_to_id(name) for name in ("<|im_start|>", "<|im_end|>", "<|endoftext|>")} & {*plain}
    assert theirs.token_to_id("<think>") in plain
    assert tokenizer.decode(plain) == text
    assert tokenizer.decode(tokenizer.encode_marked(text)) == "user\nWhat is <think>?\n"
    assert tokenizer.encode_marked("plain") == tokenizer.encode("plain") == theirs.encode("plain").ids


@pytest.mark.parametrize("told", [{}, {"add_bos_token": True}, {"add_bos_token": False}], ids=str)
@pytest.mark.parametrize("puts", [True, False])
def test_the_start_is_before_texts_where_transformers_puts_it(tmp_path, puts, told):
    from transformers import AutoTokenizer

    config = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast", **told}
    files = {"tokenizer": LLAMA if puts else {**LLAMA, "post_processor": None}, "tokenizer_config": config}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    ids = AutoTokenizer.from_pretrained(tmp_path)("cat").input_ids
    assert PublishedTokenizer(*files.values()).encode_alone("cat") == ids


def test_roles_of_ids():
    theirs = library(QWEN)
    end, pad = theirs.token_to_id("<|im_end|>"), theirs.token_to_id("<|endoftext|>")
    tokenizer = PublishedTokenizer(QWEN, CONFIG, [end, pad])
    assert tokenizer.special == SpecialIds(padding=pad, ends=(end, pad), always_before=False)
    assert tokenizer.special_names == {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    config = {"bos_token": "<s>", "eos_token": "</s>"}
    assert PublishedTokenizer(LLAMA, config).special == SpecialIds(start=1, ends=(2,), unknown=3)
    gpt2 = PublishedTokenizer(QWEN, dict.fromkeys(["bos_token", "eos_token", "unk_token"], "<|endoftext|>")).special
    assert gpt2 == SpecialIds(start=pad, ends=(pad,), always_before=False)


@pytest.mark.parametrize("tokenizer", [QWEN, LLAMA, sentence_pieces(TEXTS)], ids=["qwen", "llama2", "gemma"])
def test_ids_and_texts_are_the_librarys(tokenizer):
    ours, theirs = PublishedTokenizer(tokenizer), library(tokenizer)
    texts = [*TEXTS, "", " ", "  two  spaces", "e\u0301 ☃\ufe0f 天地 \u0958", "\r\n\t\x00", "▁▁ ▁", "don't DON'T"]
    ids = [encoding.ids for encoding in theirs.encode_batch(texts, add_special_tokens=False)]
    assert ours.encode_batch(texts) == ids
    assert [ours.decode(row) for row in ids] == theirs.decode_batch(ids)
    assert [row for row, _ in ours.encode_batch_with_offsets(texts)] == ids
    marked = [f"<s>{text}<|im_end|></s> {text}<think>" for text in texts]
    assert [ours.encode_marked(text) for text in marked] == [
        theirs.encode(text, add_special_tokens=False).ids for text in marked
    ]
    assert tokenizer_from_json(ours.to_json()).encode_batch(texts) == ids
    assert ours.vocabulary_size == theirs.get_vocab_size()


def test_bytes_that_are_yet_to_come_do_not_change_the_text_before():
    tokenizer = PublishedTokenizer(LLAMA)
    ids = tokenizer.encode("a😀🚀")
    assert len(ids) > 8, "neither is in the vocabulary"
    assert tokenizer.decode(ids) == "a😀🚀"
    assert tokenizer.decode(ids[:-1]).rstrip("\ufffd") == "a😀"


def test_ids_without_a_token_are_skipped():
    tokenizer = PublishedTokenizer(QWEN)
    ids = tokenizer.encode("abc")
    assert tokenizer.decode([10**6, *ids, -1]) == "abc"


def test_a_decoder_of_another_kind_is_the_librarys():
    other = {**QWEN, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}
    ids = library(QWEN).encode("some text").ids
    assert PublishedTokenizer(other).decode(ids) == library(other).decode(ids)


@pytest.mark.parametrize(
    ("template", "expected"),
    [("{{ x }}", "{{ x }}"), ([{"name": "default", "template": "d"}], "d"), ([{"name": "rag"}], None), (None, None)],
)
def test_templates(template, expected):
    assert PublishedTokenizer(QWEN, {"chat_template": template}).chat_template == expected


def damaged(**parts):
    return {**QWEN, **parts}


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (None, "content of a tokenizer.json"),
        ({"model": 5}, "content of a tokenizer.json"),
        (damaged(model={"type": "WordLevel", "vocab": {"a": 0}}), "got WordLevel"),
        (damaged(model={"vocab": {"a": 0}, "merges": ["a b"]}), "cannot be used"),
        (damaged(model={"vocab": {"a": 2**31}, "merges": []}), "damaged tokenizer.json: 6 tokens have ids up to"),
        (damaged(pre_tokenizer={"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"}), "cannot be used"),
        (damaged(version="7"), "cannot be used"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tokenizer, message):
    with pytest.raises(InputError, match=message) as caught:
        PublishedTokenizer(tokenizer)
    assert "\n" not in str(caught.value)


def test_a_regular_expression_that_backtracks_without_end_is_an_error():
    cut = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    with pytest.raises(InputError, match="retry-limit"):
        PublishedTokenizer(damaged(pre_tokenizer=cut)).encode("a" * 50 + "b")


def test_it_cannot_be_fitted():
    with pytest.raises(InputError, match="cannot be fitted"):
        PublishedTokenizer(QWEN).fit(["text"])
