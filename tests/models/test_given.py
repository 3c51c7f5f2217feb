"""What fit and the verbs beside it are given: texts and y, validation in every place, files with any columns."""

import csv

import numpy as np
import pytest

from lmkeras import cross_validate
from lmkeras.corpora import as_labelled_corpus
from lmkeras.errors import InputError
from lmkeras.models.given import Given, one_validation, texts_of
from lmkeras.tasks.base import TextColumns
from lmkeras.tasks.classification import Classification
from lmkeras.tasks.language import Language
from tests.models.reviews import classifier, learnt, matches, reviews

EXAMPLES = reviews(20)
TEXTS, LABELS = (list(part) for part in zip(*EXAMPLES, strict=True))
HELD_OUT = reviews(8, seed=1)
COLUMNS = {"text_column": "影评", "label_column": "星"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A table whose columns have names of their own, in an encoding of its own."""
    path = tmp_path_factory.mktemp("given") / "reviews.csv"
    with path.open("w", encoding="gb18030", newline="") as file:
        csv.writer(file).writerows([("星", "影评"), *((label.replace("ö", "o"), text) for text, label in EXAMPLES)])
    return path


def corpora(value, y=None, validation=None, task=None, **columns):
    task = task or Classification()
    found = Given(task, task.Columns(**columns)).corpora(value, y=y, validation=validation, fraction=0, seed=0)
    return [corpus and list(corpus) for corpus in found]


ANSWERS = {
    "list": LABELS,
    "tuple": tuple(LABELS),
    "array": np.array(LABELS),
    "generator": (label for label in LABELS),
}


@pytest.mark.parametrize("y", ANSWERS.values(), ids=ANSWERS)
def test_a_second_sequence_is_y(y):
    assert corpora(TEXTS, y) == [EXAMPLES, None]


def test_y_stands_beside_whatever_holds_texts():
    pairs = [(pair, label) for pair, label in matches(4)]
    assert corpora([pair for pair, _ in pairs], [label for _, label in pairs]) == [pairs, None]
    assert corpora(np.array(TEXTS), LABELS, (TEXTS[:2], LABELS[:2])) == [EXAMPLES, EXAMPLES[:2]]
    assert corpora(iter(TEXTS), LABELS, EXAMPLES[:2]) == [EXAMPLES, EXAMPLES[:2]]
    assert corpora({"影评": TEXTS, "星": LABELS[::-1]}, LABELS, text_column="影评") == [EXAMPLES, None]


def test_a_table_without_texts_is_y():
    assert corpora(TEXTS, {"星": LABELS}) == corpora({"text": TEXTS}, {"label": LABELS}) == [EXAMPLES, None]
    assert corpora(TEXTS, {"text": TEXTS[:2], "label": LABELS[:2]}, task=Language()) == [TEXTS, TEXTS[:2]]


def test_a_corpus_in_the_place_of_y_is_for_validation(path):
    texts, labels = (list(part) for part in zip(*HELD_OUT, strict=True))
    held_out = {
        "rows": HELD_OUT,
        "columns": (texts, labels),
        "corpus": as_labelled_corpus(HELD_OUT),
        "table": {"text": texts, "label": labels},
        "records": [{"text": text, "label": label} for text, label in HELD_OUT],
        "array": np.array(HELD_OUT),
        "zip": zip(texts, labels, strict=True),
    }
    for name, one in held_out.items():
        assert corpora(EXAMPLES, one) == [EXAMPLES, HELD_OUT], name
    with pytest.raises(InputError, match=r"reviews\.csv"):
        corpora(EXAMPLES, path)


def test_a_language_model_takes_validation_in_this_place_and_no_y():
    for one in (["b", "猫"], np.array(["b", "猫"]), iter(["b", "猫"]), {"text": ["b", "猫"]}):
        assert corpora(["a"], one, task=Language()) == [["a"], ["b", "猫"]]
    for y in ([0], np.zeros(1), [None]):
        with pytest.raises(InputError, match="a language model takes no y: it learns from the texts alone"):
            corpora(["a"], y, task=Language())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((TEXTS, LABELS[1:]), "expected one label for each text, got 20 texts and 19 labels"),
        ((EXAMPLES, HELD_OUT, HELD_OUT), "a corpus in the place of y is for validation, and so is validation"),
        (("a.csv", LABELS), "y is for texts in memory: files hold their answers, and label_column says where"),
        ((as_labelled_corpus(EXAMPLES), LABELS), "y is for texts in memory"),
        ((TEXTS, 3), "y: expected a list with the label of each text, got int"),
        ((TEXTS, "yes"), "item 1 of the list: expected text, label, got .*give the answers as y"),
        (([], []), "at least one text and its label"),
        ((TEXTS, [None, *LABELS[1:]]), "1 of 20 examples have no label"),
    ],
)
def test_what_does_not_go_together_is_said(given, message):
    with pytest.raises(InputError, match=message):
        corpora(*given)


def test_validation_has_the_name_that_keras_gives_it():
    assert one_validation(None, EXAMPLES) is one_validation(EXAMPLES, None) is EXAMPLES
    with pytest.raises(InputError, match="validation and validation_data mean the same"):
        one_validation(EXAMPLES, EXAMPLES)


def test_unknown_names_are_met_with_the_nearest_alone():
    def fit(corpus, validation_data=None, **changes): ...

    def refused(**given):
        with pytest.raises(InputError) as caught:
            Given.to(fit, Classification(), named=given, encoding="utf-8")
        return str(caught.value)

    assert refused(text_colum="a") == "fit has no argument 'text_colum'; did you mean 'text_column'?"
    assert refused(validation_dat=[]) == "fit has no argument 'validation_dat'; did you mean 'validation_data'?"
    assert refused(epoch=3) == "fit has no argument 'epoch'; did you mean 'epochs'?"
    assert "did you mean" not in refused(xyz=3)
    how = {"named": {"pair_column": "b", "steps": 3}, "others": ["steps"], "encoding": "gb18030"}
    given, others = Given.to(fit, Classification(), columns=TextColumns, **how)
    assert (given.columns, given.encoding, others) == (TextColumns(pair_column="b"), "gb18030", {"steps": 3})


def test_every_verb_takes_y_and_columns_of_a_file(path):
    how = {"steps": 2, "validation_fraction": 0.2, "verbose": 0}
    file = {"encoding": "gb18030", **COLUMNS}
    model, other = classifier(), classifier()
    written = [label.replace("ö", "o") for label in LABELS]
    assert model.fit(path, **file, **how) == other.fit(TEXTS, written, **how)
    assert model.judge(path, **file)[0] == other.judge(TEXTS, written)[0] == other.judge((TEXTS, written))[0]
    assert model.evaluate(path, **file) == other.evaluate(np.array(TEXTS), np.array(written))
    np.testing.assert_array_equal(model.report(path, **file).confusion, other.report(TEXTS, y=written).confusion)
    with pytest.raises(InputError, match="got 20 texts and 19 labels"):
        other.find_learning_rate(TEXTS, written[1:])
    with pytest.raises(InputError, match="evaluate has no argument 'label_colum'; did you mean 'label_column'"):
        model.evaluate(path, label_colum="星")
    with pytest.raises(InputError, match=r"the columns are '星', '影评'\. Name one with label_column"):
        model.evaluate(path, text_column="影评", encoding="gb18030")
    assert list(model.predict_each(path, text_column="影评", encoding="gb18030")) == list(other.predict_each(TEXTS))
    with pytest.raises(InputError, match="predict_each has no argument 'label_column'"):
        model.predict(path, **file)
    with pytest.raises(InputError, match="at least two examples of every label, got one of 'rare'"):
        cross_validate(classifier(), TEXTS, ["rare", *written[1:]])
    with pytest.raises(InputError, match=f"at least two examples of every label, got one of .*'{TEXTS[0]}'"):
        cross_validate(classifier(), path, text_column="星", label_column="影评", encoding="gb18030")


def test_predict_answers_whatever_holds_texts():
    model = learnt()
    expected = model.predict(TEXTS)
    held = [np.array(TEXTS), np.array(TEXTS, object), [text.encode() for text in TEXTS], {"text": TEXTS}, iter(TEXTS)]
    for one in held:
        assert model.predict(one) == expected
    assert model.predict({"影评": TEXTS}, text_column="影评") == expected
    assert model.predict(TEXTS[0].encode()) == model.predict(TEXTS[0])
    for wrong, message in (
        ([*TEXTS, None], "text 21 is missing"),
        ({"a": TEXTS}, "the columns are 'a'"),
        (3, "got int"),
    ):
        with pytest.raises(InputError, match=message):
            model.predict(wrong)


def test_a_language_model_is_asked_about_whatever_holds_texts():
    texts = ["the cat", "在垫子上"]
    for held in (texts, tuple(texts), np.array(texts), {"句": texts}, iter(texts), [text.encode() for text in texts]):
        assert texts_of(held, "句") == (texts, False)
    assert texts_of("the cat", "text") == texts_of(b"the cat", "text") == (["the cat"], True)
    assert texts_of([], "text") == ([], False)
    with pytest.raises(InputError, match="text 1: expected a text, got a pair of texts"):
        texts_of([("a", "b")], "text")
