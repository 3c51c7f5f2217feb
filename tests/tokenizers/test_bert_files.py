"""Reading and writing the folders of BERT tokenizers, ours and those that transformers writes."""

import json
import sys
import unicodedata

import huggingface_hub
import pytest
import tensorflow as tf
from transformers import AutoTokenizer, BertTokenizerFast

from lmkeras.errors import InputError
from lmkeras.tokenizers.word_piece import WordPieceTokenizer
from tests.tokenizers.word_pieces import SETTINGS, SPECIAL, trained


def write(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


SEPARATORS = ("Cc", "Zs", "Zl", "Zp")
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
        ({}, "expected vocab.txt, tokenizer.json, or vocab.json with merges.txt"),
        ({"vocab.txt": "a\nb"}, "lacks the special tokens"),
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
    def offline(*arguments, **settings):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(InputError, match=f"no folder '{name}'.*no connection.*give a folder"):
        WordPieceTokenizer.from_pretrained(name)


def test_names_on_the_hub_are_downloaded(monkeypatch, tmp_path):
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


def test_vocabularies_with_every_separator_come_back(tmp_path):
    # id 343 of Google's Chinese BERT is U+2028
    separators = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in SEPARATORS]
    assert set(separators) >= set("\x0b\x0c\x1c\x85\u2028\u2029\u3000")
    pieces = [
        *SPECIAL,
        *(piece for c in separators if c not in "\r\n" for piece in (c, f"a{c}", f"##{c}b")),
        "\ufeff",
        "",
    ]
    WordPieceTokenizer(pieces, lowercase=False).save_vocabulary(tmp_path)
    assert WordPieceTokenizer.from_pretrained(tmp_path).vocabulary == pieces
    # transformers drops white space at the end of a line, but it counts the same lines
    theirs = BertTokenizerFast.from_pretrained(tmp_path).get_vocab()
    assert {piece: theirs[piece] for piece in pieces if piece.startswith("##")} == {
        piece: id for id, piece in enumerate(pieces) if piece.startswith("##")
    }


def test_a_cased_vocabulary_without_a_config_has_the_ids_of_transformers_and_a_warning(tmp_path, caplog):
    write(tmp_path, "vocab.txt", "\n".join([*SPECIAL, "[unused1]", "The", "the", "Été", "ete", "##S", "天"]))
    ours, theirs = WordPieceTokenizer.from_pretrained(tmp_path), BertTokenizerFast.from_pretrained(tmp_path)
    text = "The Été theS 天"
    assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"] == [7, 9, 1, 11]
    (warning,) = caplog.messages
    for part in (str(tmp_path), "3 of 12 pieces", "'The'", '{"do_lower_case": false}', "lowercase=False"):
        assert part in warning
    caplog.clear()
    assert WordPieceTokenizer.from_pretrained(tmp_path, lowercase=False).encode(text) == [6, 8, 7, 10, 11]
    WordPieceTokenizer.from_pretrained(tmp_path / "vocab.txt", lowercase=True)
    write(tmp_path, "tokenizer_config.json", {"do_lower_case": False})
    assert WordPieceTokenizer.from_pretrained(tmp_path).encode(text) == [6, 8, 7, 10, 11]
    assert not caplog.messages


def test_a_vocabulary_without_capitals_needs_no_warning(tmp_path, caplog):
    write(tmp_path, "vocab.txt", "\n".join([*SPECIAL, "the", "天"]))
    WordPieceTokenizer.from_pretrained(tmp_path / "vocab.txt")
    assert not caplog.messages


@pytest.mark.parametrize("token", ["a\nb", "\r", "a\r\n"])
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
