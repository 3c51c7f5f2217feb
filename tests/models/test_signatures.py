import inspect

import pytest

from lmkeras.models.language_model import LanguageModel
from lmkeras.models.model import Model
from lmkeras.models.question_answerer import QuestionAnswerer
from lmkeras.models.text_classifier import TextClassifier


@pytest.mark.parametrize("verb", ["fit", "find_learning_rate"])
@pytest.mark.parametrize("kind", [LanguageModel, TextClassifier, QuestionAnswerer])
def test_verbs_name_every_setting_with_its_default(kind, verb):
    parameters = inspect.signature(getattr(kind(), verb)).parameters
    settings = vars(kind().task.Settings())
    for name, default in settings.items():
        if name != "steps" or verb == "fit":
            assert parameters[name].default == default
    assert "changes" not in parameters


def test_each_kind_names_its_own():
    assert "window_length" in inspect.signature(LanguageModel.fit).parameters
    assert "window_length" not in inspect.signature(TextClassifier.fit).parameters
    assert "changes" in inspect.signature(Model.fit).parameters
    assert LanguageModel.fit.__doc__ == Model.fit.__doc__
