"""network.keras, in which version 0.1 saved networks, from strangers: a zip archive of sizes and an HDF5 file."""

import io
import json
import shutil
import stat
import zipfile

import h5py
import keras
import numpy as np
import pytest

import lmkeras
from tests.security.hostile import (
    change_keras_file,
    changed_h5,
    pickled,
    refused,
    require_same_weights_after,
    sign,
    sizes,
)
from tests.security.test_network_config import RUBBISH


@pytest.mark.parametrize(
    "name", ["lm-lstm", "lm-transformer", "lm-post-norm", "classifier-cnn", "classifier-bert-pairs"]
)
def test_what_is_whole_is_read_and_signing_it_anew_changes_nothing(take_old, name):
    require_same_weights_after(change_keras_file, take_old(name))


def test_a_pickle_is_not_unpickled(take_old, marker):
    folder, content = take_old("lm-lstm"), pickled(marker)
    (folder / "network.keras").write_bytes(content)
    sign(folder)
    refused(folder, "network.keras is damaged")


@pytest.mark.parametrize("name", ["../marker", "/{marker}", "a/../../marker", "..\\marker"])
def test_members_with_paths_are_refused(take_old, marker, name):
    folder = take_old("lm-lstm")
    change_keras_file(folder, members={name.format(marker=str(marker)[1:]): b"written"})
    refused(folder, "expected the members config.json, metadata.json, model.weights.h5, got")


def test_members_that_are_links_are_refused(take_old, marker):
    folder = take_old("lm-lstm")
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


def test_a_zip_bomb_is_refused(take_old):
    """A thousandth of what it would be."""
    folder = take_old("lm-lstm")
    change_keras_file(folder, members={"model.weights.h5": bytes(2**28)}, compress_type=zipfile.ZIP_DEFLATED)
    assert (folder / "network.keras").stat().st_size < 2**20
    refused(folder, "is compressed or encrypted")


def test_members_twice_missing_and_many_are_refused(take_old):
    folder = take_old("lm-lstm")
    change_keras_file(folder, members={"metadata.json": None})
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


def test_a_member_that_declares_more_than_there_is_is_refused(take_old):
    folder = take_old("lm-lstm")
    change_keras_file(folder)  # with the HDF5 file as the last member
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
def test_weights_that_are_not_in_the_file_are_refused(take_old, tmp_path, harm):
    change, reason = HARMS[harm]
    secret, folder = tmp_path / "secret", take_old("lm-lstm")
    secret.write_bytes(weights(lambda file: file.create_dataset("data", data=np.arange(8, dtype="uint8"))))
    before = secret.read_bytes()
    change_keras_file(folder, members={"model.weights.h5": weights(lambda file: change(file, secret))})
    refused(folder, reason)
    assert secret.read_bytes() == before


@pytest.mark.parametrize("harm", HARMS)
def test_they_are_refused_beside_all_arrays_of_the_network_as_well(take_old, tmp_path, harm):
    change, reason = HARMS[harm]
    secret, folder = tmp_path / "secret", take_old("lm-lstm")
    secret.write_bytes(weights(lambda file: file.create_dataset("data", data=np.arange(8, dtype="uint8"))))
    change_keras_file(folder, members={"model.weights.h5": changed_h5(folder, lambda file: change(file, secret))})
    refused(folder, reason)


