"""Names of classes, and other things that are no sizes, in the config of a network whose digests are all right."""

import copy
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

import lmkeras
from lmkeras import InputError
from lmkeras.models.language_model import LanguageModel
from lmkeras.networks.bodies.dense import MeanEmbedding
from lmkeras.networks.bodies.recurrent import RecurrentWriter
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from tests.security.hostile import body_of, change_network, refused, sign, sizes


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
    refused(folder, "its sizes are not those that config.json says")
    with zipfile.ZipFile(folder / "network.keras") as archive:
        said = json.loads(archive.read("config.json"))
    sign(folder, lambda config: config.update(network=said["config"]))
    refused(folder, "expected a registered network of lmkeras, got None")
    shutil.rmtree(folder)
    for role, other in (("body", "head"), ("head", "body")):
        folder = take("lstm")
        part = said["config"]["layers"][-1]  # the Lambda
        change_network(folder, both=lambda network, role=role, part=part: network.update({role: part}))
        refused(folder, "expected one of the dtypes")
        part = {"registered_name": "Lambda", "config": {"name": "lambda"}}
        change_network(folder, both=lambda network, role=role, part=part: network.update({role: part}))
        refused(folder, f"expected a registered {role} of a network, got 'Lambda'")
        change_network(folder, both=lambda network, role=role, other=other: network.update({role: network[other]}))
        refused(folder, f"expected a registered {role} of a network")
        shutil.rmtree(folder)


class Unregistered(keras.Model):
    def __init__(self, marker, **kwargs):
        super().__init__(**kwargs)
        open(marker, "w").close()

    def get_config(self):
        return {"marker": self.marker}


@keras.saving.register_keras_serializable("tests")
class Registered(Unregistered):
    """Known to Keras, but neither a body nor a head."""


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
        (__name__, "Registered", "tests>Registered"),
        ("lmkeras.networks.bodies.bert.encoder", "tanh_gelu", "lmkeras>tanh_gelu"),
        ("lmkeras.networks.bodies.bert.encoder", "Bert", "lmkeras>Bert"),
        ("lmkeras.networks.bodies.recurrent", "RecurrentWriter", "lmkeras>RecurrentWriter"),
        ("lmkeras.networks.network", "Network", ["lmkeras>Network"]),
        ("lmkeras.networks.network", "Network", {"lmkeras>Network": 1}),
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


@pytest.mark.parametrize("role", ["body", "head"])
@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "builtins>exec", "subprocess>Popen", "pathlib>Path", "get_file", "Lambda", "keras.layers>Dense"),
        *("tests>Unregistered", "tests>Registered", "lmkeras>tanh_gelu", "lmkeras>Network", "lmkeras>HeadLoss"),
        *("lmkeras>LSTM", "lmkeras>DecoderBlock", "lmkeras>Body", "Body", "RecurrentWriter", "lmkeras>", ""),
        *("__class__", "lmkeras.networks.bodies.recurrent.RecurrentWriter", f"{__name__}>Registered"),
        *(None, 1, ["lmkeras>RecurrentWriter"], {"name": "lmkeras>RecurrentWriter"}),
    ],
    ids=repr,
)
def test_no_other_class_or_function_is_a_body_or_a_head(take, marker, role, name):
    folder = take("lstm")
    Registered(str(marker))
    assert marker.exists(), "the payload does nothing"
    marker.unlink()
    config = {"command": f"touch {marker}", "args": ["touch", str(marker)], "marker": str(marker)}
    for given in (config, {"marker": str(marker)}):
        part = {"module": "os", "class": "system", "registered_name": name, "config": given}
        change_network(folder, both=lambda network, part=part: network.update({role: part}))
        refused(folder, f"expected a registered {role} of a network, got ")


@pytest.mark.parametrize("name", ["x" * 10**6, "lmkeras>RecurrentWriter\n", "\x1b[2J", "lmkeras>Recurrent\u2028Writer"])
def test_what_is_no_name_is_refused(take, name):
    folder = take("lstm")
    change_network(folder, both=lambda network: network["body"].update(registered_name=name))
    refused(folder, "expected a name, got ")


def test_names_of_modules_and_classes_are_not_looked_at(take, marker):
    """Keras would import the module, and call what it has under the name."""
    folder = take("lstm")
    (folder / "hostile_module.py").write_text(f"open({str(marker)!r}, 'w')")
    expected = lmkeras.load(folder).network.get_weights()
    others = {"module": "hostile_module", "class_name": "system", "build_config": {"command": f"touch {marker}"}}
    others["compile_config"] = {"optimizer": {"module": "builtins", "class_name": "exec", "config": {}}}
    change_network(folder, inner=lambda said: said.update(others))
    for found, weight in zip(lmkeras.load(folder).network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, weight)


