import fnmatch
import json
import shutil
import sys
import types

import huggingface_hub
import numpy as np
import pytest
import safetensors.numpy
from ml_dtypes import bfloat16

from lmkeras.errors import InputError
from lmkeras.pretrained.checkpoint import read_checkpoint, write_checkpoint

CONFIG = {"model_type": "bert", "hidden_size": 3}
TENSORS = {
    "layer.weight": np.arange(6, dtype="float32").reshape(2, 3),
    "layer.bias": np.array([0.5, -0.5, 2.0], "float32"),
    "position_ids": np.arange(4)[None],
}


def assert_same(tensors, expected):
    assert set(tensors) == set(expected)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, expected[name])
        assert tensor.dtype == expected[name].dtype


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder, CONFIG, TENSORS)
    return folder


def test_what_is_written_is_read(folder):
    checkpoint = read_checkpoint(folder)
    assert checkpoint.config == CONFIG
    assert checkpoint.folder == folder
    assert_same(checkpoint.tensors, TENSORS)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_written_tensors_may_be_views(tmp_path):
    """The library writes the memory as it lies, which for a transposed matrix is another matrix."""
    matrix = np.arange(6, dtype="float32").reshape(2, 3)
    write_checkpoint(tmp_path, CONFIG, {"transposed": matrix.T, "part": matrix[:, 1:]})
    tensors = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    assert tensors["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensors["part"].tolist() == [[1, 2], [4, 5]]


def test_a_failed_writing_leaves_what_was_there(folder):
    with pytest.raises(TypeError):
        write_checkpoint(folder, {"hidden_size": object()}, {"layer.bias": np.zeros(3)})
    assert_same(read_checkpoint(folder).tensors, TENSORS)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("dtype", ["float16", bfloat16, "float64"])
def test_all_floats_become_float32(folder, dtype):
    rounded = TENSORS["layer.weight"].astype(dtype) / 3
    safetensors.numpy.save_file({"layer.weight": rounded}, folder / "model.safetensors")
    assert_same(read_checkpoint(folder).tensors, {"layer.weight": rounded.astype("float32")})


def test_weights_in_several_files(folder):
    (folder / "model.safetensors").unlink()
    files = {"layer.weight": "model-1.safetensors", "layer.bias": "model-2.safetensors"}
    files["position_ids"] = "model-1.safetensors"
    for file in set(files.values()):
        tensors = {name: TENSORS[name] for name in files if files[name] == file}
        safetensors.numpy.save_file(tensors, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    assert_same(read_checkpoint(folder).tensors, TENSORS)
    (folder / "model-2.safetensors").unlink()
    with pytest.raises(InputError, match=r"index.json names the file model-2.safetensors, which is not in"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "..\\model.safetensors", "/model.safetensors"])
def test_an_index_names_files_beside_it_alone(folder, name):
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"weight_map": {"layer.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="which is not in"):
        read_checkpoint(folder)


@pytest.fixture
def bin_folder(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"as PyTorch has it")
    return folder


def test_without_pytorch_its_files_cannot_be_read(bin_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"not installed: pip install torch, or give a folder with model.safetensors"):
        read_checkpoint(bin_folder)


class Tensor:
    """What of a PyTorch tensor is used; the real one is met by make parity."""

    def __init__(self, values, dtype=None):
        self.values, self.dtype, self.shape = values, f"torch.{dtype or values.dtype}", values.shape

    def stride(self):
        return tuple(step // self.values.itemsize for step in self.values.strides)

    def detach(self):
        return self

    def view(self, dtype):
        return Tensor(self.values.view(dtype))

    def numpy(self):
        assert self.dtype != "torch.bfloat16", "PyTorch's bfloat16 has no NumPy type"
        return self.values


def test_with_pytorch_its_files_are_read_without_running_what_they_hold(bin_folder, monkeypatch):
    halves = np.array([0.5, -2, 3], bfloat16)

    def load(path, map_location, weights_only, mmap):
        assert (path, map_location, weights_only) == (bin_folder / "pytorch_model.bin", "cpu", True)
        assert not mmap, "only the newer format, a zip archive, can be mapped"
        return {"layer.bias": Tensor(halves, "bfloat16"), "position_ids": Tensor(np.arange(4))}

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(load=load, int16="int16"))
    expected = {"layer.bias": halves.astype("float32"), "position_ids": np.arange(4)}
    assert_same(read_checkpoint(bin_folder).tensors, expected)


def test_a_tensor_of_pytorch_has_no_more_elements_than_places(bin_folder, monkeypatch):
    """With steps of zero, a file of a few bytes has a tensor of any shape."""
    giant = Tensor(np.broadcast_to(np.zeros(1, "float32"), (10**6, 10**6)))
    fake = types.SimpleNamespace(load=lambda path, **_: {"x": giant}, int16="int16")
    monkeypatch.setitem(sys.modules, "torch", fake)
    with pytest.raises(InputError, match=r"x has 1,000,000,000,000 elements in 1 places"):
        read_checkpoint(bin_folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"not tensors"),
        ("config.json", b"{"),
        ("config.json", b"[1]"),
        ("config.json", b"\xff"),
        ("tf_model.h5", b"not HDF5"),
    ],
)
def test_damaged_files_are_named(folder, name, content):
    if name == "tf_model.h5":
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} is damaged or in another format"):
        read_checkpoint(folder)


def test_missing_files_are_named(folder):
    (folder / "model.safetensors").unlink()
    message = "no weights in .*: expected one of model.safetensors, tf_model.h5, pytorch_model.bin"
    with pytest.raises(InputError, match=message):
        read_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is missing"):
        read_checkpoint(folder)


def test_a_file_is_no_folder(folder):
    with pytest.raises(InputError, match="is a file: expected the folder that holds it"):
        read_checkpoint(folder / "model.safetensors")


@pytest.mark.parametrize("path", ["/no/such/folder", "./bert", "a/b/c", "bert base"])
def test_what_can_be_no_name_on_the_hub_is_a_folder_that_is_missing(path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    with pytest.raises(InputError, match=f"no folder {path}: give a folder with config.json and model.safetensors"):
        read_checkpoint(path)


def test_without_the_hub_the_way_by_hand_is_told(monkeypatch):
    def unreachable(name, allow_patterns):
        raise OSError("Name or service not known\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    message = (
        r"no folder some/bert, and the Hugging Face hub does not give it \(Name or service not known\): download "
        r"config.json and model.safetensors .* of https://huggingface.co/some/bert into a folder, and give the path"
    )
    with pytest.raises(InputError, match=message):
        read_checkpoint("some/bert")


def test_of_the_formats_on_the_hub_the_first_is_fetched_alone(folder, tmp_path, monkeypatch):
    """A hub that has the weights twice: whole and, for others, as PyTorch had them."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("pytorch_model.bin", "model.onnx", "README.md"):
        (folder / name).write_text("not for us")

    def fetch(name, allow_patterns):
        assert name == "some/bert"
        for path in folder.iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, cache)
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert_same(read_checkpoint("some/bert").tensors, TENSORS)
    assert sorted(path.name for path in cache.iterdir()) == ["config.json", "model.safetensors"]
    (folder / "model.safetensors").unlink()
    (cache / "model.safetensors").unlink()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"pytorch_model.bin can be read by PyTorch alone"):
        read_checkpoint("some/bert")
