import shutil
from pathlib import Path

import pytest

from lmkeras.models.language_model import LanguageModel
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language
from lmkeras.tokenizers import new_tokenizer
from tests.models.built import built

VERSION_0_1 = Path(__file__).parents[1] / "models" / "version_0_1"
SIZES = {
    "rotary": ("transformer", {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 16}),
    "sinusoids": (
        "transformer",
        {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 16, "block": "post_norm"},
    ),
    "lstm": ("lstm", {"embedding_dim": 8, "units": 8}),
    "cnn": ("cnn", {"embedding_dim": 8, "filters": 4}),
    "encoder": ("transformer", {"d_model": 8, "num_heads": 2, "num_layers": 1, "max_length": 16}),
    "bert": ("bert", {"d_model": 8, "num_heads": 2, "num_layers": 1}),
}
CLASSIFIERS = ("cnn", "encoder", "bert")


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A folder with small models, one of each kind in SIZES."""
    folder = tmp_path_factory.mktemp("saved")
    tokenizer = new_tokenizer("characters").fit(["some text that is read"])
    for name, (kind, sizes) in SIZES.items():
        classes = name in CLASSIFIERS
        task = Classification(labels=("no", "yes")) if classes else Language()
        network = built(kind, task, vocabulary_size=tokenizer.vocabulary_size, **sizes)
        model = TextClassifier(network, tokenizer, labels=task.labels) if classes else LanguageModel(network, tokenizer)
        model.save(folder / name)
    return folder


@pytest.fixture
def take(saved, tmp_path):
    """A function from a name in SIZES to a copy of that model's folder."""
    return lambda name: shutil.copytree(saved / name, tmp_path / name)


@pytest.fixture
def take_old(tmp_path):
    """A function from a name to a copy of that folder of version 0.1."""
    return lambda name: shutil.copytree(VERSION_0_1 / name, tmp_path / name)


@pytest.fixture
def marker(tmp_path):
    """Where a payload would leave its trace."""
    path = tmp_path / "marker"
    yield path
    assert not path.exists(), "code from the file was run, or a file was written where it says"
