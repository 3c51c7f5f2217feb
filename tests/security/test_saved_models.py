"""Folders from strangers, all of whose digests are right, are refused by `lmkeras.load` for what is in them."""

import io
import json
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
from lmkeras.networks.recurrent import lstm_language_model
from lmkeras.tokenizers import new_tokenizer
from tests.security.conftest import SIZES
from tests.security.hostile import change_network, little_memory, pickled, sign

GIANT = 2**31 - 1


def refused(folder, reason):
    with little_memory(), pytest.raises(InputError, match=reason) as caught:
        lmkeras.load(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


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
    if name == "config.json":
        (folder / name).write_bytes(content)
    else:
        (folder / name).write_bytes(content)
        sign(folder)
    with pytest.raises(InputError):
        lmkeras.load(folder)


def test_a_lambda_layer_is_not_run(take, marker):
    folder = take("lstm")
    place = str(marker)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: (open(place, "w").close(), x)[1])])
    marker.unlink()  # building it ran it
    network.save(folder / "network.keras")
    keras.saving.load_model(folder / "network.keras", safe_mode=False)
    assert marker.exists(), "the payload does nothing"
    marker.unlink()
    sign(folder)
    refused(folder, "expected a registered network of lmkeras, got 'Sequential'|its arrays|registered network")
    sign(folder, lambda config: config["network"].update(name="Sequential"))
    refused(folder, "expected a registered network of lmkeras")


class Unregistered(keras.Model):
    def __init__(self, marker, **kwargs):
        super().__init__(**kwargs)
        open(marker, "w").close()

    def get_config(self):
        return {"marker": self.marker}


@pytest.mark.parametrize(
    ("module", "name", "registered"),
    [
        ("os", "system", None),
        ("os", "system", "system"),
        ("builtins", "exec", "exec"),
        ("subprocess", "Popen", "subprocess>Popen"),
        ("pathlib", "Path", "pathlib>Path"),
        ("keras.utils", "get_file", "get_file"),
        ("keras.layers", "Lambda", "Lambda"),
        (__name__, "Unregistered", "tests>Unregistered"),
        ("lmkeras.networks.bert.encoder", "tanh_gelu", "lmkeras>tanh_gelu"),
        ("lmkeras.networks.bert.encoder", "Bert", "lmkeras>Bert"),
        ("lmkeras.networks.recurrent", "RecurrentLanguageNetwork", ["lmkeras>RecurrentLanguageNetwork"]),
    ],
    ids=str,
)
def test_no_other_class_or_function_is_called(take, marker, module, name, registered):
    folder = take("lstm")
    config = {"command": f"touch {marker}", "args": ["touch", str(marker)], "marker": str(marker)}

    def inner(said):
        said.update(module=module, class_name=name, registered_name=registered, config=config)

    change_network(folder, inner=inner)
    sign(folder, lambda said: said.update(network={"name": name, "parameters": 1, **config}))
    refused(folder, "expected a registered network of lmkeras")


def test_a_class_in_the_place_of_a_size_is_not_made(take, marker):
    lambda_layer = {
        "module": "builtins",
        "class_name": "open",
        "config": {"file": str(marker), "mode": "w"},
        "registered_name": None,
    }
    for size in ("units", "cell", "dropout"):
        folder = take("lstm")
        change_network(folder, sizes={size: lambda_layer})
        refused(folder, "expected one of the dtypes")
        shutil.rmtree(folder)
    folder = take("bert")
    with zipfile.ZipFile(folder / "network.keras") as archive:
        bert = json.loads(archive.read("config.json"))["config"]["bert"]
    float32 = {"name": "float32"}
    for dtype in (
        lambda_layer,
        {"class_name": "Lambda", "config": float32},
        {**bert["dtype"], "config": {"name": "x"}},
    ):
        change_network(folder, sizes={"bert": {**bert, "dtype": dtype}})
        refused(folder, "expected one of the dtypes")
    change_network(folder, sizes={"bert": {**bert, "dtype": {"class_name": "DTypePolicy", "config": float32}}})
    assert lmkeras.load(folder).network


def test_the_two_configs_must_agree(take):
    folder = take("lstm")
    change_network(folder, inner=lambda said: said["config"].update(units=9))
    refused(folder, "its sizes are not those that config.json says")


@pytest.mark.parametrize(
    ("name", "sizes", "reason"),
    [
        ("lstm", {"vocabulary_size": 10**12}, "expected a size below"),
        ("lstm", {"vocabulary_size": GIANT}, r"none of shape \[2147483647, 8\] is left"),
        ("lstm", {"units": 10**6}, "none of shape"),
        ("lstm", {"units": 10**6, "embedding_dim": 10**6}, "none of shape"),
        ("lstm", {"num_layers": 10**7}, "num_layers is 10,000,000"),
        ("lstm", {"vocabulary_size": -1}, "expected a size"),
        ("lstm", {"vocabulary_size": "5" * 10**6}, "expected a name"),
        ("rotary", {"d_model": 2 * 10**5, "dff": GIANT}, "none of shape"),
        ("rotary", {"num_layers": GIANT}, "num_layers"),
        ("sinusoids", {"context_length": 10**9}, "its table of positions"),
        ("cnn", {"widths": [3] * 10**5}, "widths has 100,000 entries"),
        ("cnn", {"widths": [10**9, 4, 5]}, "none of shape"),
        ("cnn", {"filters": 10**9}, "none of shape"),
    ],
    ids=str,
)
def test_sizes_that_the_file_does_not_bear_out_are_refused_before_anything_is_allocated(take, name, sizes, reason):
    folder = take(name)
    change_network(folder, sizes=sizes)
    refused(folder, reason)


def test_a_large_bert_is_refused(take):
    folder = take("bert")
    with zipfile.ZipFile(folder / "network.keras") as archive:
        bert = json.loads(archive.read("config.json"))["config"]["bert"]
    change_network(folder, sizes={"bert": {**bert, "hidden_size": 10**6, "vocab_size": 10**6}})
    refused(folder, "none of shape")
    shutil.rmtree(folder)
    change_network(take("bert"), sizes={"bert": {**bert, "num_hidden_layers": 10**6}})
    refused(folder, "num_hidden_layers is 1,000,000")


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
        (b'{"format_version": "' + b"x" * 10**6 + b'"}', "this version of lmkeras reads format 1"),
        (b'{"format_version": 1, "kind": ["language_model"], "files": 1}', "damaged or was changed"),
    ],
    ids=range(8),
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
    with pytest.raises(InputError):
        lmkeras.load(folder)
    sign(folder, lambda config: [config.pop(name) for name in change])
    refused(folder, "")


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
