import shutil

import pytest

from lmkeras.models.language_model import LanguageModel
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.networks import registry
from lmkeras.tokenizers import new_tokenizer

SIZES = {
    "rotary": ("transformer", {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 16}),
    "sinusoids": (
        "transformer",
        {"d_model": 8, "num_heads": 2, "num_layers": 1, "context_length": 16, "block": "post_norm"},
    ),
    "lstm": ("lstm", {"embedding_dim": 8, "units": 8}),
    "cnn": ("cnn", {"embedding_dim": 8, "filters": 4, "num_classes": 2}),
    "bert": ("bert", {"d_model": 8, "num_heads": 2, "num_layers": 1, "num_classes": 2}),
}


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A folder with small models, one of each kind in SIZES."""
    folder = tmp_path_factory.mktemp("saved")
    tokenizer = new_tokenizer("characters").fit(["some text that is read"])
    for name, (kind, sizes) in SIZES.items():
        task = "classification" if "num_classes" in sizes else "language"
        network = registry.build(kind, task, vocabulary_size=tokenizer.vocabulary_size, **sizes)
        if task == "language":
            model = LanguageModel(network, tokenizer)
        else:
            model = TextClassifier(network, tokenizer, labels=["no", "yes"])
        model.save(folder / name)
    return folder


@pytest.fixture
def take(saved, tmp_path):
    """A function from a name in SIZES to a copy of that model's folder."""
    return lambda name: shutil.copytree(saved / name, tmp_path / name)


@pytest.fixture
def marker(tmp_path):
    """Where a payload would leave its trace."""
    path = tmp_path / "marker"
    yield path
    assert not path.exists(), "code from the file was run, or a file was written where it says"
