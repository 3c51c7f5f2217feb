"""GGUF files from strangers: counts, lengths, shapes and places that lie."""

import json
import os
import struct

import numpy as np
import pytest
import safetensors.numpy

from lmkeras.errors import InputError
from lmkeras.pretrained.source import open_source
from tests.pretrained.gguf.files import LLAMA, LLAMA_SHAPES, TOKENIZER, drawn, write_gguf
from tests.security.hostile import little_memory, pickled

FLOAT32, Q4_0, TEXT, ARRAY, UINT32 = 0, 2, 8, 9, 4


def text(content: bytes, length=None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def pair(name: bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def described(name: bytes, shape, kind=FLOAT32, offset=0, dimensions=None) -> bytes:
    count = len(shape) if dimensions is None else dimensions
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", count, *shape, kind, offset)


def gguf_file(pairs=(), tensors=(), *, counts=None, content=bytes(256), version=3) -> bytes:
    """A file of these parts; `counts` says how many tensors and pairs it claims to have."""
    counts = counts or (len(tensors), len(pairs))
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(pairs) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + content


ARCHITECTURE = pair(b"general.architecture", TEXT, text(b"llama"))
EMBEDDING = b"token_embd.weight"


def with_alignment(kind, value):
    return gguf_file([pair(b"general.alignment", kind, value)])


def with_tensors(*tensors):
    return gguf_file([ARCHITECTURE], tensors)


HARMS = {
    "nothing": (b"", "cannot|empty"),
    "another format": (b"PK\3\4" + bytes(100), "does not begin with GGUF"),
    "the magic alone": (b"GGUF", "ends within its metadata: it is truncated"),
    "version 1": (gguf_file(version=1), "version 1 of the format: expected version 2 or 3"),
    "another order of bytes": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian order"),
    "many pairs": (gguf_file([ARCHITECTURE], counts=(0, 2**64 - 1)), "ends within its metadata|twice|unknown type"),
    "many tensors": (gguf_file([ARCHITECTURE], counts=(2**64 - 1, 1)), "dimensions|ends within|twice"),
    "a long name": (gguf_file([text(b"x", 2**63)], counts=(0, 1)), "ends within its metadata"),
    "a long text": (gguf_file([pair(b"x", TEXT, text(b"y", 2**40))]), "ends within its metadata"),
    "no UTF-8": (gguf_file([pair(b"x", TEXT, text(b"\xff\xfe"))]), "utf-8"),
    "many texts": (gguf_file([pair(b"x", ARRAY, struct.pack("<IQ", TEXT, 2**60))]), "ends within its metadata"),
    "many numbers": (gguf_file([pair(b"x", ARRAY, struct.pack("<IQ", 12, 2**61))]), "ends within its metadata"),
    "lists of lists": (gguf_file([pair(b"x", ARRAY, struct.pack("<IQIQ", ARRAY, 1, ARRAY, 1))]), "list of lists"),
    "an unknown type": (gguf_file([pair(b"x", 77, b"")]), "unknown type 77"),
    "infinity": (gguf_file([pair(b"x", 6, struct.pack("<f", np.inf))]), "the number inf"),
    "one key twice": (gguf_file([ARCHITECTURE, ARCHITECTURE]), "'general.architecture' twice"),
    "an alignment of zero": (
        gguf_file([pair(b"general.alignment", UINT32, bytes(4))]),
        "alignment is 0: expected a power",
    ),
    "a giant alignment": (
        gguf_file([pair(b"general.alignment", 10, b"\0" * 7 + b"\x40")]),
        "alignment is 4611686018427",
    ),
    "an alignment of text": (with_alignment(TEXT, text(b"a" * 9999)), "alignment is 'aaa"),
    "one tensor twice": (gguf_file([ARCHITECTURE], [described(EMBEDDING, [4])] * 2), "'token_embd.weight' twice"),
    "no dimensions": (with_tensors(described(EMBEDDING, [])), "has 0 dimensions"),
    "many dimensions": (
        with_tensors(described(EMBEDDING, [1], dimensions=2**31)),
        "2147483648 dimensions",
    ),
    "a giant tensor": (with_tensors(described(EMBEDDING, [2**40, 2**40])), "the file is truncated"),
    "a negative dimension": (with_tensors(described(EMBEDDING, [2**64 - 1])), "the file is truncated"),
    "a product that overflows": (
        with_tensors(described(EMBEDDING, [2**32, 2**32])),
        "the file is truncated",
    ),
    "a dimension of zero": (with_tensors(described(EMBEDDING, [2**40, 0])), "no whole blocks"),
    "parts of blocks": (with_tensors(described(EMBEDDING, [33], Q4_0)), "no whole blocks of 32"),
    "a place beyond the end": (with_tensors(described(EMBEDDING, [4], offset=2**62)), "is truncated"),
    "a place between": (with_tensors(described(EMBEDDING, [4], offset=3)), "at no multiple of 32"),
    "one place for two": (
        with_tensors(described(EMBEDDING, [16]), described(b"output.weight", [16], offset=32)),
        "'output.weight' begins at byte .*, within 'token_embd.weight'",
    ),
    "an unknown quantisation": (with_tensors(described(EMBEDDING, [4], 999)), "quantisation number 999"),
    "no architecture": (gguf_file(), "a model of the architecture None"),
    "no sizes": (with_tensors(described(EMBEDDING, [4])), "llama.embedding_length is missing"),
    "an architecture for a terminal": (
        gguf_file([pair(b"general.architecture", TEXT, text(b"\x1b[2J\n" * 9999))]),
        r"architecture '\\x1b\[2J\\n",
    ),
}


def refused(path, reason):
    with little_memory(), pytest.raises(InputError, match=reason) as caught:
        open_source(path).tokenizer_files()
    message = str(caught.value)
    assert len(message) < 1000
    assert "\n" not in message
    assert "\x1b" not in message
    assert str(path) in message


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.gguf"


@pytest.mark.parametrize("harm", HARMS)
def test_files_that_lie_are_refused(path, harm):
    content, reason = HARMS[harm]
    path.write_bytes(content)
    refused(path, reason)


def test_a_file_that_is_cut_anywhere_is_refused(path):
    write_gguf(path, **TOKENIZER)
    content = path.read_bytes()
    for length in [*range(0, 2000, 97), len(content) - 5000, len(content) - 33]:
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"model.gguf") as caught:
            open_source(path)
        assert "truncated" in str(caught.value) or length < 4


def test_bytes_that_are_changed_anywhere_are_no_crash(path):
    """Whatever a byte of the metadata becomes, the file is read or refused by an InputError."""
    write_gguf(path, **TOKENIZER)
    content, draw = path.read_bytes(), np.random.default_rng(0)
    end = content.index(b"blk.0.ffn_down.weight") + 60
    read = 0
    with little_memory():
        for place in draw.integers(4, end, 200):
            path.write_bytes(content[:place] + bytes([draw.integers(256)]) + content[place + 1 :])
            error = error_of_reading(path)
            assert "\n" not in error
            read += not error
    assert 0 < read < 200


def error_of_reading(path):
    try:
        source = open_source(path)
        source.tokenizer_files()
    except InputError as error:
        return str(error)
    for name, shape in source.shapes.items():
        assert source.read(name).shape == shape
    return ""


def test_a_header_without_end_is_not_read(path):
    """Of a sparse file of 10 gigabytes that is all metadata, some megabytes are looked at."""
    path.write_bytes(gguf_file([pair(b"x", TEXT, text(b"", 2**33))]))
    os.truncate(path, 10 * 2**30)
    refused(path, "more than 67,108,864 bytes of metadata, or a length in it is wrong")


def test_a_pickle_is_not_unpickled(path, marker):
    path.write_bytes(pickled(marker))
    refused(path, "does not begin with GGUF")


def test_a_link_that_leads_out_of_the_folder_is_refused(path, tmp_path):
    (tmp_path / "inner").mkdir()
    write_gguf(path)
    (tmp_path / "inner" / "model.gguf").symlink_to(path)
    refused(tmp_path / "inner" / "model.gguf", "is a link that leads out of its folder")


def test_pieces_of_any_length_take_no_time_beyond_their_worth(path):
    """The splits of a piece of a million characters into two would be a million texts of that length."""
    tokens = ["<unk>", "a" * 10**6, *(chr(0x4E00 + index) for index in range(100))]
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * len(tokens),
    }
    tensors = {**drawn(LLAMA_SHAPES), "token_embd.weight": np.zeros((len(tokens), 32), "float32")}
    write_gguf(path, tensors=tensors, **metadata)
    with little_memory():
        assert open_source(path).tokenizer_files()["tokenizer"]["model"]["merges"] == []


@pytest.mark.parametrize(
    "sizes", [{"attention.head_count": 2**31}, {"block_count": 2**32 - 1}, {"embedding_length": 2**32 - 1}]
)
def test_sizes_that_lie_take_no_memory_here(path, sizes):
    """Who builds the network compares them with the shapes first."""
    write_gguf(path, sizes={**LLAMA, **sizes}, **TOKENIZER)
    with little_memory():
        error = error_of_reading(path)
    assert error == "" or "not the same for each head" in error


def index_of(folder, content):
    (folder / "config.json").write_text("{}")
    safetensors.numpy.save_file({"x": np.zeros(4, "float32")}, folder / "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"weight_map": []},
        {"weight_map": {"x": "../model-1.safetensors"}},
        {"weight_map": {"x": "model-1.safetensors", "y" * 10**6: "model-1.safetensors"}},
        {"weight_map": {"x": "model-1.safetensors"}, "metadata": {"total_size": 10**400}},
        {"weight_map": {"x\x1b[2J\n": "model-1.safetensors"}},
    ],
    ids=range(6),
)
def test_an_index_that_lies_is_refused(tmp_path, content):
    index_of(tmp_path, content)
    refused(tmp_path, r"model.safetensors.index.json")
