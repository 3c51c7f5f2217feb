import gguf
import numpy as np
import pytest
from ml_dtypes import bfloat16

from lmkeras.errors import InputError
from lmkeras.pretrained.source import open_source
from tests.pretrained.gguf.files import LLAMA_SHAPES, drawn, write_gguf

EMBEDDING = "model.embed_tokens.weight"


def read_stored(path, kind, rows):
    """What is read of an embedding of these stored rows."""
    tensors = {**drawn(LLAMA_SHAPES), "token_embd.weight": rows}
    source = open_source(write_gguf(path / "model.gguf", tensors=tensors, kinds={"token_embd.weight": kind}))
    tensor = source.read(EMBEDDING)
    assert source.shapes[EMBEDDING] == tensor.shape
    assert source.dtypes[EMBEDDING] == tensor.dtype
    return tensor, source


def test_float32(tmp_path):
    tensors = drawn(LLAMA_SHAPES)
    source = open_source(write_gguf(tmp_path / "model.gguf", tensors=tensors))
    np.testing.assert_array_equal(source.read(EMBEDDING), tensors["token_embd.weight"])
    down = source.read("model.layers.0.mlp.down_proj.weight")
    np.testing.assert_array_equal(down, tensors["blk.0.ffn_down.weight"])
    assert (source.kept_dtype, source.note) == ("float32", "")
    assert (source.name, source.folder) == (str(tmp_path / "model.gguf"), tmp_path)
    assert not down.flags.writeable
    assert np.shares_memory(down, source.read("model.layers.0.mlp.down_proj.weight")), "mapped, not read"


def test_float16(tmp_path):
    rows = np.random.default_rng(1).normal(size=(6, 32)).astype("float16")
    tensor, _ = read_stored(tmp_path, "F16", rows)
    np.testing.assert_array_equal(tensor, rows)
    assert tensor.dtype == "float16"


def test_bfloat16(tmp_path):
    rows = np.random.default_rng(1).normal(size=(300, 32)).astype(bfloat16)
    tensor, source = read_stored(tmp_path, "BF16", rows.view("uint8"))
    np.testing.assert_array_equal(tensor, rows)
    assert tensor.dtype == bfloat16
    assert (source.kept_dtype, source.note) == ("bfloat16", "")


def halves(block, *places):
    """float16 numbers at byte places of a block."""
    return [float(block[place : place + 2].view("<f2")[0]) for place in places]


def q8_0(block):
    (scale,) = halves(block, 0)
    return [scale * int(number) for number in block[2:].view("int8")]


