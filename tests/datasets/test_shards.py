import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkeras.datasets import open_shards, tokenize, write_shards
from lmkeras.datasets.judged_windows import text_windows
from lmkeras.datasets.shard_files import digest_of, read_description, write_description
from lmkeras.datasets.windows import Frame
from lmkeras.errors import InputError
from lmkeras.tokenizers import new_tokenizer
from lmkeras.tokenizers.keras_words import Tokenizer
from lmkeras.tokenizers.special import SpecialIds

TOKENIZER = new_tokenizer("characters").fit(["ab"])


def written(folder, lengths, shard_tokens=10):
    """Shards of texts of those lengths."""
    texts = ["ab"[number % 2] * length for number, length in enumerate(lengths)]
    return write_shards(texts, str(folder), lambda: TOKENIZER, {}, shard_tokens, overwrite=True), texts


@pytest.fixture
def shards(tmp_path):
    return written(tmp_path / "tokens", [4, 5, 6, 7, 8])[0]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=9), st.integers(1, 40), st.integers(1, 99))
def test_a_split_is_at_the_last_text_that_begins_before_the_place(lengths, shard_tokens, percent):
    if sum(length > 0 for length in lengths) < 2:
        lengths += [1, 1]
    shards, texts = written("ram://split/tokens", lengths, shard_tokens)
    whole = tokenize(texts, TOKENIZER)
    place = len(whole.ids) * (100 - percent) // 100
    cut = max(whole.starts[1], max(start for start in whole.starts if start <= place))
    train, validation = shards.split(percent / 100)
    for part, first, end in ((train, 0, cut), (validation, cut, len(whole.ids))):
        stream = part.stream()
        inside = (whole.starts >= first) & (whole.starts < end)
        assert stream.ids.tolist() == whole.ids[first:end].tolist()
        assert stream.starts.tolist() == (whole.starts[inside] - first).tolist()
        assert (part.num_ids, part.num_texts) == (end - first, inside.sum())
        assert stream.characters == stream.tokens == part.num_tokens
    again = train.split(0.5) if train.num_texts > 1 else (train,)
    assert np.concatenate([part.stream().ids for part in again]).tolist() == whole.ids[:cut].tolist()


def test_shards_come_back_with_the_ids_around_each_text(tmp_path, monkeypatch):
    tokenizer = new_tokenizer("characters").fit(["abcdef"])
    start, end, other_end, padding = tokenizer.encode("cdef")
    monkeypatch.setattr(Tokenizer, "special", SpecialIds(padding, start, (end, other_end), unknown=1))
    texts = ["ab" * 4, "", "b?a", "a" * 9, "b"]
    shards, whole = write_shards(texts, str(tmp_path), lambda: tokenizer, {}, 10), tokenize(texts, tokenizer)
    assert [part.texts for part in shards.parts] == [2, 2]
    assert (shards.frame, shards.num_texts, shards.num_tokens, shards.num_ids) == (Frame(start, end), 4, 21, 29)
    assert read_description(str(tmp_path / "manifest.json"))["tokens"] == 21
    assert [shards.texts(part).ids[[0, -1]].tolist() for part in shards.parts] == [[start, end]] * 2
    for stream in (shards.stream(), open_shards(tmp_path).stream()):
        assert stream.ids.tolist() == whole.ids.tolist()
        assert stream.starts.tolist() == whole.starts.tolist()
        assert (stream.tokens, stream.characters, stream.unknown_tokens) == (21, 21, 1)
        assert (stream.frame, stream.filler) == (Frame(start, end), padding)
        judged = [i for ids, count in text_windows(stream, 4) for i in ids[len(ids) - count :].tolist()]
        assert judged == [i for text in texts for i in tokenizer.encode(text)]
    train, validation = shards.split(0.5)
    assert [part.num_tokens for part in (train, validation)] == [8, 13]
    ids = [part.stream().ids.tolist() for part in (train, validation)]
    assert ids == [whole.ids[:10].tolist(), whole.ids[10:].tolist()]


def test_shards_of_version_0_1_have_a_zero_before_each_text(shards, tmp_path):
    path = str(tmp_path / "tokens" / "manifest.json")
    manifest = read_description(path)
    assert manifest.pop("frame") == [0, None]
    write_description(path, manifest)
    old = open_shards(tmp_path / "tokens")
    assert (old.frame, old.num_tokens) == (Frame(0, None), 30)
    assert old.stream().ids.tolist() == shards.stream().ids.tolist()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_split_with_a_fraction_that_is_none_is_refused(fraction, shards):
    with pytest.raises(InputError, match="between 0 and 1"):
        shards.split(fraction)


