import hashlib
import json
import struct

import numpy as np
import pytest
import tensorflow as tf

from lmkeras.corpora import Corpus
from lmkeras.datasets import evenly, open_shards, tokenize, write_shards
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer

TEXTS = [f"text {number}: " + "äbc!" * (7 * number % 23) for number in range(20)] + ["", "?", ""]
SHARD_TOKENS = 120


class Stopped(Exception):
    pass


def fitted(texts=TEXTS):
    return new_tokenizer("characters").fit([text.replace("?", "") for text in texts])


def write(folder, texts=TEXTS, make=fitted, made_of=None, **options):
    return write_shards(texts, str(folder), make, made_of or {"text": "texts"}, SHARD_TOKENS, **options)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """One text at a time: more blocks than may be under way, and shards that end when their texts are read."""
    monkeypatch.setattr("lmkeras.datasets.encoding._BLOCK_CHARACTERS", 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted run writes."""
    folder = tmp_path_factory.mktemp("whole")
    write(folder)
    return files(folder)


@pytest.mark.parametrize("place", ["ram://tokens/some", "local"])
@pytest.mark.parametrize("name", ["characters", "words", "byte_pair"])
def test_shards_hold_what_tokenize_makes(name, place, tmp_path):
    tokenizer = new_tokenizer(name).fit(TEXTS[:9])
    folder = f"{place}/{name}" if "://" in place else str(tmp_path / place)
    written = write(folder, make=lambda: tokenizer)
    stream, expected = written.stream(), tokenize(TEXTS, tokenizer)
    assert len(written.parts) > 1
    assert stream.ids.dtype == expected.ids.dtype
    assert stream.ids.tolist() == expected.ids.tolist()
    assert stream.starts.tolist() == expected.starts.tolist()
    characters = sum(len(text) for text in TEXTS if tokenizer.encode(text))  # "?" is no word
    assert (stream.characters, stream.unknown_tokens) == (characters, expected.unknown_tokens)
    assert (written.num_ids, written.num_texts) == (len(expected.ids), len(expected.starts))
    assert written.num_tokens == expected.tokens
    assert open_shards(folder).tokenizer.to_json() == tokenizer.to_json()


def test_records_and_manifest_as_tensorflow_reads_them(whole, tmp_path):
    write(tmp_path)
    manifest, tokenizer = json.loads(whole["manifest.json"]), fitted()
    records = tf.data.TFRecordDataset([str(tmp_path / shard["name"]) for shard in manifest["shards"]])
    texts = [text for text in TEXTS if text]
    for record, text in zip(records.as_numpy_iterator(), texts, strict=True):
        assert struct.unpack("<II", record[:8]) == (len(text), text.count("?"))
        assert np.frombuffer(record[8:], "<u2").tolist() == [0, *tokenizer.encode(text)]
    characters = sum(map(len, TEXTS))
    assert {name: manifest[name] for name in ("tokens", "characters", "texts", "unknown_tokens")} == {
        "tokens": characters,
        "characters": characters,
        "texts": len(texts),
        "unknown_tokens": 1,
    }
    assert manifest["vocabulary_size"] == tokenizer.vocabulary_size
    assert manifest["tokenizer_sha256"] == hashlib.sha256(whole["tokenizer.json"]).hexdigest()
    for shard in manifest["shards"]:
        content = whole[shard["name"]]
        assert (shard["bytes"], shard["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert all(shard["tokens"] >= SHARD_TOKENS for shard in manifest["shards"][:-1])
    assert set(whole) == {"manifest.json", "tokenizer.json", *(shard["name"] for shard in manifest["shards"])}


def test_workers_change_nothing(whole, tmp_path):
    write(tmp_path, workers=2)
    assert files(tmp_path) == whole


def test_a_vocabulary_of_more_than_16_bits(tmp_path):
    characters = [chr(code) for code in range(0x10000, 0x10000 + 70_000)]
    tokenizer = new_tokenizer("characters").fit(characters)
    stream = write(tmp_path, ["".join(characters)], lambda: tokenizer).stream()
    assert stream.ids.tolist() == [0, *tokenizer.encode("".join(characters))]
    assert stream.ids.max() > 1 << 16


def breaking(texts, at):
    """The texts up to one at which reading them fails."""
    yield from texts[:at]
    raise Stopped


@pytest.mark.parametrize("at", range(0, len(TEXTS) + 1, 2))
def test_resumed_runs_end_as_uninterrupted_ones(at, whole, tmp_path):
    with pytest.raises(Stopped):
        write(tmp_path, breaking(TEXTS, at))
    assert "manifest.json" not in files(tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("tokens-*.tfrecord")}
    (tmp_path / "tokens-00009.tfrecord.writing").write_bytes(b"half a shard")
    fits = []
    write(tmp_path, make=lambda: fits.append(1) or fitted(), resume=True)
    assert files(tmp_path) == whole
    assert not fits, "the tokenizer is there already"
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("tokens-*") if path.name in kept} == kept


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("operation", ["rename", "remove"])
def test_resumed_after_an_end_between_any_two_changes_of_the_folder(operation, overwrite, whole, tmp_path, monkeypatch):
    """Every time a file is renamed or removed, the process ends before it, and after it."""
    digests = {write(tmp_path / "new").stream().digest()}
    if overwrite:
        digests.add(write(tmp_path / "old", ["another corpus " * 40] * 3).stream().digest())
    old, ends = (files(tmp_path / "old") if overwrite else {}), 0
    real = getattr(tf.io.gfile, operation)
    for number in range(100):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        for name, content in old.items():
            (folder / name).write_bytes(content)
        left = [number]

        def change(*args, left=left, **options):
            if left[0] in (0, 1):
                if left[0] == 1:
                    real(*args, **options)
                left[0] = -1
                raise Stopped
            left[0] -= 2
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(tf.io.gfile, operation, change)
            try:
                write(folder, overwrite=overwrite)
            except Stopped:
                ends += 1
        if left[0] >= 0:
            break
        if "manifest.json" in files(folder):
            assert open_shards(folder).stream().digest() in digests, "a manifest vouches for the rest"
        begun = "unfinished.json" in files(folder) or files(folder).get("manifest.json") == whole["manifest.json"]
        write(folder, resume=begun, overwrite=not begun)
        assert files(folder) == whole
    assert ends > (4 if operation == "rename" else 0)


def test_a_shard_that_was_damaged_in_the_meantime_is_written_again(whole, tmp_path):
    with pytest.raises(Stopped):
        write(tmp_path, breaking(TEXTS, len(TEXTS)))
    path = tmp_path / "tokens-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "tokens-00002.tfrecord").unlink()
    write(tmp_path, resume=True)
    assert files(tmp_path) == whole


def test_a_run_at_its_end_is_left_alone(whole, tmp_path):
    write(tmp_path)
    assert write(tmp_path, breaking(TEXTS, 0), resume=True).num_tokens == json.loads(whole["manifest.json"])["tokens"]
    with pytest.raises(InputError, match=r"holds a tokenized corpus already.*--overwrite"):
        write(tmp_path)
    assert files(tmp_path) == whole
    write(tmp_path, ["short"], overwrite=True)
    assert open_shards(tmp_path).num_texts == 1
    assert len(files(tmp_path)) == 3, "no shard of the earlier corpus is left"


def test_only_the_same_run_is_gone_on_with(tmp_path):
    with pytest.raises(Stopped):
        write(tmp_path, breaking(TEXTS, 15))
    before = files(tmp_path)
    assert any(name.endswith("1.tfrecord") for name in before)
    for options, says in [
        ({}, "was not ended: say --resume, or say --overwrite"),
        ({"resume": True, "overwrite": True}, "say one of them"),
        ({"resume": True, "made_of": {"text": "others"}}, "was begun with text 'texts', and now it is 'others'"),
        ({"resume": True, "texts": [TEXTS[1], *TEXTS[1:]]}, "the text is not what it was when tokens-00000"),
        ({"resume": True, "texts": TEXTS[:2]}, "the text is not what it was when tokens-00000"),
    ]:
        with pytest.raises(InputError, match=says):
            write(tmp_path, **options)
        assert files(tmp_path) == before
    with pytest.raises(InputError, match="shard_tokens 120, and now it is 121"):
        write_shards(TEXTS, str(tmp_path), fitted, {"text": "texts"}, 121, resume=True)
    with pytest.raises(InputError, match=r"not tokenized to its end.*--resume"):
        open_shards(tmp_path)


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}], ids=str)
def test_a_folder_of_something_else_is_refused(options, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="name a new folder"):
        write(tmp_path, **options)
    assert files(tmp_path) == {"config.json": b"{}"}
    with pytest.raises(InputError, match="is a file"):
        write(tmp_path / "config.json", **options)


def test_what_cannot_be_written_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match="nosuch"):
        write("nosuch://bucket/folder")
    with pytest.raises(InputError, match="no tokens"):
        write(tmp_path / "empty", ["", ""])
    for options in ({"shard_tokens": 0}, {"shard_tokens": 1 << 40}, {"workers": 0}):
        with pytest.raises(InputError, match=f"{next(iter(options))} must be"):
            write_shards(TEXTS, str(tmp_path / "new"), fitted, {}, **options)


def test_without_any_token_nothing_is_left(tmp_path):
    with pytest.raises(InputError, match="no tokens"):
        write(tmp_path / "new", ["", " "], lambda: new_tokenizer("words").fit(["a"]))
    assert files(tmp_path / "new") == {}


def test_a_worker_that_is_killed_is_an_input_error(tmp_path):
    killing = new_tokenizer("words").fit(["a"])
    with pytest.raises(InputError, match="fewer --workers"):
        write_shards([KillsItsReader("a b")] * 3, str(tmp_path), lambda: killing, {}, workers=2)


class KillsItsReader(str):
    """A text at which the process ends that unpickles it."""

    def __reduce__(self):
        import os

        return os._exit, (1,)


def test_a_sample_is_of_the_whole_corpus_and_no_larger_than_asked_for():
    texts = [chr(ord("a") + number) * 100_000 for number in range(20)] + ["é" * 50_000]
    sample = list(evenly(texts, 400_000))
    assert sum(len(text.encode()) for text in sample) == pytest.approx(400_000, rel=0.05)
    assert sum(len(text.encode()) for text in sample) <= 400_000
    for number in range(20):
        taken = sum(map(len, (text for text in sample if text[0] == chr(ord("a") + number))))
        assert taken == pytest.approx(400_000 / 21, abs=8192), "every text has its share"
    assert list(evenly(texts, 400_000)) == sample
    corpus = Corpus.from_texts(texts)
    assert evenly(corpus, 2_100_000) is corpus
    short = [f"{number:05}" for number in range(10_000)]
    assert len(list(evenly(short, 5_000))) == 1_000