def q4_0(block):
    (scale,) = halves(block, 0)
    return [scale * (int(byte) % 16 - 8) for byte in block[2:]] + [scale * (int(byte) // 16 - 8) for byte in block[2:]]


def q4_1(block):
    scale, least = halves(block, 0, 2)
    low = [scale * (int(byte) % 16) + least for byte in block[4:]]
    return low + [scale * (int(byte) // 16) + least for byte in block[4:]]


def fifth_bits(block, place):
    bits = int.from_bytes(block[place : place + 4].tobytes(), "little")
    return [16 * (bits >> index & 1) for index in range(32)]


def q5_0(block):
    (scale,) = halves(block, 0)
    low = [int(byte) % 16 for byte in block[6:]] + [int(byte) // 16 for byte in block[6:]]
    return [scale * (number + high - 16) for number, high in zip(low, fifth_bits(block, 2), strict=True)]


def q5_1(block):
    scale, least = halves(block, 0, 2)
    low = [int(byte) % 16 for byte in block[8:]] + [int(byte) // 16 for byte in block[8:]]
    return [scale * (number + high) + least for number, high in zip(low, fifth_bits(block, 4), strict=True)]


def scales_and_minima(packed):
    """The 8 scales and 8 minima of 6 bits each, packed into 12 bytes."""
    packed = [int(byte) for byte in packed]
    first = [(packed[i] & 63, packed[i + 4] & 63) for i in range(4)]
    second = [
        (packed[i + 8] & 15 | (packed[i] >> 6) << 4, packed[i + 8] >> 4 | (packed[i + 4] >> 6) << 4) for i in range(4)
    ]
    return first + second


def q4_k(block, high=None):
    scale, least = halves(block, 0, 2)
    numbers = block[16:] if high is None else block[48:]
    values = []
    for part, (multiple, minimum) in enumerate(scales_and_minima(block[4:16])):
        for place in range(32):
            byte = int(numbers[part // 2 * 32 + place])
            number = byte >> 4 if part % 2 else byte & 15
            if high is not None:
                number += 16 * (int(high[place]) >> part & 1)
            values.append(scale * multiple * number - least * minimum)
    return values


def q5_k(block):
    return q4_k(block, high=block[16:48])


def q6_k(block):
    low, high, scales = block[:128], block[128:192], block[192:208].view("int8")
    (scale,) = halves(block, 208)
    values = []
    for index in range(256):
        half, within = divmod(index, 128)
        quarter, place = divmod(within, 32)
        byte = int(low[64 * half + 32 * (quarter % 2) + place])
        four = byte >> 4 if quarter >= 2 else byte & 15
        two = int(high[32 * half + place]) >> (2 * quarter) & 3
        values.append(scale * int(scales[index // 16]) * (four + 16 * two - 32))
    return values


FORMULAS = {
    "Q8_0": q8_0,
    "Q4_0": q4_0,
    "Q4_1": q4_1,
    "Q5_0": q5_0,
    "Q5_1": q5_1,
    "Q4_K": q4_k,
    "Q5_K": q5_k,
    "Q6_K": q6_k,
}
HALVES_AT = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


@pytest.mark.parametrize("kind", FORMULAS)
def test_quantised_tensors_are_what_the_formula_says(tmp_path, kind):
    """The stored bytes are drawn at random, so that every bit counts; the scales are small numbers."""
    count, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    draw = np.random.default_rng(3)
    blocks = draw.integers(256, size=(10, size), dtype="uint8")
    for place in HALVES_AT.get(kind, (0,)):
        blocks[:, place : place + 2] = draw.normal(size=(10, 1)).astype("float16").view("uint8")
    # an embedding must have rows of 32 numbers in a Llama of that width: this one is wider where blocks are
    tensor, source = read_stored(tmp_path, kind, blocks.reshape(5, 2 * size))
    expected = np.array([FORMULAS[kind](block) for block in blocks]).reshape(5, 2 * count)
    np.testing.assert_allclose(tensor, expected, rtol=2e-6, atol=1e-6)
    assert tensor.dtype == "float32"
    assert source.note == f"model.gguf is quantised ({kind}): its weights are unpacked"


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_what_is_quantised_comes_back_nearly(tmp_path, kind):
    """Each block has a step of its own: numbers come back to within one step, the largest one divided by the steps."""
    rows = np.random.default_rng(4).normal(size=(8, 64)).astype("float32")
    tensor, _ = read_stored(tmp_path, kind, rows)
    steps = {"Q8_0": 127, "Q4_0": 8, "Q4_1": 7.5, "Q5_0": 16, "Q5_1": 15.5}[kind]
    assert np.abs(tensor - rows).max() <= 1.01 * np.abs(rows).max() / steps


def interleaved(tensor, heads):
    """PyTorch's rows of queries or keys in the order of GGUF: of each head first 0 and half, then 1 and half + 1, …"""
    half = len(tensor) // heads // 2
    order = [head * 2 * half + part * half + index for head in range(heads) for index in range(half) for part in (0, 1)]
    return tensor[order]


def test_queries_and_keys_of_a_llama_get_back_their_order(tmp_path):
    theirs = {**drawn(LLAMA_SHAPES), "blk.0.attn_q.bias": np.arange(32, dtype="float32")}
    stored = dict(theirs)
    for name, heads in (("attn_q.weight", 4), ("attn_q.bias", 4), ("attn_k.weight", 2)):
        stored[f"blk.0.{name}"] = interleaved(theirs[f"blk.0.{name}"], heads)
    source = open_source(write_gguf(tmp_path / "model.gguf", tensors=stored))
    for name in ("q_proj.weight", "q_proj.bias", "k_proj.weight", "v_proj.weight"):
        expected = theirs[f"blk.0.attn_{name.replace('_proj', '')}"]
        np.testing.assert_array_equal(source.read(f"model.layers.0.self_attn.{name}"), expected)


def test_the_file_has_queries_in_another_order():
    """So that the test above cannot pass by changing nothing."""
    assert interleaved(np.arange(8), 2).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_other_quantisations_are_named(tmp_path):
    rows = np.zeros((6, 66), "uint8")
    with pytest.raises(InputError, match=r"has 'token_embd.weight' in the quantisation IQ2_XXS, .* F32, F16, BF16"):
        read_stored(tmp_path, "IQ2_XXS", rows)


def test_without_the_package_the_installation_is_told(tmp_path, monkeypatch):
    path = write_gguf(tmp_path / "model.gguf")
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(InputError, match="which is not installed: pip install gguf"):
        open_source(path)
