import pytest

import lmkeras
from lmkeras.corpora import require_known_labels
from lmkeras.errors import InputError
from lmkeras.tasks import task_of
from lmkeras.tasks.classification import Classification
from lmkeras.training.devices import place
from lmkeras.training.settings import ClassifierFitSettings

NAMES = {
    "network": ("transformer", lambda: lmkeras.TextClassifier("transfomer")),
    "size": ("d_model", lambda: lmkeras.TextClassifier("transformer", d_modle=8)),
    "tokenizer": ("characters", lambda: lmkeras.TextClassifier("cnn", "charcters")),
    "choice of a size": ("pre_norm", lambda: lmkeras.transformer_language_model(9, block="prenorm")),
    "part of long texts": ("both", lambda: lmkeras.TextClassifier(long_texts="bth")),
    "setting's choice": ("adamw", lambda: lmkeras.FitSettings(optimizer="admw")),
    "monitor": ("val_accuracy", lambda: Classification().monitored(ClassifierFitSettings(monitor="accuracy"))),
    "device": ("gpu", lambda: place("gpuu").__enter__()),
    "label": ("files", lambda: require_known_labels({"file": 1, "data": 2}, ["data", "files"])),
    "weighted label": ("ham", lambda: lmkeras.ClassifierFitSettings(class_weights={"hm": 2}).weights_of({"ham": 1})),
    "task": ("text_classifier", lambda: task_of("text_clasifier")),
    "corpus": ("python-docs", lambda: lmkeras.open_corpus("builtin:python-doc")),
    "name of the package": ("TextClassifier", lambda: lmkeras.TextClasifier),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_is_nearly_right_is_guessed(kind):
    right, wrong = NAMES[kind]
    with pytest.raises((InputError, AttributeError), match=f"did you mean '{right}'"):
        wrong()
