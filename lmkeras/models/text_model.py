"""What every model is: a tokenizer, a network and the settings that made it, kept in one folder."""

import abc
import dataclasses
import hashlib
import importlib
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import keras
import tensorflow as tf

from lmkeras.archives import MEGABYTE, read_text, shortened
from lmkeras.corpora import Corpus
from lmkeras.errors import InputError
from lmkeras.models.folder import KINDS, read_config, write_model
from lmkeras.models.network_file import read_network
from lmkeras.networks.registry import import_families
from lmkeras.tokenizers import tokenizer_from_json
from lmkeras.tokenizers.base import BaseTokenizer
from lmkeras.training.fit import Run
from lmkeras.training.settings import TrainingSettings

_LARGEST_TOKENIZER = 1024 * MEGABYTE  # ten million words


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

    def _own_config(self) -> dict:
        """What config.json says of a model of this kind beside its tokenizer and network."""
        return {}

    @classmethod
    def _from_folder(cls, config: dict, tokenizer: BaseTokenizer, network: keras.Model) -> "TextModel":
        """The model that `save` wrote, from what its folder holds."""
        return cls(tokenizer=tokenizer, network=network)

    def _require_network(self) -> None:
        if self.network is None:
            raise InputError("this model has not been trained yet: call fit first, or load one that has been saved")

    def _run(self, folder: str | Path | None, resume: bool, digests: Mapping[str, Callable[[], str]]) -> Run | None:
        """Where a training of this model is recorded, and what it may be resumed with, such as the same text."""
        if folder is None:
            if resume:
                raise InputError("resume goes on from a checkpoint in run_folder: name that folder too")
            return None
        made_of = {**self._own_config(), **{name: digest() for name, digest in digests.items()}}
        made_of["tokenizer"] = hashlib.sha256(self.tokenizer.to_json().encode()).hexdigest()
        made_of["network"] = self._network_sizes()
        return Run(Path(folder), resume, made_of)

    def _network_sizes(self) -> dict:
        return {name: value for name, value in self.network.get_config().items() if name != "name"}

    def save(self, folder: str | Path) -> None:
        """Writes config.json, tokenizer.json and network.keras, from which `lmkeras.load` makes the same model.

        Args:
            folder: created where it is missing; the three files replace those of an earlier model, all at the end.
        """
        self._require_network()
        config = {
            "kind": self.kind,
            **self._own_config(),
            "tokenizer": {"name": type(self.tokenizer).__name__, "vocabulary_size": self.tokenizer.vocabulary_size},
            "network": {
                "name": type(self.network).__name__,
                "parameters": self.network.count_params(),
                **self._network_sizes(),
            },
            "versions": {
                "keras": keras.__version__,
                "tensorflow": tf.__version__,
                "python": platform.python_version(),
            },
        }
        files = {
            "network.keras": _without_optimizer(self.network).save,
            "tokenizer.json": lambda path: path.write_text(self.tokenizer.to_json(), encoding="utf-8"),
        }
        write_model(folder, config, files)


def _without_optimizer(network: keras.Model) -> keras.Model:
    """The same network as it was built: an optimizer's state would treble the file, and nobody reads it."""
    clone = type(network).from_config(network.get_config())
    clone.build((None, None))
    clone.set_weights(network.get_weights())
    return clone


def changed(settings: TrainingSettings, changes: dict) -> TrainingSettings:
    """The settings with some fields changed; TypeError for a field that they have not."""
    names = [field.name for field in dataclasses.fields(settings)]
    for name in changes:
        if name not in names:
            raise TypeError(f"fit has no argument {name!r}; the settings are {', '.join(names)}")
    return dataclasses.replace(settings, **changes)


def load(folder: str | Path) -> TextModel:
    """The model that `save` wrote; no code from the folder is run, and no more memory taken than its files are large.

    Args:
        folder: where a model was saved, such as a training run's folder.

    Returns:
        A model of the class that was saved.

    Raises:
        InputError: there is no model, or a file is missing, damaged or from another model; it is named.
    """
    config, folder = read_config(folder), Path(folder)
    import_families()  # their classes must be registered before the network's is looked up
    tokenizer = tokenizer_from_json(read_text(folder / "tokenizer.json", _LARGEST_TOKENIZER))
    module, name = KINDS[config["kind"]]
    try:
        network = read_network(folder / "network.keras", config["network"])
        return getattr(importlib.import_module(module), name)._from_folder(config, tokenizer, network)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / 'config.json'} is damaged or was changed: it does not say what a {config['kind']} is made of "
            f"({type(error).__name__}: {shortened(error)})"
        ) from error
