"""Reads networks that version 0.1 saved. There, each family of networks was one class, with body and head together.

These classes no longer exist. So their configs are translated, and their arrays are found by the names of attributes.
"""

from collections.abc import Mapping
from pathlib import Path

import keras

from lmkeras.networks.network import Network

#: the classes of version 0.1, and the body that each has become
_LANGUAGE = {"RecurrentLanguageNetwork": "RecurrentWriter", "TransformerLanguageNetwork": "TransformerDecoder"}
_CLASSIFICATION = {
    "DenseClassifier": "MeanEmbedding",
    "ConvolutionalClassifier": "Convolutions",
    "RecurrentClassifier": "RecurrentReader",
    "TransformerClassifier": "TransformerEncoder",
}


def network_config(registered_name: object, config: Mapping) -> dict:
    """Translates the config of a network of version 0.1 into that of a Network.

    Raises:
        ValueError: version 0.1 had no such network.
    """
    name = str(registered_name).removeprefix("lmkeras>")
    sizes = {key: value for key, value in config.items() if key != "name"}
    rate = sizes.pop("default_learning_rate", None)
    if name in _LANGUAGE:
        every_position = sizes.pop("return_sequences", True)
        head = "LanguageHead", {"vocabulary_size": sizes["vocabulary_size"], "tied": sizes["tie_embeddings"]}
        head[1]["every_position"] = every_position
        body = _LANGUAGE[name], sizes
    elif name in _CLASSIFICATION:
        head = "ClassesHead", {"num_classes": sizes.pop("num_classes"), "dropout": sizes["dropout"]}
        body = _CLASSIFICATION[name], sizes
    elif name == "BertClassifier":
        head = "ClassesHead", {"num_classes": sizes["num_classes"], "dropout": sizes["dropout"]}
        head[1]["initializer_range"] = sizes["bert"]["initializer_range"]
        body = "Bert", sizes["bert"]
    else:
        raise ValueError(f"expected a registered network of lmkeras, got {registered_name!r}")
    parts = {"body": body, "head": head}
    described = {role: {"registered_name": f"lmkeras>{of[0]}", "config": of[1]} for role, of in parts.items()}
    return {"name": "network", **described, "default_learning_rate": rate}


class _AsBefore(keras.Model):
    """A network's layers under the attributes that they had in version 0.1, by whose names Keras finds their arrays."""

    def __init__(self, network: Network):
        super().__init__()
        if "embedding" in vars(network.body):
            self.embedding, self.head = network.body.embedding, network.head.dense
            for name, value in vars(network.body).items():
                if not name.startswith("_") and name != "embedding" and _holds_layers(value):
                    setattr(self, name, value)
        else:
            self.bert, self.head = network.body, network.head.dense
        self.built = True


def load_weights(network: Network, path: str | Path) -> None:
    """Fills a network with the arrays of a file that version 0.1 wrote."""
    _AsBefore(network).load_weights(path)


def _holds_layers(value: object) -> bool:
    return isinstance(value, keras.layers.Layer) or (isinstance(value, list) and any(map(_holds_layers, value)))