def test_one_text_cannot_be_split(tmp_path):
    with pytest.raises(InputError, match=r"one text.*--validation"):
        written(tmp_path, [50, 0])[0].split(0.1)


def test_a_digest_is_of_the_ids_and_of_the_part(shards, tmp_path):
    same = written(tmp_path / "same", [4, 5, 6, 7, 8])[0]
    other = written(tmp_path / "other", [4, 5, 6, 7, 9])[0]
    train, validation = shards.split(0.5)
    assert shards.digest() == same.digest()
    assert train.digest() == same.split(0.5)[0].digest()
    assert len({shards.digest(), other.digest(), train.digest(), validation.digest()}) == 4


def test_damage_is_found_and_named(shards, tmp_path):
    folder = tmp_path / "tokens"
    for name, read in [
        ("tokens-00001.tfrecord", lambda: open_shards(folder).stream()),
        ("tokenizer.json", lambda: open_shards(folder).tokenizer),
        ("manifest.json", lambda: open_shards(folder)),
    ]:
        path = folder / name
        content = path.read_bytes()
        place = content.rindex(b"1") if name.endswith("json") else len(content) // 2
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError, match=f"{name} is damaged"):
            read()
        path.write_bytes(content[:-9])
        with pytest.raises(InputError, match=name):
            read()
        path.write_bytes(content)
        read()
    (folder / "tokens-00001.tfrecord").unlink()
    with pytest.raises(InputError, match=r"tokens-00001\.tfrecord cannot be read: No such file"):
        open_shards(folder).stream()


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "O"},
        {"shards": [{"name": "tokens-0.tfrecord"}]},
        {"shards": 3},
        {"name": "../a.tfrecord"},
        *({"frame": frame} for frame in (3, [], "ab", [None, 1], [-1, 1], [1, True], [1, 2, 3], [1 << 40, None])),
    ],
    ids=str,
)
def test_a_manifest_of_strangers_names_nothing_else(change, shards, tmp_path):
    """One whose digest is right, but that `lmkeras tokenize` never wrote."""
    path = str(tmp_path / "tokens" / "manifest.json")
    manifest = read_description(path)
    if "name" in change:
        change = {"shards": [manifest["shards"][0] | change]}
    write_description(path, manifest | change)
    with pytest.raises(InputError, match="not what lmkeras tokenize writes"):
        open_shards(tmp_path / "tokens")


@pytest.mark.parametrize("content", [b"a", b"\xff" * 8 + bytes(40), b"\1" + bytes(19), b""], ids=str)
def test_a_shard_of_strangers_is_refused(content, shards, tmp_path):
    folder = tmp_path / "tokens"
    manifest = read_description(str(folder / "manifest.json"))
    manifest["shards"][0]["sha256"] = digest_of(content)
    write_description(str(folder / "manifest.json"), manifest)
    (folder / "tokens-00000.tfrecord").write_bytes(content)
    with pytest.raises(InputError, match=r"tokens-00000\.tfrecord (is no shard|holds)"):
        open_shards(folder).stream()


def test_another_format_is_refused(shards, tmp_path):
    path = tmp_path / "tokens" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 2}))
    with pytest.raises(InputError, match="format 2; this version of lmkeras reads 1"):
        open_shards(tmp_path / "tokens")


@pytest.mark.parametrize("manifest", [None, "[]", '{"name": "an app"}'])
def test_a_folder_of_others_is_no_tokenized_corpus(manifest, tmp_path):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert open_shards(tmp_path) is None


@pytest.mark.parametrize("source", [["a text"], "a text\0", "tfds:name", "ram://nowhere/at/all", "x" * 9999, None])
def test_what_is_no_folder_is_no_tokenized_corpus(source):
    assert open_shards(source) is None


def test_the_tokenizer_must_be_the_one_that_made_the_ids(shards):
    shards.require_tokenizer(new_tokenizer("characters").fit(["ab"]))
    with pytest.raises(InputError, match="--tokenizer-from"):
        shards.require_tokenizer(new_tokenizer("characters").fit(["abc"]))
    assert open_shards(shards) is shards
