import csv
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lmkeras import InputError
from lmkeras.corpora import open_examples
from lmkeras.models.tables import require_writable_table, write_predictions
from lmkeras.tasks.classification import Classification, Prediction

LABELS = ("no", 'nö, "not"', "猫")
TASK = Classification(labels=LABELS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SHARED_FOLDER = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def predictions_of(texts):
    return [
        (text, Prediction.from_logits([len(text[0]), number % 3, 1.5], LABELS)) for number, text in enumerate(texts)
    ]


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@SHARED_FOLDER
@given(st.lists(TEXTS.map(lambda text: f"a{text}"), min_size=1, max_size=5))
@example(["a\rb", 'a "b",\nc'])
def test_rows_of_csv_are_what_was_written(tmp_path, texts):
    predictions = predictions_of(texts)
    assert write_predictions(tmp_path / "table.csv", predictions, TASK) == len(texts)
    header, *rows = read_csv(tmp_path / "table.csv")
    assert header == ["text", "label", *(f"probability {label}" for label in LABELS)]
    for row, (text, prediction) in zip(rows, predictions, strict=True):
        assert row[:2] == [text, prediction.label]
        assert [float(cell) for cell in row[2:]] == pytest.approx([*prediction.probabilities.values()], rel=1e-5)


@SHARED_FOLDER
@given(st.lists(st.tuples(TEXTS.map(lambda text: f"a{text}"), TEXTS), min_size=1, max_size=5))
def test_lines_of_json_are_what_was_written(tmp_path, pairs):
    predictions = predictions_of(pairs)
    assert write_predictions(tmp_path / "table.jsonl", predictions, TASK) == len(pairs)
    lines = (tmp_path / "table.jsonl").read_bytes().decode().split("\n")
    assert lines.pop() == ""
    for line, ((first, second), prediction) in zip(lines, predictions, strict=True):
        expected = {"text": first, "pair": second, "label": prediction.label, "probabilities": prediction.probabilities}
        assert json.loads(line) == expected


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_is_written_is_read_again_as_texts(suffix, tmp_path):
    pairs = [('one, "two"\nthree', "猫"), ("déjà\u2028vu", "x\ty")]
    path = tmp_path / f"table{suffix}"
    write_predictions(path, predictions_of(pairs), TASK)
    assert list(open_examples(path, "text", "pair")) == pairs


def test_of_no_texts_the_table_has_its_header_alone(tmp_path):
    assert write_predictions(tmp_path / "table.csv", [], TASK) == 0
    assert read_csv(tmp_path / "table.csv") == [["text", "label", *(f"probability {label}" for label in LABELS)]]


def test_a_table_is_never_half_of_one(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("earlier")

    def broken():
        yield from predictions_of(["a text"])
        assert path.read_text() == "earlier"
        raise InputError("the second text cannot be read")

    with pytest.raises(InputError, match="second text"):
        write_predictions(path, broken(), TASK)
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "earlier"


def test_where_no_table_can_be_written_is_known_before(tmp_path):
    (tmp_path / "there.csv").write_text("mine")
    for name, says in (("x.txt", "as .csv or .jsonl"), ("there.csv", "--overwrite"), ("no/x.csv", "is no folder")):
        with pytest.raises(InputError, match=says):
            require_writable_table(tmp_path / name, overwrite=False)
    require_writable_table(tmp_path / "there.csv", overwrite=True)
    require_writable_table(str(tmp_path / "new.jsonl"), overwrite=False)
    assert (tmp_path / "there.csv").read_text() == "mine"
