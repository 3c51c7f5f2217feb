"""Checkpoints from a stranger, resumed from."""

import json
import pickle
import shutil
import struct

import numpy as np
import pytest
import safetensors.numpy

import lmkeras
from lmkeras.errors import InputError
from lmkeras.training.checkpoints import Checkpoints, _digest

TEXTS = ["the cat sat on the mat. "] * 20


def fit(folder):
    model = lmkeras.LanguageModel("lstm", "characters", embedding_dim=4, units=4)
    return model.fit(TEXTS, run_folder=folder, resume=True, steps=2, tensorboard=False, verbose=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    fit(folder)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A run of one checkpoint, which a stranger may change."""
    shutil.copytree(trained, tmp_path / "run")
    checkpoints = Checkpoints(tmp_path / "run", 2)
    newest, *others = checkpoints.newest_first()
    for other in others:
        other.unlink()
    return checkpoints, newest


class Mark:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_is_not_unpickled(run, tmp_path, caplog):
    checkpoints, path = run
    path.write_bytes(pickle.dumps(Mark(tmp_path / "marker")))
    assert checkpoints.newest() is None
    assert "is damaged" in caplog.text
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("shape", [[10**12], [2**62, 2**62], [-1]])
def test_a_giant_shape_is_not_allocated(shape, run, caplog):
    checkpoints, path = run
    header = {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}, "__metadata__": {"facts": "{}"}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
    assert checkpoints.newest() is None
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("length", [2**63, 10**12])
def test_a_giant_header_is_not_allocated(length, run, caplog):
    checkpoints, path = run
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    assert checkpoints.newest() is None
    assert "is damaged" in caplog.text


def rewrite(path, facts):
    """The same arrays with other facts and a digest that is right."""
    arrays = safetensors.numpy.load_file(path)
    path.write_bytes(safetensors.numpy.save(arrays, {"facts": facts, "digest": _digest(arrays, facts)}))


def test_deep_json_is_damage(run, caplog):
    checkpoints, path = run
    rewrite(path, "[" * 100_000)
    assert checkpoints.newest() is None
    assert "is damaged" in caplog.text


def read_facts(path):
    return Checkpoints(path.parents[1], 2).newest().facts


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: [],
        lambda facts: 7,
        lambda facts: {},
        lambda facts: {**facts, "made_of": None},
        lambda facts: {**facts, "step": "a"},
        lambda facts: {**facts, "step": None},
        lambda facts: {**facts, "step": 1.5},
        lambda facts: {**facts, "step": -1},
        lambda facts: {**facts, "step": 10**9},
        lambda facts: {**facts, "step": True},
        lambda facts: {**facts, "stopped": []},
        lambda facts: {**facts, "lines": [{"loss": {}}]},
        lambda facts: {**facts, "best": 3},
        lambda facts: {**facts, "best": {}},
        lambda facts: {**facts, "lines": 5},
        lambda facts: {**facts, "lines": [[]]},
    ],
    ids=[
        "list",
        "number",
        "empty",
        "made_of",
        "step",
        "no step",
        "part",
        "less",
        "more",
        "yes",
        "stopped",
        "loss",
        "best",
        "empty best",
        "lines",
        "lists",
    ],
)
def test_facts_of_another_kind_are_refused(change, run):
    checkpoints, path = run
    rewrite(path, json.dumps(change(read_facts(path))))
    with pytest.raises(InputError, match="is not the checkpoint of a training"):
        fit(checkpoints.folder.parent)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("network.0", r"expected an array of \(\d+, 4\) for .*, got one of \(1, 1\)"),
        ("best.0", "the best weights are those of another network"),
    ],
)
def test_arrays_of_another_kind_are_refused(name, message, run):
    checkpoints, path = run
    arrays, facts = safetensors.numpy.load_file(path), json.dumps(read_facts(path))
    arrays[name] = np.zeros((1, 1), np.float32)
    path.write_bytes(safetensors.numpy.save(arrays, {"facts": facts, "digest": _digest(arrays, facts)}))
    with pytest.raises(InputError, match=message):
        fit(checkpoints.folder.parent)


def test_a_link_that_leads_out_is_not_followed(run, tmp_path, caplog):
    checkpoints, path = run
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert checkpoints.newest() is None
    assert "a link that leads out" in caplog.text
