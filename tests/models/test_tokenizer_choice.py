"""Models look at their text before they choose a tokenizer: characters where no spaces stand between words."""

import dataclasses
import random
from typing import ClassVar

import pytest

import lmkeras
from lmkeras.corpora import Corpus, LabelledCorpus
from lmkeras.models.preparing import Parts, prepared
from lmkeras.models.recipe import Recipe
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language
from lmkeras.tokenizers import new_tokenizer
from lmkeras.training.settings import ClassifierFitSettings

REASON = "100 % of the letters are of scripts without spaces between words"
_FILL = "这家酒店位置不错离车站很近我们住了三天早餐也可以"


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Chinese texts without spaces, labelled by the one word in them that decides."""
    choose, examples = random.Random(seed), []
    for label, word in [("好", "喜欢"), ("坏", "失望")] * (count // 2):
        fill = "".join(choose.choices(_FILL, k=8))
        at = choose.randint(0, 8)
        examples.append((fill[:at] + word + fill[at:], label))
    return examples


CHINESE = LabelledCorpus.from_examples(*zip(*reviews(20), strict=True))
ENGLISH = LabelledCorpus.from_examples(["so good, so bad", "déjà vu"], ["a", "b"])


def chosen(task, corpus, network=None, tokenizer="auto"):
    made, reason = Recipe(task, network or task.auto_networks[-1], tokenizer, None, None, {}).tokenizer_for(corpus)
    return made.to_json(), reason


@pytest.mark.parametrize(
    ("corpus", "network", "tokenizer", "expected", "reason"),
    [
        (CHINESE, "cnn", "auto", "characters", f"characters: {REASON}"),
        (CHINESE, "cnn", None, "characters", f"characters: {REASON}"),
        (CHINESE, "bert", "auto", "word_piece", "word_piece: the tokenizer of the network bert"),
        (CHINESE, "cnn", "byte_pair", "byte_pair", ""),
        (ENGLISH, "cnn", "auto", "words", "words: 100 % of the letters are of scripts with spaces between words"),
    ],
)
def test_classifiers_take_characters_where_words_have_no_spaces(corpus, network, tokenizer, expected, reason):
    fitted = new_tokenizer(expected).fit(corpus.texts()).to_json()
    assert chosen(Classification(), corpus, network, tokenizer) == (fitted, reason)


def test_language_models_choose_by_the_same_rule():
    for texts, name in (
        (["天地玄黄，宇宙洪荒。"] * 3, Language.default_tokenizer_without_spaces),
        (["the sea"] * 3, "byte_pair"),
    ):
        made, reason = chosen(Language(), Corpus.from_texts(texts))
        assert made == new_tokenizer(name).fit(texts).to_json()
        assert reason.startswith(f"{name}: ")


def test_a_fitted_tokenizer_needs_no_reason():
    fitted = new_tokenizer("words").fit(["other words"])
    assert chosen(Classification(), CHINESE, tokenizer=fitted) == (fitted.to_json(), "")


def test_words_by_name_get_a_warning_where_they_are_sentences(caplog):
    chosen(Classification(), ENGLISH, tokenizer="words")
    chosen(Classification(), CHINESE, tokenizer="characters")
    assert not caplog.messages
    chosen(Classification(), CHINESE, tokenizer="words")
    assert [REASON in message and "characters" in message for message in caplog.messages] == [True]


def test_a_task_may_have_tokenizers_of_its_own():
    @dataclasses.dataclass(frozen=True)
    class OnlyWords(Classification):
        tokenizers: ClassVar[tuple] = ("words",)

    @dataclasses.dataclass(frozen=True)
    class Pieces(Classification):
        default_tokenizer_without_spaces: ClassVar[str] = "byte_pair"

    assert chosen(OnlyWords(), CHINESE)[0] == new_tokenizer("words").fit(CHINESE.texts()).to_json()
    made, reason = chosen(Pieces(), CHINESE)
    assert (made, reason) == (new_tokenizer("byte_pair").fit(CHINESE.texts()).to_json(), f"byte_pair: {REASON}")


def test_what_is_prepared_says_why():
    task, settings = Classification(), ClassifierFitSettings()
    recipe = Recipe(task, "dense", "auto", None, None, {})
    ready = prepared(Parts(task, None, None), recipe, CHINESE, settings=settings)
    assert ready.tokenizer_reason == f"characters: {REASON}"
    assert prepared(ready.parts, recipe, CHINESE, settings=settings).tokenizer_reason == "", "it had one already"


def test_a_classifier_learns_chinese_by_default_and_goes_on_exactly(tmp_path):
    how = {"epochs": 4, "learning_rate": 0.02, "verbose": 0, "tensorboard": False, "validation_fraction": 0}

    def train(folder, resume=False, **more):
        model = lmkeras.TextClassifier("cnn", embedding_dim=8, filters=16, widths=(1, 2), dropout=0.0)
        return model, list(model.fit(reviews(200), run_folder=tmp_path / folder, resume=resume, **{**how, **more}))

    model, whole = train("run")
    assert model.tokenizer.char_level
    assert model.evaluate(reviews(60, seed=1))["accuracy"] > 0.95
    again, history = train("run", resume=True)
    assert history[-1]["loss"] == whole[-1]["loss"]
    assert again.predict("喜欢早餐") == model.predict("喜欢早餐")
