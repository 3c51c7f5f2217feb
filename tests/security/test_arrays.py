"""model.safetensors from strangers: arrays other than the network's, and headers that lie about them."""

import json
import os
import shutil
import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import lmkeras
from tests.security.conftest import SIZES
from tests.security.hostile import (
    change_arrays,
    change_header,
    little_memory,
    pickled,
    refused,
    require_same_weights_after,
    sign,
)

KERNEL, EMBEDDING = "head.dense.kernel", "body.embedding.embeddings"


@pytest.mark.parametrize("name", SIZES)
def test_what_is_whole_is_read_and_signing_it_anew_changes_nothing(take, name):
    require_same_weights_after(change_arrays, take(name))


def put(name, value):
    """A function that puts an array in the place of that of the network, which it is made of where it is a function."""
    return lambda arrays: arrays.update({name: value(arrays[name]) if callable(value) else value})


HARMS = {
    "an array more": (put("head.dense.more", np.zeros(2)), r"'head.dense.more' .* asks for none, .* has one of \[2\]"),
    "an optimizer": (put("optimizer.momentum", np.zeros((8, 8), "float32")), "'optimizer.momentum' .* asks for none"),
    "one of no numbers more": (put("more", np.zeros((2**40, 0))), r"has one of \[1099511627776, 0\]"),
    "no name": (put("", np.zeros(2)), "for '' config.json asks for none"),
    "a name for a terminal": (put("\x1b]0;title\x07\n\x1b[2J", np.zeros(2)), r"for '\\x1b\]0;title\\x07\\n\\x1b\[2J'"),
    "a long name": (put("x" * 10**6, np.zeros(2)), "for 'xxx"),
    "an array less": (
        lambda arrays: arrays.pop(KERNEL),
        r"'head.dense.kernel' .* asks for one of .*, the file has none",
    ),
    "no arrays": (lambda arrays: arrays.clear(), "for 0 arrays"),
    "another name": (lambda arrays: arrays.update({"head.kernel": arrays.pop(KERNEL)}), "the file has none"),
    "names by place": (
        lambda arrays: [arrays.update({str(i): arrays.pop(name)}) for i, name in enumerate(list(arrays))],
        "the file has none",
    ),
    "a row more": (put(EMBEDDING, lambda array: np.pad(array, ((0, 1), (0, 0)))), "'body.embedding.embeddings'"),
    "a row less": (put(EMBEDDING, lambda array: array[1:].copy()), "'body.embedding.embeddings'"),
    "turned": (put(KERNEL, lambda array: array.T.copy()), "'head.dense.kernel' config.json asks for one of"),
    "flat": (put(KERNEL, np.ravel), "'head.dense.kernel' config.json asks for one of"),
    "one number": (put(KERNEL, np.ones((), "float32")), "'head.dense.kernel' config.json asks for one of"),
    "an axis more": (put(KERNEL, lambda array: array[None].copy()), "'head.dense.kernel' config.json asks for one of"),
    **{
        dtype: (
            put(KERNEL, lambda array, dtype=dtype: array.astype(dtype)),
            f"head.dense.kernel has numbers of type {dtype}: expected float32",
        )
        for dtype in ("bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "complex64")
    },
}


@pytest.mark.parametrize("harm", HARMS)
def test_arrays_that_are_not_those_of_the_network_are_refused(take, harm):
    change, reason = HARMS[harm]
    folder = take("lstm")
    change_arrays(folder, change)
    file = "config.json" if harm == "no arrays" else "model.safetensors"
    refused(folder, f"{file} is damaged or in another format: .*{reason}")


def test_two_arrays_of_one_shape_have_names_of_their_own(take):
    """By their shapes alone, one could be taken for the other."""
    folder = take("rotary")
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    scales = [name for name in arrays if name.endswith(".scale")]
    assert len({arrays[name].shape for name in scales}) == 1 < len(scales)
    change_arrays(folder, lambda arrays: arrays.update({"body.blocks.9.norm.scale": arrays.pop(scales[0])}))
    refused(folder, f"for '{scales[0]}' config.json asks for one of .*, the file has none")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_floats_of_every_width_are_read(take, dtype):
    folder, narrow = take("sinusoids"), np.dtype(getattr(ml_dtypes, dtype, dtype))
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    change_arrays(folder, lambda arrays: arrays.update({name: array.astype(narrow) for name, array in arrays.items()}))
    size = (folder / "model.safetensors").stat().st_size
    found = lmkeras.load(folder).network.get_weights()
    expected = {name: array.astype(narrow).astype("float32") for name, array in arrays.items()}
    change_arrays(folder, lambda arrays: arrays.update(expected))
    assert size != (folder / "model.safetensors").stat().st_size
    for one, other in zip(found, lmkeras.load(folder).network.get_weights(), strict=True):
        assert one.dtype == other.dtype == "float32"
        np.testing.assert_array_equal(one, other)


def of_kernel(**said):
    return lambda header: header[KERNEL].update(said)


def twice(header):
    text = json.dumps(header)
    return f'{text[:-1]}, "{KERNEL}": {json.dumps(header[KERNEL])}}}'.encode()


#: changes of the header, and what the message contains; where there is no reason, it is the library's own
HEADERS = {
    "a giant shape": (of_kernel(shape=[10**6, 10**6]), ""),
    "a shape of more than 64 bits": (of_kernel(shape=[2**62, 2**62]), ""),
    "a shape of much more": (of_kernel(shape=[10**40]), ""),
    "a shape below 0": (of_kernel(shape=[-1, 8]), ""),
    "no shape": (of_kernel(shape=None), ""),
    "a text as shape": (of_kernel(shape="8"), ""),
    "offsets beyond the end": (of_kernel(data_offsets=[0, 2**40]), ""),
    "offsets of 64 bits": (of_kernel(data_offsets=[2**64 - 8, 2**64 - 1]), ""),
    "offsets below 0": (of_kernel(data_offsets=[-8, 0]), ""),
    "offsets backwards": (of_kernel(data_offsets=[8, 0]), ""),
    "offsets of another array": (lambda header: header[KERNEL].update(header[EMBEDDING]), ""),
    "no offsets": (lambda header: header[KERNEL].pop("data_offsets"), ""),
    "a type of more bytes": (of_kernel(dtype="F64"), ""),
    "a type that is none": (of_kernel(dtype="object"), ""),
    "a type of Python": (of_kernel(dtype="O"), ""),
    "a class as type": (of_kernel(dtype={"class_name": "os.system"}), ""),
    "floats of 8 bits": (of_kernel(dtype="F8_E4M3", shape=[8, 60]), ""),
    "an array less": (lambda header: header.pop(KERNEL) and None, ""),
    "a list": (lambda header: json.dumps([header]).encode(), ""),
    "nothing": (lambda header: b"", ""),
    "no arrays": (lambda header: b"{}", ""),
    "no JSON": (lambda header: b"\xff" * 100, ""),
    "JSON that ends": (lambda header: json.dumps(header).encode()[:-9], ""),
    "no numbers": (lambda header: json.dumps(header).replace("[0,", "[NaN,").encode(), ""),
    "a deep list": (lambda header: b"[" * 10**5, ""),
    "a deep object": (lambda header: header.update(__metadata__=json.loads('{"a":' * 40 + "1" + "}" * 40)), ""),
    "metadata that are no texts": (lambda header: header.update(__metadata__={"class": ["os.system"]}), ""),
    "a name twice": (twice, "a name that is twice in one object"),
    "spaces to no end": (
        lambda header: json.dumps(header).encode() + b" " * 2**23,
        "its header has 8,3.* bytes: expected at most 8,388,608",
    ),
    "metadata to no end": (lambda header: header.update(__metadata__={"a": "a" * 2**23}), "its header has 8,38"),
}


@pytest.mark.parametrize("lie", HEADERS)
def test_headers_that_lie_are_refused(take, lie):
    change, reason = HEADERS[lie]
    folder = take("lstm")
    change_header(folder, change)
    refused(folder, f"model.safetensors is damaged or in another format: .*{reason}")


def test_numbers_that_no_array_has_are_refused(take):
    folder = take("lstm")
    change_header(folder, lambda header: None)
    assert lmkeras.load(folder).network
    change_header(folder, lambda header: None, more=bytes(8))
    refused(folder, "model.safetensors is damaged")


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**12, 2**23 + 1, 10**6, 0])
def test_a_header_of_another_length_is_refused(take, length):
    folder = take("lstm")
    path = folder / "model.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    sign(folder)
    refused(folder, "model.safetensors is damaged")