RUBBISH = {
    "no config": lambda part: part.pop("config"),
    "no name": lambda part: part.pop("registered_name"),
    "an empty config": lambda part: part.update(config={}),
    "a list as config": lambda part: part.update(config=[1, 2]),
    "a text as config": lambda part: part.update(config="vocabulary_size"),
    "nothing as config": lambda part: part.update(config=None),
    "a network in the config": lambda part: part["config"].update(body=copy.deepcopy(part)),
    "an unknown size": lambda part: part["config"].update(sizes=1),
    "layers": lambda part: part["config"].update(name="x", layers=[], input_layers=[], output_layers=[]),
    "a list of lists": lambda part: part["config"].update(vocabulary_size=[[[1]]]),
    "an object as size": lambda part: part["config"].update(vocabulary_size={"value": 9}),
    "a text as size": lambda part: part["config"].update(vocabulary_size="9"),
    "nothing as size": lambda part: part["config"].update(vocabulary_size=None),
    "a part of a number": lambda part: part["config"].update(vocabulary_size=9.5),
    "deep": lambda part: part["config"].update(vocabulary_size=json.loads("[" * 20 + "]" * 20)),
    "too deep": lambda part: part["config"].update(vocabulary_size=json.loads("[" * 40 + "]" * 40)),
    "many names": lambda part: part["config"].update({f"name {number}": 1 for number in range(10_000)}),
}


@pytest.mark.parametrize("role", ["body", "head"])
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_rubbish_in_the_place_of_a_body_or_a_head_is_refused(take, rubbish, role):
    folder = take("lstm")
    change_network(folder, both=lambda network: RUBBISH[rubbish](network[role]))
    refused(folder, "config.json is damaged" if rubbish == "too deep" else "network.keras is damaged")


@pytest.mark.parametrize("part", [None, 1, "lmkeras>RecurrentWriter", [], {}], ids=repr)
@pytest.mark.parametrize("role", ["body", "head"])
def test_what_is_no_body_or_head_is_refused(take, part, role):
    folder = take("lstm")
    change_network(folder, both=lambda network: network.update({role: part}))
    refused(folder, r"network.keras is damaged or in another format")
    change_network(folder, both=lambda network: network.pop(role))
    refused(folder, r"network.keras is damaged or in another format")


def test_a_class_in_the_place_of_a_size_is_not_made(take, marker):
    lambda_layer = {
        "module": "builtins",
        "class_name": "open",
        "config": {"file": str(marker), "mode": "w"},
        "registered_name": None,
    }
    for role, size in (("body", "units"), ("body", "cell"), ("body", "dropout"), ("body", "dtype"), ("head", "tied")):
        folder = take("lstm")
        for value in (lambda_layer, [lambda_layer], {"value": [lambda_layer]}):
            change_network(folder, both=sizes(role, **{size: value}))
            refused(folder, "expected one of the dtypes")
        shutil.rmtree(folder)
    folder = take("lstm")
    change_network(folder, both=lambda network: network.update(default_learning_rate=lambda_layer))
    refused(folder, "expected one of the dtypes")
    folder = take("bert")
    bert = body_of(folder)
    float32 = {"name": "float32"}
    for dtype in (
        lambda_layer,
        {"class_name": "Lambda", "config": float32},
        {**bert["dtype"], "config": {"name": "x"}},
    ):
        change_network(folder, both=sizes("body", dtype=dtype))
        refused(folder, "expected one of the dtypes")
    change_network(folder, both=sizes("body", dtype={"class_name": "DTypePolicy", "config": float32}))
    assert lmkeras.load(folder).network


@pytest.mark.parametrize(
    "change",
    [
        sizes("body", units=9),
        sizes("head", vocabulary_size=9),
        lambda network: network["head"].update(registered_name="lmkeras>ClassesHead"),
        lambda network: network.update(default_learning_rate=9.0),
        lambda network: network.pop("head"),
        lambda network: network.update(more=1),
    ],
    ids=range(6),
)
def test_the_two_configs_must_agree(take, change):
    folder = take("lstm")
    change_network(folder, inner=lambda said: change(said["config"]))
    refused(folder, "its sizes are not those that config.json says")
    shutil.rmtree(folder)
    folder = take("lstm")
    sign(folder, lambda config: change(config["network"]))
    refused(folder, "its sizes are not those that config.json says")


#: parts that are right by themselves, for a vocabulary of that size, and do not belong together
PARTS = {
    "the network has a vocabulary of 30": lambda size: (
        RecurrentWriter(size, embedding_dim=4, units=6),
        LanguageHead(30),
    ),
    "got one of MeanEmbedding and LanguageHead": lambda size: (
        MeanEmbedding(size, embedding_dim=4),
        LanguageHead(size),
    ),
    "got one of RecurrentWriter and ClassesHead": lambda size: (
        RecurrentWriter(size, embedding_dim=4, units=6),
        ClassesHead(2),
    ),
    "needs logits at every position": lambda size: (
        RecurrentWriter(size, embedding_dim=4, units=6),
        LanguageHead(size, every_position=False),
    ),
}


@pytest.mark.parametrize("reason", PARTS)
def test_parts_that_do_not_belong_together_are_refused(take, reason):
    """Although the file has all of their arrays."""
    folder = take("lstm")
    tokenizer = lmkeras.load(folder).tokenizer
    network = Network(*PARTS[reason](tokenizer.vocabulary_size))
    network.save(folder / "network.keras")
    sign(folder, lambda config: config.update(network=network.get_config()))
    refused(folder, reason)
    with pytest.raises(InputError, match=reason):
        LanguageModel(network, tokenizer)


def test_a_head_is_tied_to_a_body_that_is_made_for_it_alone(take):
    folder = take("lstm")
    change_network(folder, both=sizes("head", tied=True))
    refused(folder, "a tied head is for a body with tie_embeddings=True")