def test_the_first_models_had_their_optimizers_with_them(take_old):
    """Two more arrays of the shape of every weight, as Adam has."""
    folder = take_old("lm-lstm")
    network = lmkeras.load(folder).network

    def trained(file):
        for number, weight in enumerate(2 * network.get_weights()):
            file[f"optimizer/vars/{number}"] = np.full_like(weight, 7)

    change_keras_file(folder, members={"model.weights.h5": changed_h5(folder, trained)})
    for found, weight in zip(lmkeras.load(folder).network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(found, weight)


def test_a_lambda_layer_is_not_run(take_old, marker):
    folder = take_old("lm-lstm")
    place = str(marker)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: (open(place, "w").close(), x)[1])])
    marker.unlink()  # building it ran it
    network.save(folder / "network.keras")
    keras.saving.load_model(folder / "network.keras", safe_mode=False)
    assert marker.exists(), "the payload does nothing"
    marker.unlink()
    sign(folder)
    refused(folder, "its sizes are not those that config.json says")
    with zipfile.ZipFile(folder / "network.keras") as archive:
        said = json.loads(archive.read("config.json"))
    sign(folder, lambda config: config.update(network=said["config"]))
    refused(folder, "expected a registered network of lmkeras, got None")
    part = said["config"]["layers"][-1]  # the Lambda
    shutil.rmtree(folder)
    change_keras_file(take_old("lm-lstm"), both=sizes(units=part))
    refused(folder, "expected one of the dtypes")
    change_keras_file(folder, inner=lambda inside: inside.update(registered_name="Lambda"))
    refused(folder, "expected a registered network of lmkeras, got 'Lambda'")


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
        ("tests.security.test_network_config", "Unregistered", "tests>Unregistered"),
        ("tests.security.test_network_config", "Registered", "tests>Registered"),
        ("lmkeras.networks.bodies.bert.encoder", "tanh_gelu", "lmkeras>tanh_gelu"),
        ("lmkeras.networks.bodies.bert.encoder", "Bert", "lmkeras>Bert"),
        ("lmkeras.networks.bodies.recurrent", "RecurrentWriter", "lmkeras>RecurrentWriter"),
        ("lmkeras.networks.network", "Network", "lmkeras>Network"),
        ("lmkeras.networks.network", "Network", ["lmkeras>Network"]),
        ("lmkeras.networks.network", "Network", {"lmkeras>Network": 1}),
        ("lmkeras.networks.recurrent", "RecurrentLanguageNetwork", ["lmkeras>RecurrentLanguageNetwork"]),
    ],
    ids=str,
)
def test_no_other_class_or_function_is_called(take_old, marker, module, name, registered):
    folder = take_old("lm-lstm")
    config = {"command": f"touch {marker}", "args": ["touch", str(marker)], "marker": str(marker)}

    def inner(said):
        said.update(module=module, class_name=name, registered_name=registered, config=config)

    change_keras_file(folder, inner=inner)
    sign(folder, lambda said: said.update(network={"name": name, "parameters": 1, **config}))
    refused(folder, "expected a registered network of lmkeras")


@pytest.mark.parametrize("name", ["x" * 10**6, "lmkeras>RecurrentLanguageNetwork\n", "\x1b[2J"])
def test_what_is_no_name_is_refused(take_old, name):
    folder = take_old("lm-lstm")
    change_keras_file(folder, inner=lambda said: said.update(registered_name=name))
    refused(folder, "expected a registered network of lmkeras, got ")
    shutil.rmtree(folder)
    change_keras_file(take_old("lm-lstm"), both=sizes(cell=name))
    refused(folder, "expected a name, got ")


def test_names_of_modules_and_classes_are_not_looked_at(take_old, marker):
    """Keras would import the module, and call what it has under the name."""
    folder = take_old("lm-lstm")
    (folder / "hostile_module.py").write_text(f"open({str(marker)!r}, 'w')")
    expected = lmkeras.load(folder).network.get_weights()
    others = {"module": "hostile_module", "class_name": "system", "build_config": {"command": f"touch {marker}"}}
    others["compile_config"] = {"optimizer": {"module": "builtins", "class_name": "exec", "config": {}}}
    change_keras_file(folder, inner=lambda said: said.update(others))
    for found, weight in zip(lmkeras.load(folder).network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, weight)


OF_PARTS = ("no config", "no name", "a list as config", "a text as config", "nothing as config")


@pytest.mark.parametrize("rubbish", [name for name in RUBBISH if name not in OF_PARTS])
def test_rubbish_in_the_place_of_sizes_is_refused(take_old, rubbish):
    def of_sizes(network):
        part = {"config": network}
        RUBBISH[rubbish](part)
        if part["config"] is not network:
            network.clear()

    folder = take_old("lm-lstm")
    change_keras_file(folder, both=of_sizes)
    refused(folder, "config.json is damaged" if rubbish == "too deep" else "network.keras is damaged")


def test_a_class_in_the_place_of_a_size_is_not_made(take_old, marker):
    config = {"file": str(marker), "mode": "w"}
    lambda_layer = {"module": "builtins", "class_name": "open", "config": config, "registered_name": None}
    for size in ("units", "cell", "dropout", "default_learning_rate", "tie_embeddings"):
        folder = take_old("lm-lstm")
        for value in (lambda_layer, [lambda_layer], {"value": [lambda_layer]}):
            change_keras_file(folder, both=sizes(**{size: value}))
            refused(folder, "expected one of the dtypes")
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "change",
    [sizes(units=9), sizes(default_learning_rate=9.0), lambda network: network.pop("units"), sizes(more=1)],
    ids=range(4),
)
def test_the_two_configs_must_agree(take_old, change):
    folder = take_old("lm-lstm")
    change_keras_file(folder, inner=lambda said: change(said["config"]))
    refused(folder, "its sizes are not those that config.json says")
    shutil.rmtree(folder)
    sign(take_old("lm-lstm"), lambda config: change(config["network"]))
    refused(folder, "its sizes are not those that config.json says")


@pytest.mark.parametrize("rubbish", OF_PARTS)
def test_rubbish_in_the_place_of_a_network_is_refused(take_old, rubbish):
    folder = take_old("lm-lstm")
    change_keras_file(folder, inner=RUBBISH[rubbish])
    refused(folder, "network.keras is damaged")