@pytest.mark.parametrize("left", [0, 1, 7, 8, 9, 100, 400, -1000, -4, -1])
def test_a_file_that_ends_too_soon_is_refused(take, left):
    folder = take("lstm")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    sign(folder)
    refused(folder, "model.safetensors is damaged")


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")


def h5(path):
    with h5py.File(path, "w") as file:
        file["head/dense/kernel"] = np.zeros((8, 8), "float32")


@pytest.mark.parametrize(
    "write",
    [
        archive,
        h5,
        lambda path: np.savez(path.open("wb"), kernel=np.zeros(8)),
        lambda path: np.save(path.open("wb"), np.array([{"a": 1}]), allow_pickle=True),
        lambda path: path.write_text("{}"),
        lambda path: path.write_bytes(b"GGUF" + bytes(1000)),
        lambda path: path.write_bytes(bytes(10**6)),
    ],
    ids=["zip", "h5", "npz", "npy", "json", "gguf", "zeros"],
)
def test_files_of_other_formats_are_refused(take, write):
    folder = take("lstm")
    write(folder / "model.safetensors")
    sign(folder)
    refused(folder, "model.safetensors is damaged")


def test_a_pickle_as_header_is_not_unpickled(take, marker):
    folder, content = take("lstm"), pickled(marker)
    change_header(folder, lambda header: content)
    refused(folder, "model.safetensors is damaged")


def test_what_is_no_file_is_refused_and_not_waited_for(take):
    folder = take("lstm")
    path = folder / "model.safetensors"
    path.unlink()
    os.mkfifo(path)
    refused(folder, "model.safetensors is missing")
    path.unlink()
    path.mkdir()
    refused(folder, "model.safetensors is missing")


def test_many_arrays_take_little(take):
    folder = take("lstm")
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    change_header(folder, lambda header: header.update({f"body.{number}": empty for number in range(60_000)}))
    refused(folder, "for 'body.0' config.json asks for none")


def test_an_index_to_other_files_is_not_looked_at(take, tmp_path):
    folder = take("lstm")
    shutil.copy(folder / "model.safetensors", tmp_path / "secret")
    index = {"weight_map": {KERNEL: "../secret", EMBEDDING: str(tmp_path / "secret")}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with little_memory():
        assert lmkeras.load(folder).network
    (folder / "model.safetensors").unlink()
    sign(folder)
    refused(folder, "config.json is damaged")
