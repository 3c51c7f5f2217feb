"""Loads a model from its folder."""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path

from lmkeras.archives import MEGABYTE, read_text, shortened
from lmkeras.errors import InputError
from lmkeras.models.folder import WEIGHTS, WEIGHTS_FILES, read_config
from lmkeras.models.keras_file import read_keras_file
from lmkeras.models.model import Model
from lmkeras.models.network_file import read_network
from lmkeras.networks.registry import import_families
from lmkeras.tasks import task_of
from lmkeras.tokenizers import tokenizer_from_json

_LARGEST_TOKENIZER = 1024 * MEGABYTE  # ten million words
#: the classes that users hold, by the kind in config.json; another kind is held by Model itself
_CLASSES = {
    "language_model": ("lmkeras.models.language_model", "LanguageModel"),
    "multi_label_classifier": ("lmkeras.models.text_classifier", "TextClassifier"),
    "question_answerer": ("lmkeras.models.question_answerer", "QuestionAnswerer"),
    "text_classifier": ("lmkeras.models.text_classifier", "TextClassifier"),
}


def model_class(kind: str) -> type[Model]:
    """The class that users hold for a kind of model: Model itself if the kind has no class of its own."""
    if kind not in _CLASSES:
        return Model
    module, name = _CLASSES[kind]
    return getattr(importlib.import_module(module), name)


def load(folder: str | Path) -> Model:
    """Loads the model that `save` wrote. No code from the folder is run, and no more memory used than its files need.

    Args:
        folder: the folder in which a model was saved, such as a training run's folder.

    Returns:
        A model of the class that was saved.

    Raises:
        InputError: there is no model, or a file, which the message names, is missing, damaged or from another model.
    """
    config, folder = read_config(folder), Path(folder)
    import_families()  # registers the classes of bodies and heads, which are looked up by name
    with _naming(folder / "tokenizer.json", "a tokenizer"):
        tokenizer = tokenizer_from_json(read_text(folder / "tokenizer.json", _LARGEST_TOKENIZER))
    with _naming(folder / "config.json", f"a {config['kind']}"):
        file = folder / WEIGHTS_FILES[config["format_version"]]
        network = (read_network if file.name == WEIGHTS else read_keras_file)(file, config["network"])
        task = task_of(config["kind"]).from_config(config)
        return model_class(config["kind"]).of_task(task, network, tokenizer)


@contextlib.contextmanager
def _naming(path: Path, holds: str) -> Iterator[None]:
    """A context whose errors name a file of the folder: `path`, unless the error already names a file there."""
    try:
        yield
    except InputError as error:
        if str(path.parent) in str(error):
            raise
        raise InputError(f"{path} is damaged or was changed: {shortened(error)}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged or was changed: it does not say what {holds} is made of "
            f"({type(error).__name__}: {shortened(error)})"
        ) from error
