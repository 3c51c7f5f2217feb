"""Folders from strangers, all of whose digests are right, are refused by `lmkeras.load` for what is in them."""

import io
import os
import shutil
import stat
import zipfile

import h5py
import keras
import numpy as np
import pytest

import lmkeras
from lmkeras import InputError
from lmkeras.models.language_model import LanguageModel
from lmkeras.networks.bodies.recurrent import lstm_language_model
from lmkeras.tokenizers import new_tokenizer
from tests.security.conftest import SIZES
from tests.security.hostile import change_network, pickled, refused, sign


@pytest.mark.parametrize("name", SIZES)
def test_what_is_whole_is_read_and_signing_it_anew_changes_nothing(take, name):
    folder = take(name)
    expected = keras.saving.load_model(folder / "network.keras").get_weights()
    change_network(folder)
    for found, weight in zip(lmkeras.load(folder).network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, weight)


@pytest.mark.parametrize("name", ["config.json", "network.keras", "tokenizer.json"])
def test_a_pickle_is_not_unpickled(take, marker, name):
    folder, content = take("lstm"), pickled(marker)
    (folder / name).write_bytes(content)
    if name != "config.json":
        sign(folder)
    refused(folder, f"{name} is damaged|{name} cannot be read")


@pytest.mark.parametrize("name", ["../marker", "/{marker}", "a/../../marker", "..\\marker"])
def test_members_with_paths_are_refused(take, marker, name):
    folder = take("lstm")
    change_network(folder, members={name.format(marker=str(marker)[1:]): b"written"})
    refused(folder, "expected the members config.json, metadata.json, model.weights.h5, got")


