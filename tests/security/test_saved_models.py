"""Folders from strangers, all of whose digests are right, are refused by `lmkeras.load` for what is in them."""

import os
import shutil

import numpy as np
import pytest

import lmkeras
from lmkeras import InputError
from lmkeras.models.folder import WEIGHTS_FILES
from tests.security.hostile import pickled, refused, sign


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_pickle_is_not_unpickled(take, marker, name):
    folder, content = take("lstm"), pickled(marker)
    (folder / name).write_bytes(content)
    if name != "config.json":
        sign(folder)
    refused(folder, f"{name} is damaged|{name} cannot be read")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 10**5, "damaged or was changed"),
        (b'{"a":' * 10**5, "damaged or was changed"),
        (b'{"format_version": 1, "kind": ' + b"[" * 40 + b"]" * 40 + b"}", "damaged or was changed"),
        (b'{"format_version": NaN}', "damaged or was changed"),
        (b'{"format_version": 1e999}', "damaged or was changed"),
        (b'{"format_version": ' + b"9" * 5000 + b"}", "damaged or was changed"),
        (b'{"format_version": "' + b"x" * 10**6 + b'"}', "this version of lmkeras reads format 3, or 1"),
        (b'{"format_version": 1, "kind": ["language_model"], "files": 1}', "damaged or was changed"),
        (b'{"format_version": 3, "kind": ["language_model"], "files": 1}', "damaged or was changed"),
        (
            b'{"format_version": 2, "kind": "language_model", "files": 1}',
            "this version of lmkeras reads format 3, or 1",
        ),
        (
            b'{"format_version": [2], "kind": "language_model", "files": 1}',
            "this version of lmkeras reads format 3, or 1",
        ),
        (b'{"format_version": {"2": 1}, "kind": "language_model"}', "this version of lmkeras reads format 3, or 1"),
    ],
    ids=range(12),
)
def test_json_that_is_too_much_is_refused(take, content, reason):
    folder = take("lstm")
    (folder / "config.json").write_bytes(content)
    refused(folder, reason)


@pytest.mark.parametrize("version", [0, 2, 4, -1, 99, "3", None, True, 3.5, [3], {"3": 3}], ids=repr)
def test_a_folder_of_another_format_is_refused(take, version):
    folder = take("lstm")
    sign(folder, lambda config: config.update(format_version=version))
    if version is True:  # Python's 1, and so the format of version 0.1, whose network.keras this folder lacks
        refused(folder, "config.json is damaged or was changed")
    else:
        refused(folder, "this version of lmkeras reads format 3, or 1")


def test_a_file_with_the_weights_of_the_other_format_is_not_looked_at(take, take_old):
    folders = {3: take("lstm"), 1: take_old("lm-lstm")}
    files = {version: (folder / WEIGHTS_FILES[version]).read_bytes() for version, folder in folders.items()}
    for version, folder in folders.items():
        own, other = folder / WEIGHTS_FILES[version], folder / WEIGHTS_FILES[4 - version]
        expected = lmkeras.load(folder).network.get_weights()
        other.write_bytes(files[4 - version])
        sign(folder)
        for found, weight in zip(lmkeras.load(folder).network.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(found, weight)
        own.write_bytes(files[4 - version])
        sign(folder)
        refused(folder, f"{own.name} is damaged or in another format")
        own.unlink()
        sign(folder)
        refused(folder, "config.json is damaged or was changed")


@pytest.mark.parametrize("kind", [["language_model"], {}, None, "x" * 10**6, "os.system"], ids=range(5))
def test_another_kind_is_refused(take, kind):
    folder = take("lstm")
    sign(folder, lambda config: config.update(kind=kind))
    refused(folder, "names a model of kind")


def test_a_giant_config_is_not_read(take):
    folder = take("lstm")
    os.truncate(folder / "config.json", 10 * 2**30)
    refused(folder, "expected at most 67,108,864; it is not read")


@pytest.mark.parametrize(
    "change",
    [{"labels": 5}, {"labels": ["a"]}, {"labels": [1, 2]}, {"network": {}}, {"tokenizer": 5, "labels": []}],
    ids=str,
)
def test_a_classifier_config_that_lacks_something_is_refused(take, change):
    folder = take("cnn")
    sign(folder, lambda config: config.update(change))
    refused(folder, "config.json is damaged")
    sign(folder, lambda config: [config.pop(name) for name in change])
    refused(folder, "config.json is damaged")


@pytest.mark.parametrize("max_length", ["x", -1, 0, 1.5, [], {"class_name": "Lambda"}], ids=repr)
def test_what_is_no_length_of_texts_is_refused(take, max_length):
    """The config need not say one: then there is a default."""
    folder = take("cnn")
    sign(folder, lambda config: config.update(max_length=max_length))
    refused(folder, "config.json is damaged")
    sign(folder, lambda config: config.pop("max_length"))
    assert lmkeras.load(folder).max_length is None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_links_that_lead_out_of_the_folder_are_refused(take, tmp_path, name):
    folder = take("lstm")
    (tmp_path / "secret").write_bytes((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / name).symlink_to("../secret")
    refused(folder, f"{name} is a link that leads out of its folder")
    (tmp_path / "secret").rename(folder / "inside")
    (folder / name).unlink()
    (folder / name).symlink_to("inside")
    (tmp_path / "elsewhere").symlink_to(folder)
    assert lmkeras.load(tmp_path / "elsewhere").network


def test_the_hubs_cache_of_links_is_read(take, tmp_path):
    folder = tmp_path / "models--some" / "snapshots" / "0123"
    shutil.copytree(take("lstm"), folder)
    (tmp_path / "models--some" / "blobs").mkdir()
    for path in list(folder.iterdir()):
        path.rename(tmp_path / "models--some" / "blobs" / path.name)
        path.symlink_to(f"../../blobs/{path.name}")
    assert lmkeras.load(folder).network


def test_a_pipe_is_not_waited_for(take):
    folder = take("lstm")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(InputError, match=r"config.json is missing"):
        lmkeras.load(folder)


def test_saving_does_not_write_through_links(take, tmp_path):
    folder = take("lstm")
    model = lmkeras.load(folder)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / f"other-{name}").write_text("untouched")
        (folder / name).unlink()
        (folder / name).symlink_to(tmp_path / f"other-{name}")
    model.save(folder)
    assert {(tmp_path / f"other-{path.name}").read_text() for path in folder.iterdir()} == {"untouched"}
    assert lmkeras.load(folder).network
