import numpy as np
import pytest

from lmkeras.decoding.score import TextScore
from lmkeras.models.cross_validation import CrossValidation
from lmkeras.models.language_model import LanguageModel
from lmkeras.models.text_classifier import TextClassifier
from lmkeras.reports import ClassificationReport
from lmkeras.tasks.classification import Prediction
from lmkeras.tokenizers import new_tokenizer
from lmkeras.training.rate_finder import RateFinding
from tests.test_display import Cells

EXAMPLES = [("很好 good", "好评"), ("很差 bad", "<差评>")] * 8


def summary(model):
    lines = []
    model.summary(lines.append)
    return "\n".join(lines)


@pytest.fixture(scope="module")
def trained():
    model = TextClassifier("dense", tokenizer="characters", embedding_dim=4)
    model.fit(EXAMPLES, steps=1, verbose=0)
    return model


def test_an_untrained_model_says_what_will_be_built():
    model = TextClassifier("cnn", embedding_dim=12, max_length=40)
    assert repr(model) == (
        "TextClassifier(network=cnn, embedding_dim=12, tokenizer=auto, max_length=40, trained=not yet)"
    )
    assert "embedding_dim      12\n" in summary(model)
    assert "filters            100\n" in summary(model)
    assert "vocabulary_size    from the tokenizer" in summary(model)


def test_a_trained_model_says_what_it_is(trained):
    parameters = f"{trained.network.count_params():,}"
    facts = dict(Cells(trained._repr_html_()).rows)
    assert facts["parameters"] == parameters
    assert facts["embedding_dim"] == "4"
    assert facts["labels"] == "[<差评>, 好评]"
    assert facts["tokenizer"] == repr(trained.tokenizer)
    assert "trained" not in facts
    assert "<差评>" not in trained._repr_html_()
    assert f"Trainable params: {parameters}" in summary(trained)


def test_a_language_model_says_what_it_is():
    assert repr(LanguageModel("lstm")) == "LanguageModel(network=lstm, tokenizer=auto, trained=not yet)"


def test_tokenizers():
    assert repr(new_tokenizer("characters").fit(["天空", "天"])) == (
        "Tokenizer(tokens=characters, vocabulary_size=4, fitted_on_texts=2)"
    )
    assert repr(new_tokenizer("word_piece")) == "WordPieceTokenizer(vocabulary_size=5, fitted=no)"
    assert repr(new_tokenizer("byte_pair")) == "BytePairTokenizer(vocabulary_size=257)"


def test_a_prediction_shows_the_likeliest_labels():
    few = Prediction("ham", {"spam": 0.25, "ham": 0.75})
    assert repr(few) == "Prediction(label='ham', probabilities={'ham': 0.75, 'spam': 0.25})"
    probabilities = {f"label {i}": 0.01 for i in range(50)} | {"label 40": 0.51}
    many = Prediction("label 40", probabilities)
    assert repr(many).startswith("Prediction(label='label 40', probabilities={'label 40': 0.51, 'label 0': 0.01")
    assert repr(many).endswith("… 45 more})")
    assert Cells(many._repr_html_()).rows[:2] == [["label", "probability"], ["label 40", "0.5100"]]


def test_a_score_shows_its_tokens():
    score = TextScore(-3.0, ["天", "\n"], [-1.0, -2.0])
    assert repr(score) == f"TextScore(log_probability=-3.0000, tokens=2, perplexity={np.exp(1.5):.4f})"
    assert Cells(score._repr_html_()).rows[1:] == [["'天'", "-1.0000"], ["'\\n'", "-2.0000"]]


REPORT = ClassificationReport.from_predictions([0, 0, 1, 1], [0, 1, 1, 1], ["<b>", "好"])


def test_a_report_prints_its_tables():
    assert str(REPORT) == REPORT.text()
    assert repr(REPORT) == "ClassificationReport(accuracy=0.7500, macro_f1=0.7333, examples=4, labels=[<b>, 好])"
    rows = Cells(REPORT._repr_html_()).rows
    assert ["<b>", "1.000", "0.500", "0.667", "2"] in rows
    assert ["好", "0", "2"] in rows
    assert "<b>" not in REPORT._repr_html_()


def test_a_cross_validation_prints_its_folds():
    other = ClassificationReport.from_predictions([0, 1], [0, 1], ["<b>", "好"])
    values = [{"accuracy": r.accuracy, "macro_f1": r.macro_f1, "examples": r.examples} for r in (REPORT, other)]
    result = CrossValidation((REPORT, other), tuple(values))
    _, first, second, mean, deviation = map(str.split, str(result).splitlines())
    assert first == ["1", "0.750", "0.733", "4"]
    assert second == ["2", "1.000", "1.000", "2"]
    assert mean == ["mean", "0.875", "0.867", "6"]
    assert deviation == ["deviation", f"{np.std([0.75, 1], ddof=1):.3f}", f"{np.std([11 / 15, 1], ddof=1):.3f}"]
    assert Cells(result._repr_html_()).rows[1] == first


def test_a_rate_finding_says_its_suggestion():
    finding = RateFinding((0.003, 0.03, 0.3), (2.0, 1.0, 3.0))
    assert repr(finding) == "RateFinding(suggestion=0.0010, updates=3, loss=2 to 2)"