def test_members_that_are_links_are_refused(take, marker):
    folder = take("lstm")
    link = zipfile.ZipInfo("metadata.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    rewritten(folder, {"metadata.json": (link, str(marker).encode())})
    refused(folder, "metadata.json is a link")


def rewritten(folder, replaced):
    path = folder / "network.keras"
    with zipfile.ZipFile(path) as archive:
        contents = {name: (name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**contents, **replaced}.values():
            archive.writestr(name, content)
    sign(folder)


def test_a_zip_bomb_is_refused(take):
    """A thousandth of what it would be."""
    folder = take("lstm")
    change_network(folder, members={"model.weights.h5": bytes(2**28)}, compress_type=zipfile.ZIP_DEFLATED)
    assert (folder / "network.keras").stat().st_size < 2**20
    refused(folder, "is compressed or encrypted")


def test_members_twice_missing_and_many_are_refused(take):
    folder = take("lstm")
    change_network(folder, members={"metadata.json": None})
    refused(folder, "expected the members")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(folder / "network.keras", "a") as archive:
        archive.writestr("config.json", "{}")
    sign(folder)
    refused(folder, "expected the members")
    with zipfile.ZipFile(folder / "network.keras", "a") as archive:
        for number in range(2000):
            archive.writestr(f"{number:040}", "")
    sign(folder)
    refused(folder, "its list of members is too long")


def test_a_member_that_declares_more_than_there_is_is_refused(take):
    folder = take("lstm")
    path = folder / "network.keras"
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02")
    size = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content[: at + 20] + size + size + content[at + 28 :])
    sign(folder)
    refused(folder, r"model.weights.h5 has 4,294,967,294 bytes: expected at most")


def weights(change):
    """The bytes of an HDF5 file that a function fills."""
    with io.BytesIO() as content:
        with h5py.File(content, "w") as file:
            change(file)
        return content.getvalue()


def external_storage(file, secret):
    file.create_dataset("layers/x", (8,), "uint8", external=[(str(secret), 0, 8)])


def virtual(file, secret):
    layout = h5py.VirtualLayout((8,), "uint8")
    layout[:] = h5py.VirtualSource(str(secret), "data", (8,))
    file.create_virtual_dataset("x", layout)


def looped(file, secret):
    file.create_group("a")["b"] = file["/"]


HARMS = {
    "another file's group": (lambda f, s: f.__setitem__("x", h5py.ExternalLink(str(s), "/")), "is a link to another"),
    "a soft link": (lambda f, s: f.__setitem__("x", h5py.SoftLink("/y")), "is a link to another"),
    "external storage": (external_storage, "has its numbers in another file"),
    "a virtual array": (virtual, "has its numbers in another file"),
    "a giant shape": (
        lambda f, s: f.create_dataset("x", (10**6, 10**5), "float32"),
        "its shape .* takes 400,000,000,000",
    ),
    "compressed": (lambda f, s: f.create_dataset("x", data=np.zeros(10**7), compression=9), "is in chunks"),
    "a loop": (looped, "is there twice"),
    "texts": (lambda f, s: f.create_dataset("x", data=["text"]), "has no numbers"),
    "a type": (lambda f, s: f.__setitem__("x", np.dtype("float32")), "is no array"),
    "nothing": (lambda f, s: f.create_dataset("x", data=h5py.Empty("float32")), "is no array"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_weights_that_are_not_in_the_file_are_refused(take, tmp_path, harm):
    change, reason = HARMS[harm]
    secret, folder = tmp_path / "secret", take("lstm")
    secret.write_bytes(weights(lambda file: file.create_dataset("data", data=np.arange(8, dtype="uint8"))))
    before = secret.read_bytes()
    change_network(folder, members={"model.weights.h5": weights(lambda file: change(file, secret))})
    refused(folder, reason)
    assert secret.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 10**5, "damaged or was changed"),
        (b'{"a":' * 10**5, "damaged or was changed"),
        (b'{"format_version": 1, "kind": ' + b"[" * 40 + b"]" * 40 + b"}", "damaged or was changed"),
        (b'{"format_version": NaN}', "damaged or was changed"),
        (b'{"format_version": 1e999}', "damaged or was changed"),
        (b'{"format_version": ' + b"9" * 5000 + b"}", "damaged or was changed"),
        (b'{"format_version": "' + b"x" * 10**6 + b'"}', "this version of lmkeras reads format 2"),
        (b'{"format_version": 1, "kind": ["language_model"], "files": 1}', "damaged or was changed"),
        (b'{"format_version": 2, "kind": ["language_model"], "files": 1}', "damaged or was changed"),
        (b'{"format_version": [2], "kind": "language_model", "files": 1}', "this version of lmkeras reads format 2"),
        (b'{"format_version": {"2": 1}, "kind": "language_model"}', "this version of lmkeras reads format 2"),
    ],
    ids=range(11),
)
def test_json_that_is_too_much_is_refused(take, content, reason):
    folder = take("lstm")
    (folder / "config.json").write_bytes(content)
    refused(folder, reason)


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
    "change", [{"labels": 5}, {"labels": ["a"]}, {"labels": [1, 2]}, {"max_length": "x"}, {"network": {}}], ids=str
)
def test_a_classifier_config_that_lacks_something_is_refused(take, change):
    folder = take("cnn")
    sign(folder, lambda config: config.update(change))
    refused(folder, "config.json is damaged or was changed|its sizes are not those that config.json says")
    sign(folder, lambda config: [config.pop(name) for name in change])
    refused(folder, "config.json is damaged or was changed|its sizes are not those that config.json says")


@pytest.mark.parametrize("name", ["config.json", "network.keras", "tokenizer.json"])
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
    for name in ("config.json", "network.keras", "tokenizer.json"):
        (tmp_path / f"other-{name}").write_text("untouched")
        (folder / name).unlink()
        (folder / name).symlink_to(tmp_path / f"other-{name}")
    model.save(folder)
    assert {(tmp_path / f"other-{path.name}").read_text() for path in folder.iterdir()} == {"untouched"}
    assert lmkeras.load(folder).network


def test_the_first_models_had_their_optimizers_with_them(tmp_path):
    tokenizer = new_tokenizer("characters").fit(["abc"])
    network = lstm_language_model(tokenizer.vocabulary_size, 4, 4)
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(np.ones((2, 3), "int32"), np.ones((2, 3), "int32"), verbose=0)
    LanguageModel(network, tokenizer).save(tmp_path)
    network.save(tmp_path / "network.keras")
    sign(tmp_path)
    with zipfile.ZipFile(tmp_path / "network.keras") as archive, h5py.File(archive.open("model.weights.h5")) as file:
        assert "optimizer" in file
    again = lmkeras.load(tmp_path).network
    for found, weight in zip(again.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(found, weight)
