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
from lmkeras.models.network_file import write_network
from lmkeras.networks.bodies.dense import MeanEmbedding
from lmkeras.networks.bodies.recurrent import RecurrentWriter
from lmkeras.networks.heads.classes import ClassesHead
from lmkeras.networks.heads.language import LanguageHead
from lmkeras.networks.network import Network
from tests.security.hostile import body_of, change_network, refused, sign, sizes


class Unregistered(keras.Model):
    def __init__(self, marker, **kwargs):
        super().__init__(**kwargs)
        open(marker, "w").close()

    def get_config(self):
        return {"marker": self.marker}


@keras.saving.register_keras_serializable("tests")
class Registered(Unregistered):
    """Known to Keras, but neither a body nor a head."""


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
        change_network(folder, lambda network, part=part: network.update({role: part}))
        refused(folder, f"config.json .* expected a registered {role} of a network .*, got ")


def test_a_lambda_layer_is_no_body_and_no_head(take, tmp_path, marker):
    place = str(marker)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: (open(place, "w").close(), x)[1])])
    network.save(tmp_path / "lambda.keras")
    with zipfile.ZipFile(tmp_path / "lambda.keras") as archive:
        said = json.loads(archive.read("config.json"))["config"]["layers"][-1]
    marker.unlink()  # building it ran it
    keras.saving.deserialize_keras_object(copy.deepcopy(said), safe_mode=False)(np.ones((1, 2)))
    assert marker.exists(), "the payload does nothing"
    marker.unlink()
    for role, other in (("body", "head"), ("head", "body")):
        folder = take("lstm")
        change_network(folder, lambda network, role=role: network.update({role: said}))
        refused(folder, "expected one of the dtypes")
        part = {"registered_name": "Lambda", "config": {"name": "lambda"}}
        change_network(folder, lambda network, role=role, part=part: network.update({role: part}))
        refused(folder, f"expected a registered {role} of a network .*, got 'Lambda'")
        change_network(folder, lambda network, role=role, other=other: network.update({role: network[other]}))
        refused(folder, f"expected a registered {role} of a network")
        shutil.rmtree(folder)
    sign(take("lstm"), lambda config: config.update(network=said))
    refused(folder, "config.json is damaged")


@pytest.mark.parametrize("name", ["x" * 10**6, "lmkeras>RecurrentWriter\n", "\x1b[2J", "lmkeras>Recurrent\u2028Writer"])
def test_what_is_no_name_is_refused(take, name):
    folder = take("lstm")
    change_network(folder, lambda network: network["body"].update(registered_name=name))
    refused(folder, "expected a name, got ")


def test_names_of_modules_are_not_looked_at(take, marker):
    """Keras would import the module, and call what it has under the name."""
    folder = take("lstm")
    (folder / "hostile_module.py").write_text(f"open({str(marker)!r}, 'w')")
    others = {"module": "hostile_module", "build_config": {"command": f"touch {marker}"}}
    change_network(folder, lambda network: [one.update(others) for one in (network, network["body"], network["head"])])
    assert lmkeras.load(folder).network
    others = {"compile_config": {"optimizer": {"module": "builtins", "class_name": "exec", "config": {}}}}
    for role in ("body", "head"):
        change_network(folder, lambda network, role=role: network[role].update(others))
        refused(folder, "expected one of the dtypes")


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
    change_network(folder, lambda network: RUBBISH[rubbish](network[role]))
    refused(folder, "config.json is damaged")


@pytest.mark.parametrize("part", [None, 1, "lmkeras>RecurrentWriter", [], {}], ids=repr)
@pytest.mark.parametrize("role", ["body", "head"])
def test_what_is_no_body_or_head_is_refused(take, part, role):
    folder = take("lstm")
    change_network(folder, lambda network: network.update({role: part}))
    refused(folder, "config.json is damaged or in another format")
    change_network(folder, lambda network: network.pop(role))
    refused(folder, "config.json is damaged or in another format")


@pytest.mark.parametrize("network", [None, 1, "lmkeras>Network", [], {}, [["body", {}], ["head", {}]]], ids=repr)
def test_what_is_no_network_is_refused(take, network):
    folder = take("lstm")
    sign(folder, lambda config: config.update(network=network))
    refused(folder, "config.json is damaged")
    sign(folder, lambda config: config.pop("network"))
    refused(folder, "config.json is damaged")


def test_a_name_that_is_there_twice_is_refused(take):
    folder = take("lstm")
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"network": {', '"network": {}, "network": {', 1))
    refused(folder, "config.json is damaged")


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
            change_network(folder, sizes(role, **{size: value}))
            refused(folder, "expected one of the dtypes")
        shutil.rmtree(folder)
    folder = take("lstm")
    change_network(folder, lambda network: network.update(default_learning_rate=lambda_layer))
    refused(folder, "expected one of the dtypes")
    folder = take("bert")
    bert = body_of(folder)
    float32 = {"name": "float32"}
    for dtype in (
        lambda_layer,
        {"class_name": "Lambda", "config": float32},
        {**bert["dtype"], "config": {"name": "x"}},
        {**bert["dtype"], "config": {"name": "int8", "mode": "int8", "source_name": "float32"}},
        {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8", "source_name": "float32"}},
        {"class_name": "DTypePolicyMap", "config": {"default_policy": None, "policy_map": {}}},
    ):
        change_network(folder, sizes("body", dtype=dtype))
        refused(folder, "expected one of the dtypes")
    change_network(folder, sizes("body", dtype={"class_name": "DTypePolicy", "config": float32}))
    assert lmkeras.load(folder).network


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
    write_network(network, folder / "model.safetensors")
    sign(folder, lambda config: config.update(network=network.get_config()))
    refused(folder, reason)
    with pytest.raises(InputError, match=reason):
        LanguageModel(network, tokenizer)


def test_a_head_is_tied_to_a_body_that_is_made_for_it_alone(take):
    folder = take("lstm")
    change_network(folder, sizes("head", tied=True))
    refused(folder, "a tied head is for a body with tie_embeddings=True")
