"""What every model is: a tokenizer, a network and the settings that made it, kept in one folder."""

import abc
import hashlib
import importlib
import json
import os
import platform
import tempfile
from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.corpora import Corpus
from lmkeras.errors import InputError
from lmkeras.networks.registry import import_families
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer

FORMAT_VERSION = 1
_KINDS = {"language_model": ("lmkeras.models.language_model", "LanguageModel")}


class TextModel(abc.ABC):
    """A tokenizer and a network that belong together.

    Attributes:
        tokenizer: text ↔ ids, None until `fit` has made it.
        network: a keras.Model from ids to logits, None until `fit` has built it.
    """

    kind: str

    tokenizer: BaseTokenizer | None
    network: keras.Model | None

    @abc.abstractmethod
    def fit(self, corpus: Corpus | str | Path | Iterable[str], **options) -> list[dict[str, float]]:
        """Trains on a corpus and returns one dictionary of losses an evaluation."""

    @abc.abstractmethod
    def evaluate(self, corpus: Corpus | str | Path | Iterable[str]) -> dict[str, float]:
        """Judges the model on a corpus and returns values by name."""

    @abc.abstractmethod
    def export(self, folder: str | Path) -> None:
        """Writes a SavedModel that takes text and needs TensorFlow alone."""

    def _require_network(self) -> None:
        if self.network is None:
            raise InputError("this model has not been trained yet: call fit first, or load one that has been saved")

    def save(self, folder: str | Path) -> None:
        """Writes config.json, tokenizer.json and network.keras, from which `lmkeras.load` makes the same model.

        Args:
            folder: created where it is missing; the three files replace those of an earlier model, all at the end.
        """
        self._require_network()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as aside:
            network, tokenizer, config = (Path(aside) / n for n in ("network.keras", "tokenizer.json", "config.json"))
            self.network.save(network)
            tokenizer.write_text(self.tokenizer.to_json(), encoding="utf-8")
            files = {path.name: _digest(path) for path in (network, tokenizer)}
            config.write_text(json.dumps({**self._config(), "files": files}, indent=2) + "\n", encoding="utf-8")
            for path in (network, tokenizer, config):
                os.replace(path, folder / path.name)

    def _config(self) -> dict:
        versions = {"keras": keras.__version__, "tensorflow": tf.__version__, "python": platform.python_version()}
        sizes = {name: value for name, value in self.network.get_config().items() if name != "name"}
        network = {"name": type(self.network).__name__, "parameters": self.network.count_params(), **sizes}
        return {"kind": self.kind, "format_version": FORMAT_VERSION, "network": network, "versions": versions}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_config(folder: str | Path) -> dict:
    """What a saved model's config.json says, once it has been checked that the folder holds one whole model.

    Args:
        folder: where a model was saved.

    Raises:
        InputError: there is no model, or a file is missing, damaged or from another model; it is named.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"no saved model in {folder}: {path} is missing. Train one, or name the folder of one")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind, version, files = config["kind"], config["format_version"], config["files"]
        files = {name: files[name] for name in ("network.keras", "tokenizer.json")}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: it is not what a saved model has there") from None
    if kind not in _KINDS:
        raise InputError(f"{path} names a model of kind {kind!r}; this version knows {', '.join(_KINDS)}")
    if version != FORMAT_VERSION:
        raise InputError(f"{path} has format {version}; this version of lmkeras reads format {FORMAT_VERSION}")
    for name, digest in files.items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing")
        if _digest(folder / name) != digest:
            raise InputError(f"{folder / name} is damaged or belongs to another model than {path} does")
    return config


def load(folder: str | Path) -> TextModel:
    """The model that `save` wrote; no code from the folder is run.

    Args:
        folder: where a model was saved, such as a training run's folder.

    Returns:
        A model of the class that was saved.

    Raises:
        InputError: there is no model, or a file is missing, damaged or from another model; it is named.
    """
    config, folder = read_config(folder), Path(folder)
    import_families()  # their classes must be registered before Keras reads the file
    tokenizer = tokenizer_from_json((folder / "tokenizer.json").read_text(encoding="utf-8"))
    try:
        network = keras.saving.load_model(folder / "network.keras", compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError) as error:
        raise InputError(f"{folder / 'network.keras'} cannot be read: {error}") from error
    module, name = _KINDS[config["kind"]]
    return getattr(importlib.import_module(module), name)(tokenizer=tokenizer, network=network)
